"""What a study has found, as frozen answers: the one source of what is printed, of --json and of a
notebook.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from search.analysis.data_sets import DataSets, data_sets, ranges
from search.analysis.effects import Effect, at_the_edge, observed_effects
from search.analysis.equal_budget import Standing, after_trials, epochs_of, within_epochs
from search.analysis.importance import (
    Bounds,
    Importances,
    importance_intervals,
    importances,
)
from search.analysis.pareto import pareto_front
from search.analysis.pruning import PruningRecord, pruning_record
from search.analysis.ranking import incumbent, rank
from search.space.configuration import Configuration
from search.space.domains import Value
from search.spec.definition import definition_keys, stored_spec
from search.spec.document import Toml
from search.spec.methods import NoRule
from search.spec.study_spec import StudySpec
from storage.engine import Database
from storage.records import (
    StudyRecord,
    TrialRecord,
    read_study,
    read_trials,
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
    # The record is None where the pruner never stops a trial early.
    pruning: PruningRecord | None

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

    def ranked(self, number: int) -> tuple[TrialRecord, int]:
        """The trial of that number, and its rank, from 1. Raises TrialNotFound."""
        for place, trial in enumerate(self.trials, start=1):
            if trial.number == number:
                return trial, place
        raise TrialNotFound(self.spec.name, number, [trial.number for trial in self.trials])

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

    @cached_property
    def importance_intervals(self) -> dict[str, Bounds]:
        """How far the importances would differ had other trials been drawn; takes up to a
        second.
        """
        return importance_intervals(self.trials, self.spec.space, self.spec.direction)


class TrialNotFound(Exception):
    """A study has no trial of that number. Exit code 2."""

    def __init__(self, name: str, number: int, numbers: Sequence[int]) -> None:
        known = f"its trials are {ranges(sorted(numbers))}" if numbers else "it has no trial yet"
        super().__init__(f"study {name!r} has no trial {number}: {known}")


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
    # So many epochs were trained in all trials that have ended.
    epochs: int
    at_equal_trials: Standing
    at_equal_epochs: Standing


@dataclass(frozen=True)
class SideBySide:
    """Several studies of one metric."""

    contenders: tuple[Contender, ...]
    # Every one of the studies has finished so many trials.
    trials: int
    # Every one of the studies has trained so many epochs.
    epochs: int
    # Each pair is a key of the spec and its value in each study.
    differing: tuple[tuple[str, tuple[Toml | None, ...]], ...]

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


def parameters(trial: TrialRecord) -> dict[str, Value]:
    """The active parameters under their names in the spec."""
    known = {name: value for name, value in trial.parameters.items() if value is not None}
    return Configuration(known).active


def compare_study(database: Database, name: str) -> Comparison:
    """Ranks the trials of a study. Raises StudyNotFound, ForeignStudy."""
    stored = find_study(database, name)
    trials = read_trials(database, stored.study_id)
    return comparison_of(read_study(database, stored), stored_spec(stored), trials)


def comparison_of(
    record: StudyRecord, spec: StudySpec, trials: Sequence[TrialRecord]
) -> Comparison:
    """What these trials of the study have found, the first trial first."""
    return Comparison(
        record=record,
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
