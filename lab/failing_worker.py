"""A worker of a soak some of whose trainings fail: those of a follow-up's slots, as often as is
planned, whoever is killed meanwhile.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from unittest.mock import patch

from sqlalchemy import create_engine, func, select

import objectives.synthetic
from lab.soak_worker import Job, work_on
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Measurement
from objectives.predicted import Predicted
from objectives.synthetic import SyntheticCurve
from search.space.configuration import Configuration
from search.spec.follow_up import PlannedTraining
from storage.engine import open_database
from storage.schema import attempt, optuna_trials, slot_trial
from storage.slots import read_slots
from storage.studies import find_study
from storage.urls import parse_url

REASON = "made to fail"

# Where a training fails: before its first epoch, after one, when its network is to answer the
# validation images, or when the test split is read.
Moment = Literal["start", "epoch", "validation", "test"]
MOMENTS: tuple[Moment, ...] = ("start", "epoch", "validation")
MOMENTS_OF_TEST: tuple[Moment, ...] = ("test", "start")


class MadeToFail(Exception):
    """A training fails as it was planned."""

    def __init__(self, slot: int, moment: Moment) -> None:
        super().__init__(f"{REASON}: slot {slot}, {moment}")


@dataclass(frozen=True)
class Failures:
    """How many trials of which slots fail, of one follow-up."""

    url: str
    study: str
    by_slot: Mapping[int, int]

    def due(self, hyperparameters: Hyperparameters, seed: int) -> tuple[int, Moment] | None:
        """The slot of that training and where it fails, if fewer of its trials than planned have
        failed so.

        The database says how many have: a worker that is killed while one fails changes nothing.
        """
        with open_database(self.url) as database:
            stored = find_study(database, self.study)
            slots = [each.slot for each in read_slots(database, stored.study_id)]
        failed = failed_by_slot(self.url, stored.study_id)
        for slot in slots:
            planned = PlannedTraining.from_json(slot.content)
            is_it = (
                planned.seed == seed
                and Configuration(planned.values).hyperparameters() == hyperparameters
            )
            if is_it and failed.get(slot.index, 0) < self.by_slot.get(slot.index, 0):
                moments = MOMENTS_OF_TEST if planned.purpose == "test" else MOMENTS
                return slot.index, moments[slot.index % len(moments)]
        return None


def failed_by_slot(url: str, study_id: int) -> dict[int, int]:
    """How many trials of each slot were made to fail, where any was."""
    query = (
        select(slot_trial.c.slot, func.count().label("failed"))
        .join(optuna_trials, optuna_trials.c.trial_id == slot_trial.c.trial_id)
        .join(attempt, attempt.c.trial_id == slot_trial.c.trial_id)
        .where(
            optuna_trials.c.study_id == study_id,
            attempt.c.outcome == "failed",
            attempt.c.reason.like(f"%{REASON}%"),
        )
        .group_by(slot_trial.c.slot)
    )
    engine = create_engine(parse_url(url))
    try:
        with engine.connect() as connection:
            return {row.slot: row.failed for row in connection.execute(query)}
    finally:
        engine.dispose()


def work_and_fail(job: Job, failures: Failures) -> None:
    """Works on the follow-up until it has ended, in a process of its own."""

    class FailingCurve(SyntheticCurve):
        """A made-up curve that fails where it is due."""

        def __init__(
            self,
            hyperparameters: Hyperparameters,
            epochs: int,
            seed: int,
            work: Callable[[], None],
        ) -> None:
            super().__init__(hyperparameters, epochs, seed, work)
            self._due = failures.due(hyperparameters, seed)
            self._fail_at("start")

        def __next__(self) -> Measurement:
            if self.epoch > 0:
                self._fail_at("epoch")
            return super().__next__()

        def predictions(self) -> Predicted:
            self._fail_at("validation")
            return super().predictions()

        def test_predictions(self) -> Predicted:
            self._fail_at("test")
            return super().test_predictions()

        def _fail_at(self, moment: Moment) -> None:
            if self._due is not None and self._due[1] == moment:
                raise MadeToFail(*self._due)

    with patch.object(objectives.synthetic, "SyntheticCurve", FailingCurve):
        work_on(job)
