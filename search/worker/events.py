"""What happens while a worker works, as whoever looks on is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from objectives.measurement import Measurement
from search.space.domains import Value
from search.spec.follow_up import PlannedTraining
from storage.activity import RunningTrial
from storage.direction import Direction
from storage.studies import FollowUp

# Beside what ends a trial: lost to another worker, or left to the next one.
TrialOutcome = Literal["complete", "pruned", "failed", "lost", "handed back"]


@dataclass(frozen=True)
class FollowUpTraining:
    """What a trial of a follow-up is for."""

    follow_up: FollowUp
    metric: str
    planned: PlannedTraining


@dataclass(frozen=True)
class TrialStarted:
    """A trial was taken; `attempt` is above 1 where an earlier worker left it, after so many epochs
    that are kept.
    """

    study: str
    number: int
    attempt: int
    # The parameters are the active ones, under their names in the spec.
    parameters: dict[str, Value]
    epochs: int = 0
    # Only a trial of a follow-up has a training.
    training: FollowUpTraining | None = None
    # The budget is the study's, as it is now.
    budget: int | None = None


@dataclass(frozen=True)
class EpochFinished:
    """An epoch of the trial was recorded."""

    number: int
    measurement: Measurement
    value: float


@dataclass(frozen=True)
class TrialFinished:
    """The trial has left this worker's hands, and what became of it is recorded."""

    study: str
    number: int
    attempt: int
    outcome: TrialOutcome
    value: float | None
    epochs: int
    parameters: dict[str, Value]
    reason: str | None = None
    # Only a trial of a follow-up has a training.
    training: FollowUpTraining | None = None


@dataclass(frozen=True)
class Waiting:
    """There is nothing to take now, and why."""

    reason: str


@dataclass(frozen=True)
class StudyLeft:
    """This worker does no more for a study: it was deleted, or cannot be served here (`error`)."""

    study: str
    error: Exception


@dataclass(frozen=True)
class Running:
    """What all workers of the study hold now."""

    trials: tuple[RunningTrial, ...]
    # The trainings say what the trials of a follow-up are for, by number.
    trainings: Mapping[int, FollowUpTraining] = field(default_factory=dict)
    # The budget is the study's, as it is now.
    budget: int | None = None


@dataclass(frozen=True)
class Decoding:
    """So many of a data set's images have been decoded, which happens once on a machine."""

    done: int
    total: int


@dataclass(frozen=True)
class StudyOpened:
    """Work on this one study begins, which stands so."""

    finished: int
    budget: int
    best: float | None
    direction: Direction
    # Each pair is a finished training of a follow-up and its value; a diverged one has none.
    trained: tuple[tuple[FollowUpTraining, float | None], ...] = ()
    follow_up: FollowUp | None = None


@dataclass(frozen=True)
class Said:
    """A line of text that somebody should read."""

    line: str


WorkerEvent = TrialStarted | EpochFinished | TrialFinished | Waiting | StudyLeft | Running
Event = WorkerEvent | Decoding | StudyOpened | Said
Tell = Callable[[Event], None]


def nobody(event: Event) -> None:
    """Whom it may be told where nobody looks on."""
