"""What a follow-up that is asked for more seeds takes over from the one that was asked for fewer:
the same seeds, and of their trainings those that have finished.
"""

import json
from collections.abc import Mapping, Sequence

from search.spec.follow_up import Kind, PlannedTraining
from storage.carried import Carried
from storage.engine import Database
from storage.follow_ups import read_follow_ups
from storage.records import read_trials
from storage.slots import read_slots
from storage.studies import StoredStudy

# Two confirmations, one going on from the other, may differ in these of what was asked for.
MAY_GROW = ("seeds", "reads_test")


def with_fewer_seeds(
    database: Database, parent: StoredStudy, kind: Kind, asked: Mapping[str, object]
) -> StoredStudy | None:
    """The study's last follow-up that was asked for the same, but for fewer seeds, or for no test
    reading; `None` where there is none.
    """
    if kind == "ablate":
        # A verdict that was seen, and then another one with more of the same runs, would be wrong
        # more often than it says: looks share their error in advance.
        return None
    for each in reversed(read_follow_ups(database, parent)):
        if each.follow_up is None or each.follow_up.kind != kind:
            continue
        before = json.loads(each.follow_up.plan)["asked"]
        if _without(before) == _without(asked) and _grows(before, asked):
            return each
    return None


def _without(asked: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in asked.items() if name not in MAY_GROW}


def _grows(before: Mapping[str, object], asked: Mapping[str, object]) -> bool:
    is_read = bool(before.get("reads_test", False)) <= bool(asked.get("reads_test", False))
    return is_read and int(str(before["seeds"])) <= int(str(asked["seeds"]))


def seeds_of(follow_up: StoredStudy) -> int:
    """The number of the follow-up whose seeds it has: its own, or of one that it goes on from."""
    assert follow_up.follow_up is not None
    found = json.loads(follow_up.follow_up.plan).get("seeds_of")
    return follow_up.follow_up.number if found is None else int(found)


def finished_of(
    database: Database, base: StoredStudy, parent: StoredStudy, wanted: Sequence[PlannedTraining]
) -> Carried:
    """Which of the wanted trainings, by their place, the base has finished: of the same
    configuration and seed, on the same images of the study's, with their model where that is
    wanted.
    """
    trials = {trial.number: trial for trial in read_trials(database, base.study_id)}
    there: dict[tuple[object, ...], int] = {}
    for each in read_slots(database, base.study_id):
        if each.trial is None or each.trial_id is None or each.state not in ("complete", "pruned"):
            continue
        if trials[each.trial].data_fingerprint != parent.data_fingerprint:
            continue
        training = PlannedTraining.from_json(each.slot.content)
        for keeps_model in {training.keeps_model, False}:
            there.setdefault(_key(training, keeps_model), each.trial_id)
    return Carried(
        base.study_id,
        {
            place: there[key]
            for place, training in enumerate(wanted)
            if (key := _key(training, training.keeps_model)) in there
        },
    )


def _key(training: PlannedTraining, keeps_model: bool) -> tuple[object, ...]:
    values = json.dumps(dict(training.values), sort_keys=True)
    return training.seed, training.fold, values, keeps_model
