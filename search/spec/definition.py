"""Definitions as they are stored: read again, and compared."""

import json
from dataclasses import replace
from functools import lru_cache

from objectives.names import IMAGES_PREFIX
from search.space.parameters import PARAMETERS
from search.spec.document import SpecError, Toml
from search.spec.reading import parse_spec
from search.spec.study_spec import DEFINITION_VERSION, StudySpec
from storage.studies import Budget, StoredStudy


def parse_definition(definition: str, name: str, budget: Budget, priority: int = 0) -> StudySpec:
    """The spec from a stored definition and the stored budget.

    Raises:
        SpecError: it was stored by a version of this program that knew more.
    """
    document = json.loads(definition)
    version = document.pop("version")
    if version > DEFINITION_VERSION:
        raise SpecError(
            f"study {name!r}",
            ["its stored definition is of a later version: pip install -U hypersearch"],
        )
    # A definition of version 1 names every parameter that there was then; those that came later are
    # not searched.
    if version == 1:
        off = {each.name: False for each in PARAMETERS.values() if each.off is not None}
        document["space"] = off | document["space"]
        if document["study"]["pruner"]["name"] != "none":
            document["study"]["pruner"] |= {"audit": 0.0, "like_with_like": False}
    sampler = document["study"]["sampler"]
    if version < 3 and "startup_trials" in sampler:
        document["study"]["sampler"] = {"startup": "random"} | sampler
    if version < 4 and document["data"]["dataset"].startswith(IMAGES_PREFIX):
        document["data"]["split_version"] = 1
    # Definitions before version 5 all name their channels.
    if version < 5 and "channels" in document["model"]:
        document["model"] = {"head": "flatten"} | document["model"]
    document["study"] |= {"trials": budget.trials, "priority": priority}
    if budget.timeout_seconds is not None:
        document["study"]["timeout"] = budget.timeout_seconds
    if budget.target is not None:
        document["study"]["target"] = budget.target
    return replace(parse_spec(document, source=f"study {name!r}", stored=True), version=version)


def stored_spec(stored: StoredStudy) -> StudySpec:
    """The spec of a study in the storage, with its budget as it is now; parsed once while that is
    the same.
    """
    return _parsed(stored.definition, stored.name, stored.budget, stored.priority)


# The cache holds as many studies as one worker serves.
_parsed = lru_cache(maxsize=64)(parse_definition)


def differing_keys(one: StudySpec, other: StudySpec) -> list[tuple[str, Toml | None, Toml | None]]:
    """Dotted keys in which two definitions differ, with both values."""
    first, second = definition_keys(one), definition_keys(other)
    return [
        (key, first.get(key), second.get(key))
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]


def definition_keys(spec: StudySpec) -> dict[str, Toml]:
    """The dotted keys of a definition with their values, those that are stored where they are not
    the default alone too.
    """
    flat: dict[str, Toml] = {
        "data.resize": spec.data.resize,
        "data.validation_fraction": spec.data.validation_fraction,
    }
    for name, value in json.loads(spec.definition()).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": entry for key, entry in value.items()}
        else:
            flat[name] = value
    return flat
