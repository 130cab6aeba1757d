"""What `export --refit` trains: a trial's configuration on training and validation images together.

Such a network has seen all images that could say how good it is. What is known of it is known of
the same configuration on the training images alone: of the trial's own network where that was kept,
else of one that is trained beside it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from search.algorithms.samplers import trial_seed
from search.space.domains import Value
from search.spec.definition import stored_spec
from search.spec.follow_up import Candidate, PlannedTraining, RefitPlan
from search.studies.followups.refused import FollowUpRefused
from storage.records import TrialRecord
from storage.studies import StoredStudy

# The first arm trains on all images, the second on the training images alone.
REFIT, HELD_OUT = "refit", "held out"


@dataclass(frozen=True)
class AskedToRefit:
    """Which trial's configuration is trained again."""

    number: int
    # The trial's own network was kept.
    is_kept: bool

    def to_document(self) -> dict[str, Value | None]:
        """As the plan holds it; equal for equal commands."""
        return asdict(self)


def plan_refit(
    parent: StoredStudy, trials: Sequence[TrialRecord], asked: AskedToRefit
) -> RefitPlan:
    """Raises FollowUpRefused where the trial is not complete, or its images are not the study's."""
    found = next((each for each in trials if each.number == asked.number), None)
    if found is None or found.state != "complete":
        raise FollowUpRefused.not_complete(parent.name, asked.number)
    if stored_spec(parent).data.dataset == "synthetic":
        raise FollowUpRefused.no_network(parent.name)
    if found.data_fingerprint != parent.data_fingerprint:
        raise FollowUpRefused.other_data(parent.name)
    values: dict[str, Value] = {
        name: value for name, value in found.parameters.items() if value is not None
    }
    return RefitPlan(
        asked.to_document(), Candidate(f"trial {found.number}", found.number, found.value, values)
    )


def first_stage(plan: RefitPlan, seed: int, *, is_kept: bool) -> list[PlannedTraining]:
    """The training on all images under the trial's own seed and, where the trial's network was not
    kept, the trial once more.
    """
    trial = plan.trial
    assert trial.trial is not None
    own = trial_seed(seed, trial.trial, "trial")
    refit = PlannedTraining(REFIT, "refit", 0, own, trial.values, keeps_model=True)
    held_out = PlannedTraining(HELD_OUT, "judge", 0, own, trial.values, keeps_model=True)
    return [refit] if is_kept else [refit, held_out]
