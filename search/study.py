"""Creates, joins and extends studies: what the command line asks for against what the storage
holds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from objectives.names import folder_of
from search.document import Document, SpecError, Toml
from search.naming import default_name
from search.space_document import flatten_space
from search.spec import BUDGET_KEYS, DEFAULT_STUDY, StudySpec, parse_definition, parse_spec
from search.vain import notices as notices_of
from search.vain import said_in_vain, target_mend
from storage.engine import Database, open_database
from storage.errors import StorageUnavailable, StudyNotFound
from storage.studies import Budget, StoredStudy, create_study, find_study, raise_budget

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

METHODS = ("sampler", "pruner")  # of [study]: a name, or a table of a name and options
OF_FOLDERS = (
    "image_size",
    "split_version",
    "groups",
)  # of [data]: what goes with a folder of images alone


@dataclass(frozen=True)
class Request:
    """What a user asks to run: a document (a SPEC file's, or none), and what the options change in
    it.
    """

    document: Document | None
    changes: Document
    source: str  # what errors call it

    def spec(self, *, stored: bool = False) -> StudySpec:
        """What it asks for where nothing is stored yet, or (`stored`) may be. Raises SpecError."""
        named: Document = {"study": {"name": study_name(self)}}
        return parse_spec(
            merge(self.document or {}, named, self.changes), self.source, stored=stored
        )


@dataclass(frozen=True)
class JoinedStudy:
    """A study that is in the storage, with its spec and what the user should know."""

    stored: StoredStudy
    spec: StudySpec
    notices: tuple[str, ...] = ()
    is_raised: bool = False  # its budget, by what was asked for


def join(database: Database, optunas: "BaseStorage", request: Request) -> JoinedStudy:
    """Creates the study if it is not there; else checks that it is the one asked for, and raises
    its budget if asked.

    Raises:
        SpecError: the request is not valid, or differs from the stored definition, or would lower
            the budget.
        ForeignStudy: plain Optuna has a study of that name.
    """
    name = study_name(request)
    try:
        return join_stored(database, find_study(database, name), request)
    except StudyNotFound:
        spec = request.spec()
    _insert(database, optunas, spec)
    # Where another process was first, this one joins its study.
    return join_stored(
        database, find_study(database, name), replace(request, document=spec.to_document())
    )


def create_or_join(storage_url: str, request: Request) -> JoinedStudy:
    """As `join`, in the database at a URL, made where it is not there. Raises StorageUnavailable
    too.
    """
    request.spec(
        stored=find_stored(storage_url, study_name(request)) is not None
    )  # before anything is created
    from optuna import logging as optuna_logging

    from storage.engine import open_for_work

    optuna_logging.set_verbosity(optuna_logging.WARNING)
    database, rdb = open_for_work(storage_url)
    with database:
        return join(database, rdb, request)


def find_stored(storage_url: str, name: str) -> StoredStudy | None:
    """The study, if it can be seen; nothing is created. Raises ForeignStudy, StorageURLError."""
    try:
        with open_database(storage_url) as database:
            return find_study(database, name)
    except (StorageUnavailable, StudyNotFound):
        return None


def stored_spec(stored: StoredStudy) -> StudySpec:
    """The spec of a study in the storage, with its budget as it is now."""
    return parse_definition(stored.definition, stored.name, stored.budget, stored.priority)


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
    if "weight_decay" in space:  # it names those of all optimizers
        under["space"] = {
            key: value
            for key, value in _table(under, "space").items()
            if not key.endswith(".weight_decay")
        }
    if data.get("dataset", stored_dataset := _table(under, "data")["dataset"]) != stored_dataset:
        under["data"] = {
            key: value for key, value in _table(under, "data").items() if key not in OF_FOLDERS
        }
    for (
        method
    ) in METHODS:  # options that are not named are those of the same method, and of no other
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
    if request.document is None and isinstance(
        dataset, str
    ):  # the built-in study of another data set
        return default_name(dataset)
    return DEFAULT_STUDY


def _insert(database: Database, optunas: "BaseStorage", spec: StudySpec) -> None:
    folder = folder_of(spec.data.dataset)
    create_study(
        database,
        optunas,
        name=spec.name,
        metric=spec.metric,
        direction=spec.direction,
        definition=spec.definition(),
        definition_hash=spec.definition_hash(),
        budget=spec.budget,
        priority=spec.priority,
        costs=spec.minimize,
        data_folder=None if folder is None else str(folder.absolute()),
    )


def join_stored(database: Database, stored: StoredStudy, request: Request) -> JoinedStudy:
    """The stored study, if it is the one asked for, with its budget raised if asked. Raises
    SpecError.
    """
    here, budget = _agreed(stored, request)
    notices = []
    if request.document is not None and _differing_budget(request.document, here):
        notices.append(
            f"study {stored.name!r} has its own budget; the one in {request.source} is ignored "
            "(--trials, --timeout and --target raise it)"
        )
    is_raised = budget != stored.budget
    if is_raised:
        raise_budget(database, stored, budget, here.most_trials)
        stored = find_study(database, stored.name)
    spec = stored_spec(stored)
    if stored.state != "ended":
        notices += [
            f"study {stored.name!r}: {line}" for line in (*said_in_vain(spec), *notices_of(spec))
        ]
    return JoinedStudy(stored, spec, tuple(notices), is_raised)


def has_work(stored: StoredStudy, request: Request) -> bool:
    """Whether anything is left to do once this request has joined the study. Raises SpecError."""
    return stored.state != "ended" or _agreed(stored, request)[1] != stored.budget


def _agreed(stored: StoredStudy, request: Request) -> tuple[StudySpec, Budget]:
    """The stored study's spec, if it is the one asked for, and the budget that it should have.
    Raises SpecError.
    """
    here = stored_spec(stored)
    named = merge(request.document or {}, {"study": {"name": stored.name}}, request.changes)
    asked = parse_spec(_laid_over(here.to_document(), named), request.source, stored=True)
    if (
        asked.definition_hash() != here.definition_hash()
    ):  # the stored one may be of an older version
        raise _differs(stored.name, here, asked, request.source)
    budget = _raised(stored.budget, asked, request)
    mend = target_mend(here.metric, budget.target)
    if mend is not None and budget.target != stored.budget.target:
        raise SpecError(request.source, [f"study.target = {budget.target:g}: {mend}"])
    return here, budget


def _differing_budget(document: Document, here: StudySpec) -> bool:
    study = document.get("study")
    file_keys = [key for key in BUDGET_KEYS if isinstance(study, dict) and key in study]
    if not file_keys:
        return False
    in_file = parse_spec(document, stored=True).budget
    stored = here.budget
    values = {
        "trials": (in_file.trials, stored.trials),
        "timeout": (in_file.timeout_seconds, stored.timeout_seconds),
        "target": (in_file.target, stored.target),
    }
    return any(values[key][0] != values[key][1] for key in file_keys)


def _raised(stored: Budget, asked: StudySpec, request: Request) -> Budget:
    """The stored budget with what the options (not the file) ask for."""
    study = request.changes.get("study", {})
    given = study if isinstance(study, dict) else {}
    sign = 1 if asked.direction == "maximize" else -1
    pairs: tuple[tuple[str, float | None, float | None, int], ...] = (
        ("trials", stored.trials, asked.budget.trials, 1),
        ("timeout", stored.timeout_seconds, asked.budget.timeout_seconds, 1),
        ("target", stored.target, asked.budget.target, sign),
    )
    for key, old, new, way in pairs:
        if key in given and old is not None and new is not None and way * new < way * old:
            fault = (
                f"study.{key} = {json.dumps(given[key])}: the study has {old:g}, and a budget may"
                " only be raised"
            )
            raise SpecError(f"study {asked.name!r}", [fault])
    return Budget(
        trials=asked.budget.trials if "trials" in given else stored.trials,
        timeout_seconds=(
            asked.budget.timeout_seconds if "timeout" in given else stored.timeout_seconds
        ),
        target=asked.budget.target if "target" in given else stored.target,
    )


def _differs(name: str, here: StudySpec, asked: StudySpec, source: str) -> SpecError:
    return SpecError(
        source,
        [
            f"{key} = {json.dumps(new)}: study {name!r} has {json.dumps(old)} there, fixed when it"
            " was created; take that value, or another name with --study"
            for key, old, new in differing_keys(here, asked)
        ],
    )


def differing_keys(one: StudySpec, other: StudySpec) -> list[tuple[str, Toml | None, Toml | None]]:
    """Dotted keys in which two definitions differ, with both values."""
    first, second = definition_keys(one), definition_keys(other)
    return [
        (key, first.get(key), second.get(key))
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]


def definition_keys(spec: StudySpec) -> dict[str, Toml]:
    """The dotted keys of a definition with their values."""
    flat: dict[str, Toml] = {}
    for name, value in json.loads(spec.definition()).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": entry for key, entry in value.items()}
        else:
            flat[name] = value
    return flat
