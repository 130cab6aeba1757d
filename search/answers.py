"""What a study has found, as frozen answers: the one source of what is printed, of --json and of a notebook."""

from collections.abc import Mapping
from dataclasses import dataclass

from search.analysis.effects import Effect, at_the_edge, observed_effects
from search.analysis.ranking import incumbent, rank
from search.space import Value, without_switches
from search.spec import StudySpec
from search.study import stored_spec
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
    read_workers,
)
from storage.studies import find_study


@dataclass(frozen=True)
class Comparison:
    """One study's trials in order of rank, and what each technique did as observed."""

    record: StudyRecord
    spec: StudySpec
    trials: tuple[TrialRecord, ...]
    incumbent: TrialRecord | None
    effects: tuple[Effect, ...]

    @property
    def edges(self) -> list[tuple[str, Value, float]]:
        """The incumbent's parameters at an end of their range: (name, value, end)."""
        return [] if self.incumbent is None else at_the_edge(parameters(self.incumbent), self.spec.space)


@dataclass(frozen=True)
class Status:
    """How far one study is."""

    record: StudyRecord
    spec: StudySpec
    running: tuple[RunningTrial, ...]
    workers: tuple[WorkerRecord, ...]  # every one that is alive, of this study or another
    incumbent: TrialRecord | None
    trials_per_hour: float | None  # finished ones, over the study's life so far
    seconds_to_go: float | None


def parameters(trial: TrialRecord) -> dict[str, Value]:
    """The active parameters under their names in the spec."""
    known: Mapping[str, Value] = {name: value for name, value in trial.parameters.items() if value is not None}
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
    )


def study_status(database: Database, name: str) -> Status:
    """How far a study is. Raises StudyNotFound, ForeignStudy."""
    stored = find_study(database, name)
    record, spec = read_study(database, stored), stored_spec(stored)
    trials = read_trials(database, stored.study_id)
    starts = [trial.started_ms for trial in trials if trial.started_ms is not None]
    ends = [trial.ended_ms for trial in trials if trial.ended_ms is not None and trial.state != "running"]
    hours = (max(ends) - min(starts)) / 3_600_000 if ends and starts and record.finished else 0.0
    pace = record.finished / hours if hours > 0 else None
    left = max(0, stored.budget.trials - record.finished) if stored.state == "open" else 0
    return Status(
        record=record,
        spec=spec,
        running=tuple(read_running(database, stored.study_id)),
        workers=tuple(read_workers(database)),
        incumbent=incumbent(trials, spec.direction),
        trials_per_hour=pace,
        seconds_to_go=None if pace is None else left / pace * 3600,
    )


def list_studies(database: Database) -> list[StudyRecord]:
    """Every study that has a spec, in the order of creation."""
    return read_studies(database)


def seconds_per_epoch(database: Database, spec: StudySpec) -> float | None:
    """The median over recorded epochs of studies with the same data, network and precision; `None` without any."""
    from statistics import median

    seconds = [
        epoch.seconds
        for record in read_studies(database)
        if (other := stored_spec(record.stored)).data == spec.data and other.model == spec.model
        for trial in read_trials(database, record.stored.study_id)
        for epoch in trial.epochs
    ]
    return median(seconds) if seconds else None
