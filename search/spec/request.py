"""What a user asks to run: a spec and what the options change in it, as one document."""

from collections.abc import Mapping
from dataclasses import dataclass

from search.spec.document import Document, Toml
from search.spec.naming import default_name
from search.spec.reading import parse_spec
from search.spec.space_table import flatten_space
from search.spec.study_spec import DEFAULT_STUDY, StudySpec

# These keys of [study] hold a name, or a table of a name and options.
METHODS = ("sampler", "pruner")
# These keys of [data] go with a folder of images alone.
OF_FOLDERS = ("image_size", "resize", "split_version", "groups", "labels")


@dataclass(frozen=True)
class Request:
    """What a user asks to run: a document (a SPEC file's, or none), and what the options change in
    it.
    """

    document: Document | None
    changes: Document
    # Errors call the request by its source.
    source: str

    def spec(self, *, stored: bool = False) -> StudySpec:
        """What it asks for where nothing is stored yet, or (`stored`) may be. Raises SpecError."""
        named: Document = {"study": {"name": study_name(self)}}
        return parse_spec(
            merge(self.document or {}, named, self.changes), self.source, stored=stored
        )


def merge(*documents: Mapping[str, Toml]) -> Document:
    """Documents laid over one another, tables key by key; names of the space in their dotted
    form.
    """
    merged: Document = {}
    for document in documents:
        for key, value in document.items():
            under = merged.get(key)
            if isinstance(value, dict) and key == "space":
                value = flatten_space(value)
            if isinstance(value, dict) and isinstance(under, dict):
                methods = {
                    name: _method(under.get(name), value[name]) for name in METHODS if name in value
                }
                value = {**under, **value, **(methods if key == "study" else {})}
            merged[key] = value
    return merged


def _method(under: Toml | None, over: Toml) -> Toml:
    """A method in place of another; options without a name go to the one that is there, before or
    after them.
    """
    if isinstance(over, dict) and "name" not in over and isinstance(under, str | dict):
        return {"name": under, **over} if isinstance(under, str) else {**under, **over}
    if isinstance(over, str) and isinstance(under, dict) and "name" not in under:
        return {"name": over, **under}
    return over


def _laid_over(stored: Document, named: Document) -> Document:
    """What a request names, and for all else what a stored definition has: its defaults may be of
    an older version.
    """
    under = {
        key: dict(value) if isinstance(value, dict) else value for key, value in stored.items()
    }
    study, data, space = (_table(named, table) for table in ("study", "data", "space"))
    # The key names the weight decays of all optimizers.
    if "weight_decay" in space:
        under["space"] = {
            key: value
            for key, value in _table(under, "space").items()
            if not key.endswith(".weight_decay")
        }
    if data.get("dataset", stored_dataset := _table(under, "data")["dataset"]) != stored_dataset:
        under["data"] = {
            key: value for key, value in _table(under, "data").items() if key not in OF_FOLDERS
        }
    # Folds take the place of a share.
    if "folds" in data:
        under["data"] = {
            key: value
            for key, value in _table(under, "data").items()
            if key != "validation_fraction"
        }
    # Options that are not named are those of the same method, and of no other.
    for method in METHODS:
        asked, has = study.get(method), _table(under, "study").get(method)
        name = asked.get("name") if isinstance(asked, dict) else asked
        if isinstance(has, dict) and name == has["name"]:
            study[method] = {**has, **(asked if isinstance(asked, dict) else {})}
    return merge(under, {**named, "study": study})


def _table(document: Document, name: str) -> Document:
    table = document.get(name)
    return dict(table) if isinstance(table, dict) else {}


def study_name(request: Request) -> str:
    """The name of the study that is asked for."""
    study = merge(request.document or {}, request.changes).get("study", {})
    name = study.get("name") if isinstance(study, dict) else None
    if isinstance(name, str):
        return name
    data = request.changes.get("data", {})
    dataset = data.get("dataset") if isinstance(data, dict) else None
    # The built-in study is that of another data set.
    if request.document is None and isinstance(dataset, str):
        return default_name(dataset)
    return DEFAULT_STUDY
