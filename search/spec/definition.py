"""Definitions as they are stored: read again, and compared."""

import json
from functools import lru_cache

from search.spec.document import Toml
from search.spec.study_spec import StudySpec, parse_definition
from storage.studies import StoredStudy


def stored_spec(stored: StoredStudy) -> StudySpec:
    """The spec of a study in the storage, with its budget as it is now; parsed once while that is
    the same.
    """
    return _parsed(stored.definition, stored.name, stored.budget, stored.priority)


_parsed = lru_cache(maxsize=64)(parse_definition)  # of as many studies as one worker serves


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
