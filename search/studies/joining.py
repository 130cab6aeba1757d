"""Creates, joins and extends studies: what the command line asks for against what the storage
holds.
"""

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from objectives.names import folder_of
from search.spec.definition import differing_keys, stored_spec
from search.spec.document import Document, SpecError
from search.spec.reading import parse_spec
from search.spec.request import Request, _laid_over, merge, study_name
from search.spec.study_spec import BUDGET_KEYS, StudySpec
from search.spec.vain import notices as notices_of
from search.spec.vain import said_in_vain, target_mend
from storage.direction import Direction
from storage.engine import Database, open_database
from storage.errors import StorageUnavailable, StudyNotFound
from storage.studies import Budget, StoredStudy, find_study
from storage.study_control import create_study, raise_budget

if TYPE_CHECKING:
    from optuna.storages import BaseStorage


@dataclass(frozen=True)
class JoinedStudy:
    """A study that is in the storage, with its spec and what the user should know."""

    stored: StoredStudy
    spec: StudySpec
    notices: tuple[str, ...] = ()
    # What was asked for has raised its budget.
    is_raised: bool = False


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
    # The spec is checked before anything is created.
    request.spec(stored=find_stored(storage_url, study_name(request)) is not None)
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
    if stored.state != "ended" and stored.follow_up is None:
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
    # The stored spec may be of an older version.
    if asked.definition_hash() != here.definition_hash():
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
    pairs: tuple[tuple[str, float | None, float | None, Direction], ...] = (
        ("trials", stored.trials, asked.budget.trials, Direction.UP),
        ("timeout", stored.timeout_seconds, asked.budget.timeout_seconds, Direction.UP),
        ("target", stored.target, asked.budget.target, asked.direction),
    )
    for key, old, new, way in pairs:
        if key in given and old is not None and new is not None and way.is_better(old, than=new):
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
