"""Whether a trial that was trained again came out as recorded, as a frozen answer."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from search.analysis.judged import Judged, read_judged, runs_of
from search.spec.definition import stored_spec
from search.spec.follow_up import ReproducePlan, follow_up_name
from storage.engine import Database
from storage.predictions import SplitPredictions, read_predictions
from storage.records import EpochRecord, TrialRecord, read_trials
from storage.studies import StoredStudy, find_study
from storage.versions import read_versions

if TYPE_CHECKING:
    from search.analysis.inference.intervals import Estimate
    from search.analysis.inference.reproduction import Record, Reproduction

Fact = str | int | None
# The arm has the trial's own seed.
AGAIN = "again"


@dataclass(frozen=True)
class Reproduced:
    """The answer of NAME:reproduce:N, as far as its trainings have come."""

    study: str
    parent: str
    metric: str
    state: str
    trainings: int
    planned: int
    plan: ReproducePlan
    recorded: TrialRecord
    # The trial is None where the new training has not finished.
    again: TrialRecord | None
    # The verdict is None where the new training diverged or has not finished.
    found: "Reproduction | None"
    # Without predictions of its own the recorded trial is judged by its epochs alone.
    has_predictions: bool
    # The estimate is of the fresh seeds, two or more.
    fresh: "Estimate | None"
    # So many runs under fresh seeds have finished without diverging.
    fresh_runs: int
    # The two were computed differently in these: device, threads, piece and versions, was and is.
    changes: Mapping[str, tuple[Fact, Fact]]
    # The versions that the recorded trial was computed with may be unknown.
    knows_versions: bool
    # The reproduction of fewer seeds whose trainings it has taken over; None: it has its own alone.
    goes_on_from: str | None

    @property
    def is_different(self) -> bool:
        """Whether it did not come out as recorded."""
        if self.again is None:
            return False
        return self.found is None or self.found.verdict == "different"


def read_reproduced(database: Database, stored: StoredStudy) -> Reproduced:
    """The answer of a study that is a reproduction, as it stands."""
    from search.analysis.inference.intervals import estimate

    assert stored.follow_up is not None
    plan = ReproducePlan.from_json(stored.follow_up.plan)
    spec = stored_spec(stored)
    parent = find_study(database, stored.follow_up.parent_name)
    number = plan.trial.trial
    assert number is not None
    (recorded,) = read_trials(database, parent.study_id, [number])
    before = read_predictions(database, parent.study_id, "validation").get(number)
    judged = read_judged(database, stored)
    (own,) = [each for each in judged if each.training.arm == AGAIN]
    versions = (
        read_versions(database, parent.study_id, number),
        {} if own.trial is None else read_versions(database, stored.study_id, own.trial.number),
    )
    fresh = [
        each.validation
        for each in judged
        if each.training.arm != AGAIN and each.validation is not None
    ]
    return Reproduced(
        stored.name,
        parent.name,
        spec.metric,
        stored.state,
        sum(each.trial is not None for each in judged),
        stored.budget.trials,
        plan,
        recorded,
        own.trial,
        _compared(spec.metric, recorded, before, own, plan.incumbent_of),
        before is not None,
        estimate(runs_of(spec.metric, fresh)) if len(fresh) > 1 else None,
        len(fresh),
        {} if own.trial is None else _changes(recorded, own.trial, *versions),
        bool(versions[0]),
        follow_up_name(parent.name, "reproduce", plan.seeds_of)
        if plan.seeds_of not in (None, stored.follow_up.number)
        else None,
    )


def _changes(
    recorded: TrialRecord, again: TrialRecord, before: Mapping[str, str], now: Mapping[str, str]
) -> dict[str, tuple[Fact, Fact]]:
    names = ("device", "threads", "piece")
    pairs: dict[str, tuple[Fact, Fact]] = {
        name: (getattr(recorded, name), getattr(again, name)) for name in names
    }
    # Of a trial from before versions were recorded nothing is known.
    pairs |= {name: (before[name], now[name]) for name in sorted(set(before) & set(now))}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _compared(
    metric: str,
    recorded: TrialRecord,
    before: SplitPredictions | None,
    own: Judged,
    incumbent_of: int,
) -> "Reproduction | None":
    from search.analysis.inference.reproduction import compare

    if own.trial is None or own.validation is None:
        return None
    # A trial that was stopped early has the first epochs alone.
    epochs = own.trial.epochs[: len(recorded.epochs)]
    is_whole = len(recorded.epochs) == len(own.trial.epochs)
    return compare(
        _record(metric, recorded.epochs, before if is_whole else None),
        replace(
            _record(metric, epochs, own.validation),
            images_hash=own.validation.split_sha256,
        ),
        incumbent_of if is_whole else 1,
    )


def _record(
    metric: str, epochs: Sequence[EpochRecord], answered: SplitPredictions | None
) -> "Record":
    import numpy as np

    from search.analysis.inference.reproduction import Record

    # How long an epoch took is not what it came to.
    rows = [
        [
            np.nan if value is None else float(value)
            for value in astuple(replace(each, seconds=0.0, images_per_second=0.0))
        ]
        for each in epochs
    ]
    return Record(
        np.array(rows),
        (epochs[0].train_loss, epochs[0].validation_loss),
        float(getattr(epochs[-1], f"validation_{metric}")),
        None if answered is None else runs_of(metric, [answered]),
        None if answered is None else answered.classes.astype(np.int64),
        None if answered is None else answered.split_sha256,
    )
