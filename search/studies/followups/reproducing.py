"""What `reproduce` trains: a recorded trial again, from its record."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from search.algorithms.samplers import trial_seed
from search.analysis.ranking import incumbent
from search.space.domains import Value
from search.spec.definition import stored_spec
from search.spec.follow_up import Candidate, PlannedTraining, ReproducePlan
from search.studies.followups.refused import FollowUpRefused
from storage.computing import Computed
from storage.records import TrialRecord
from storage.studies import StoredStudy

# The first arm runs under the trial's own seed, the second under others.
AGAIN, FRESH = "again", "fresh"
# One reproduction takes fewer seeds; the next one has others.
SEEDS_OF_ONE = 10_000


@dataclass(frozen=True)
class AskedToReproduce:
    """Which trial is trained again."""

    number: int
    # So many fresh seeds run beside its own.
    seeds: int = 0

    def to_document(self) -> dict[str, Value | None]:
        """As the plan holds it; equal for equal commands."""
        return asdict(self)


def plan_reproduction(
    parent: StoredStudy, trials: Sequence[TrialRecord], asked: AskedToReproduce
) -> ReproducePlan:
    """Raises FollowUpRefused where there is no record to compare with."""
    spec = stored_spec(parent)
    found = recorded(parent, trials, asked.number)
    if found.data_fingerprint != parent.data_fingerprint:
        raise FollowUpRefused.other_data(parent.name)
    best = incumbent(trials, spec.direction)
    complete = sum(each.state == "complete" for each in trials)
    values: dict[str, Value] = {
        name: value for name, value in found.parameters.items() if value is not None
    }
    return ReproducePlan(
        asked.to_document(),
        Candidate(f"trial {found.number}", found.number, found.value, values),
        asked.seeds,
        complete if best is not None and best.number == found.number else 1,
    )


def recorded(parent: StoredStudy, trials: Sequence[TrialRecord], number: int) -> TrialRecord:
    """The trial, with an epoch at least. Raises FollowUpRefused."""
    found = next((each for each in trials if each.number == number), None)
    if found is None or found.state not in ("complete", "pruned") or not found.epochs:
        raise FollowUpRefused.no_record(parent.name, number)
    return found


def first_stage(plan: ReproducePlan, seed: int, number: int) -> list[PlannedTraining]:
    """The trial under its own seed, and under fresh ones."""
    trial = plan.trial
    assert trial.trial is not None
    own = trial_seed(seed, trial.trial, "trial")
    fresh = [
        trial_seed(seed, number * SEEDS_OF_ONE + index, "reproduce") for index in range(plan.seeds)
    ]
    return [
        PlannedTraining(AGAIN, "judge", 0, own, trial.values),
        *(PlannedTraining(FRESH, "judge", at, each, trial.values) for at, each in enumerate(fresh)),
    ]


def computed_as(trial: TrialRecord) -> Computed | None:
    """How the recorded trial was computed, where that is known."""
    if trial.device is None or trial.threads is None:
        return None
    return Computed(trial.device, trial.threads, trial.piece)
