"""What a study has found, as frozen answers: the one source of what is printed, of --json and of a
notebook.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from search.analysis.data_sets import DataSets, data_sets
from search.analysis.effects import Effect, at_the_edge, observed_effects
from search.analysis.equal_budget import Standing, after_trials, epochs_of, within_epochs
from search.analysis.importance import Importances, importances
from search.analysis.pareto import pareto_front
from search.analysis.pruning import PruningRecord, pruning_record
from search.analysis.ranking import incumbent, rank
from search.document import Toml
from search.methods import NoRule
from search.space import Value, without_switches
from search.spec import StudySpec
from search.study import definition_keys, stored_spec
from storage.engine import Database
from storage.records import (
    RunningTrial,
    StudyRecord,
    TrialRecord,
    WorkerRecord,
    read_running,
    read_studies,
    read_study,
    read_trials,
    read_work_spans,
    read_workers,
)
from storage.studies import find_study


@dataclass(frozen=True)
class Comparison:
    """One study's trials in order of rank, what each technique did as observed, and what the pruner
    did.
    """

    record: StudyRecord
    spec: StudySpec
    trials: tuple[TrialRecord, ...]
    incumbent: TrialRecord | None
    effects: tuple[Effect, ...]
    pruning: PruningRecord | None  # None: no trial is ever stopped early

    @property
    def edges(self) -> list[tuple[str, Value, float]]:
        """The incumbent's parameters at an end of their range: (name, value, end)."""
        return (
            []
            if self.incumbent is None
            else at_the_edge(parameters(self.incumbent), self.spec.space)
        )

    @property
    def front(self) -> list[TrialRecord]:
        """The trials that no other beats in the metric and every cost; empty where there is one
        objective.
        """
        return pareto_front(self.trials, self.spec.direction) if self.spec.minimize else []

    @cached_property
    def data_sets(self) -> DataSets:
        """What the trials were trained on."""
        return data_sets(self.trials)

    @property
    def fingerprints(self) -> set[str]:
        """Those of all data that the study was on, as far as they are recorded."""
        return {
            each
            for each, _ in (*self.data_sets, (self.record.stored.data_fingerprint, ()))
            if each is not None
        }

    @cached_property
    def importances(self) -> Importances | None:
        """What set the best trials apart; `None` where too few are complete."""
        return importances(self.trials, self.spec.space, self.spec.direction)


class Incomparable(Exception):
    """Studies that have no value in common."""

    def __init__(self, one: StudySpec, other: StudySpec) -> None:
        super().__init__(
            f"study {one.name!r} is led by {one.metric}, study {other.name!r} by {other.metric}: "
            "their values cannot be compared; compare studies of one metric"
        )


@dataclass(frozen=True)
class Contender:
    """One of several studies, and how good it was at the budget that all of them have used."""

    comparison: Comparison
    epochs: int  # trained, in all trials that have ended
    at_equal_trials: Standing
    at_equal_epochs: Standing


@dataclass(frozen=True)
class SideBySide:
    """Several studies of one metric."""

    contenders: tuple[Contender, ...]
    trials: int  # finished in every one of them
    epochs: int  # trained in every one of them
    differing: tuple[
        tuple[str, tuple[Toml | None, ...]], ...
    ]  # key of the spec, and its value in each study

    @property
    def differs_in_data(self) -> bool:
        """Whether the [data] of the studies differs."""
        return any(key.startswith("data.") for key, _ in self.differing)

    @property
    def is_on_other_images(self) -> bool:
        """Whether the studies do not validate on the same images: by their [data], or by what was
        found under it.
        """
        fingerprints = {found for each in self.contenders for found in each.comparison.fingerprints}
        return self.differs_in_data or len(fingerprints) > 1


@dataclass(frozen=True)
class Status:
    """How far one study is."""

    record: StudyRecord
    spec: StudySpec
    running: tuple[RunningTrial, ...]
    workers: tuple[WorkerRecord, ...]  # every one that is alive, of this study or another
    incumbent: TrialRecord | None
    trials_per_hour: (
        float | None
    )  # finished ones, over the time in which somebody worked on the study
    seconds_to_go: float | None


