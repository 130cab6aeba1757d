"""How far a refit has come."""

from dataclasses import dataclass

from search.analysis.judged import Judged, read_judged
from search.spec.follow_up import RefitPlan
from storage.engine import Database
from storage.records import TrialRecord
from storage.studies import StoredStudy

# The arm is trained on all images; the other one is trained on the training images alone.
REFIT = "refit"


@dataclass(frozen=True)
class Refitted:
    """What NAME:refit:N has trained so far."""

    study: str
    parent: str
    state: str
    end_reason: str | None
    trainings: int
    planned: int
    plan: RefitPlan
    # The trial is trained on all images; None: it has not finished.
    trial: TrialRecord | None
    # The trial is trained on the training images alone; None: it has not finished, or the parent's
    # trial is taken.
    held_out: TrialRecord | None

    @property
    def is_whole(self) -> bool:
        """Whether there is all that was to be trained, none of it diverged."""
        complete = [
            each
            for each in (self.trial, self.held_out)
            if each is not None and each.state == "complete"
        ]
        return len(complete) == self.planned

    @property
    def has_diverged(self) -> bool:
        """Whether a loss was not finite: it would be so again."""
        return any(each is not None and each.cause == "diverged" for each in self._trials)

    @property
    def _trials(self) -> tuple[TrialRecord | None, TrialRecord | None]:
        return self.trial, self.held_out


def read_refitted(database: Database, stored: StoredStudy) -> Refitted:
    """Of a study that is a refit, as it stands."""
    assert stored.follow_up is not None
    judged = read_judged(database, stored)
    return Refitted(
        stored.name,
        stored.follow_up.parent_name,
        stored.state,
        stored.end_reason,
        sum(each.trial is not None for each in judged),
        stored.budget.trials,
        RefitPlan.from_json(stored.follow_up.plan),
        _of(judged, is_refit=True),
        _of(judged, is_refit=False),
    )


def _of(judged: list[Judged], *, is_refit: bool) -> TrialRecord | None:
    return next((each.trial for each in judged if (each.training.arm == REFIT) == is_refit), None)
