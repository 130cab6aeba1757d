"""Makes the study of a follow-up: its parent's definition, but that nothing is drawn or stopped."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from search.spec.definition import stored_spec
from search.spec.follow_up import Kind, PlannedTraining, follow_up_name
from storage.artifact_names import name_artifacts
from storage.carried import Carried, carry_over
from storage.computing import Computed
from storage.engine import Database
from storage.follow_ups import follows, read_follow_ups
from storage.studies import Budget, StoredStudy, find_study
from storage.study_control import create_study

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy import Connection


def next_number(database: Database, parent: StoredStudy, kind: Kind) -> int:
    """The number of the next follow-up of that kind."""
    numbers = [
        each.follow_up.number
        for each in read_follow_ups(database, parent)
        if each.follow_up is not None and each.follow_up.kind == kind
    ]
    return 1 + max(numbers, default=0)


def create_follow_up(
    database: Database,
    optunas: "BaseStorage",
    parent: StoredStudy,
    kind: Kind,
    number: int,
    plan: str,
    first_stage: Sequence[PlannedTraining],
    most: int,
    timeout_seconds: float | None = None,
    computed: Computed | None = None,
    carried: Carried | None = None,
    artifacts: Mapping[str, str] | None = None,
) -> StoredStudy:
    """The study NAME:KIND:NUMBER with the slots of its first stage; where another process has just
    made one of that name, that one.

    `most`: so many trainings it may take in all; they are `computed` as a recorded trial was, and
    those that are `carried` over are finished. `artifacts` are attributes of its own files.
    Raises StudyDeleted where the parent is gone.
    """
    spec = stored_spec(parent)
    name = follow_up_name(parent.name, kind, number)
    definition = _definition(parent, name)
    write = follows(parent, kind, number, plan, [each.to_json() for each in first_stage], computed)

    def also(connection: "Connection", study_id: int) -> None:
        write(connection, study_id)
        name_artifacts(connection, study_id, artifacts or {})
        if carried is not None and carried.trial_ids:
            carry_over(connection, study_id, carried)

    create_study(
        database,
        optunas,
        name=name,
        metric=spec.metric,
        direction=spec.direction,
        definition=definition,
        definition_hash=hashlib.sha256(definition.encode()).hexdigest(),
        budget=Budget(most, timeout_seconds),
        priority=parent.priority,
        data_folder=parent.data_folder,
        also=also,
    )
    return find_study(database, name)


def _definition(parent: StoredStudy, name: str) -> str:
    """The parent's, of its own version, without what draws, stops and bounds trials."""
    document = json.loads(parent.definition)
    study = document["study"]
    study |= {"name": name, "sampler": {"name": "random"}, "pruner": {"name": "none"}}
    study.pop("minimize", None)
    document["training"].pop("timeout", None)
    document.pop("constraints", None)
    document.pop("trial", None)
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