def parameters(trial: TrialRecord) -> dict[str, Value]:
    """The active parameters under their names in the spec."""
    known: Mapping[str, Value] = {
        name: value for name, value in trial.parameters.items() if value is not None
    }
    return without_switches(known)


def compare_study(database: Database, name: str) -> Comparison:
    """Ranks the trials of a study. Raises StudyNotFound, ForeignStudy."""
    stored = find_study(database, name)
    spec = stored_spec(stored)
    trials = read_trials(database, stored.study_id)
    return Comparison(
        record=read_study(database, stored),
        spec=spec,
        trials=tuple(rank(trials, spec.direction)),
        incumbent=incumbent(trials, spec.direction),
        effects=tuple(observed_effects(trials, spec.direction)),
        pruning=(
            None
            if isinstance(spec.pruner.rule, NoRule)
            else pruning_record(trials, spec.pruner.name, spec.training.epochs, spec.direction)
        ),
    )


def compare_studies(database: Database, names: Sequence[str]) -> SideBySide:
    """Studies side by side at equal budget: after as many trials, and epochs, as the least advanced
    of them has.

    Raises StudyNotFound, ForeignStudy, Incomparable.
    """
    found = [compare_study(database, name) for name in names]
    for other in found[1:]:
        if other.spec.metric != found[0].spec.metric:
            raise Incomparable(found[0].spec, other.spec)
    direction = found[0].spec.direction
    trials = min(comparison.record.finished for comparison in found)
    epochs = min(epochs_of(comparison.trials) for comparison in found)
    definitions = [definition_keys(comparison.spec) for comparison in found]
    keys = sorted({key for keys in definitions for key in keys} - {"study.name"})
    values = {key: tuple(keys.get(key) for keys in definitions) for key in keys}
    return SideBySide(
        contenders=tuple(
            Contender(
                comparison,
                epochs_of(comparison.trials),
                after_trials(comparison.trials, trials, direction),
                within_epochs(comparison.trials, epochs, direction),
            )
            for comparison in found
        ),
        trials=trials,
        epochs=epochs,
        differing=tuple(
            (key, each) for key, each in values.items() if any(value != each[0] for value in each)
        ),
    )


def study_status(database: Database, name: str) -> Status:
    """How far a study is. Raises StudyNotFound, ForeignStudy."""
    stored = find_study(database, name)
    record, spec = read_study(database, stored), stored_spec(stored)
    trials = read_trials(database, stored.study_id)
    hours = _worked_ms(read_work_spans(database, stored.study_id)) / 3_600_000
    pace = record.finished / hours if record.finished and hours > 0 else None
    left = max(0, spec.planned_trials - record.finished) if stored.state != "ended" else 0
    return Status(
        record=record,
        spec=spec,
        running=tuple(read_running(database, stored.study_id)),
        workers=tuple(read_workers(database)),
        incumbent=incumbent(trials, spec.direction),
        trials_per_hour=pace,
        seconds_to_go=None if pace is None else left / pace * 3600,
    )


def _worked_ms(spans: Sequence[tuple[int, int | None]]) -> int:
    """For how long somebody worked: neither pauses count, nor the time while the study had ended,
    nor between runs.
    """
    done_ms = max((end for _, end in spans if end is not None), default=0)
    worked_ms, so_far = 0, 0
    for start, end in sorted((start, done_ms if end is None else end) for start, end in spans):
        worked_ms += max(0, end - max(start, so_far))
        so_far = max(so_far, end)
    return worked_ms


def list_studies(database: Database) -> list[StudyRecord]:
    """Every study that has a spec, in the order of creation."""
    return read_studies(database)


def seconds_per_epoch(database: Database, spec: StudySpec) -> float | None:
    """The median over recorded epochs of studies with the same data, network and precision; `None`
    without any.
    """
    from statistics import median

    seconds = [
        epoch.seconds
        for record in read_studies(database)
        if (other := stored_spec(record.stored)).data == spec.data and other.model == spec.model
        for trial in read_trials(database, record.stored.study_id)
        for epoch in trial.epochs
    ]
    return median(seconds) if seconds else None
