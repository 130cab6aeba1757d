"""What the trainings of a follow-up have come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.spec.follow_up import PlannedTraining
from storage.engine import Database
from storage.predictions import SplitPredictions, read_predictions
from storage.records import TrialRecord, read_trials
from storage.slots import read_slots
from storage.studies import StoredStudy

if TYPE_CHECKING:
    from search.analysis.inference.runs import Runs


@dataclass(frozen=True, eq=False)
class Judged:
    """A training of a follow-up, with the trial that counts for it, if one has finished."""

    slot: int
    training: PlannedTraining
    trial: TrialRecord | None
    # The predictions are None where the training diverged or has not finished.
    validation: SplitPredictions | None
    test: SplitPredictions | None

    @property
    def has_diverged(self) -> bool:
        """Whether the loss was not finite."""
        return self.trial is not None and self.trial.cause == "diverged"


def read_judged(database: Database, stored: StoredStudy) -> list[Judged]:
    """Every slot of a follow-up in order."""
    trials = {trial.number: trial for trial in read_trials(database, stored.study_id)}
    validation = read_predictions(database, stored.study_id, "validation")
    test = read_predictions(database, stored.study_id, "test")
    return [
        Judged(
            each.slot.index,
            PlannedTraining.from_json(each.slot.content),
            None if each.trial is None or each.state == "running" else trials[each.trial],
            None if each.trial is None else validation.get(each.trial),
            None if each.trial is None else test.get(each.trial),
        )
        for each in read_slots(database, stored.study_id)
    ]


def runs_of(metric: str, answered: Sequence[SplitPredictions]) -> "Runs":
    """The same split as several networks answer it, for the intervals of that metric, which is one
    of names.METRIC_DIRECTIONS. Raises KeyError for another.
    """
    import numpy as np

    from search.analysis.inference import runs

    labels = answered[0].labels.astype(np.int64)
    match metric:
        case "accuracy":
            return runs.accuracy(np.stack([each.right for each in answered]))
        case "balanced_accuracy":
            return runs.balanced_accuracy(np.stack([each.right for each in answered]), labels)
        case "macro_f1":
            classes = np.stack([each.classes for each in answered]).astype(np.int64)
            return runs.macro_f1(classes, labels)
        case "loss":
            given = np.stack([each.true_probabilities for each in answered])
            return runs.loss(runs.losses_of(given))
        case _:
            raise KeyError(metric)


def value_of(metric: str, answered: SplitPredictions) -> float:
    """The metric of one network on one split."""
    return float(runs_of(metric, [answered]).values[0])
