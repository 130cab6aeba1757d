"""What `ablate` trains: a configuration without each technique that it uses, and with each that it
does not, beside itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from search.algorithms.samplers import trial_seed
from search.analysis.ablation import REFERENCE, factors, judged_looks
from search.analysis.judged import Judged
from search.analysis.ranking import rank
from search.analysis.tuning import at_rate
from search.space.domains import Off, Value
from search.space.parameters import PARAMETERS, TECHNIQUES, neutral_value
from search.spec.definition import stored_spec
from search.spec.follow_up import (
    AblatedArm,
    AblatePlan,
    Candidate,
    PlannedTraining,
    Stage,
    octaves_of,
)
from search.spec.study_spec import StudySpec
from search.studies.followups.neutral import own_values, uses, without
from search.studies.followups.refused import FollowUpRefused
from storage.records import TrialRecord
from storage.studies import FollowUp, StoredStudy

DEFAULT_LOOKS = (3, 5, 10)
DEFAULT_RETUNE, MOST_RETUNE = 5, 25
# One ablation takes fewer seeds; the next one has others.
SEEDS_OF_ONE = 10_000


@dataclass(frozen=True)
class AskedToAblate:
    """What an ablation is asked for."""

    # Without a trial it is the last confirmation's choice, else the best one.
    trial: int | None = None
    # Without any named techniques it is all that there are.
    techniques: tuple[str, ...] = ()
    looks: tuple[int, ...] = DEFAULT_LOOKS
    # So many runs of each arm find its learning rate; with 0 the rate stays.
    retune: int = DEFAULT_RETUNE

    def to_document(self) -> dict[str, Value | list[int] | list[str] | None]:
        """As the plan holds it; equal for equal commands."""
        return {
            **asdict(self),
            "techniques": sorted(self.techniques),
            "looks": list(self.looks),
        }


def plan_ablation(
    parent: StoredStudy, trials: Sequence[TrialRecord], asked: AskedToAblate
) -> AblatePlan:
    """Which arms there are.

    Raises FollowUpRefused where what is asked for is not there, or there is nothing to ablate.
    """
    spec = stored_spec(parent)
    complete = rank((each for each in trials if each.state == "complete"), spec.direction)
    if not complete:
        raise FollowUpRefused.nothing_complete(parent.name)
    found = complete[0]
    if asked.trial is not None:
        chosen = [each for each in complete if each.number == asked.trial]
        if not chosen:
            raise FollowUpRefused.not_complete(parent.name, asked.trial)
        (found,) = chosen
    if found.data_fingerprint != parent.data_fingerprint:
        raise FollowUpRefused.other_data(parent.name)
    for technique in asked.techniques:
        if technique not in TECHNIQUES:
            raise FollowUpRefused.no_technique(technique, TECHNIQUES)
        if neutral_value(technique) is None:
            raise FollowUpRefused.no_neutral_value(technique)
    values = _values(found)
    arms, left_out = _arms(spec, values, complete, asked.techniques or TECHNIQUES)
    if not arms:
        raise FollowUpRefused.nothing_to_ablate(parent.name)
    return AblatePlan(
        asked.to_document(),
        asked.looks,
        octaves_of(asked.retune),
        Candidate(f"trial {found.number}", found.number, found.value, values),
        f"{values['optimizer']}.learning_rate",
        tuple(arms),
        tuple(left_out),
    )


def first_stage(plan: AblatePlan, seed: int, number: int) -> list[PlannedTraining]:
    """The runs that find learning rates, alike for all arms and the reference; or the first look
    where none are to be found.
    """
    if not plan.octaves:
        return _look(plan, seed, number, {}, 0, [each.technique for each in plan.arms])
    return [
        PlannedTraining(
            arm,
            "tune",
            place,
            _seed(seed, number, "tune", 0),
            at_rate(values, 2**octaves),
        )
        for place, octaves in enumerate(plan.octaves)
        for arm, values in _all(plan).items()
    ]


def most_trainings(plan: AblatePlan) -> int:
    """How many trainings the whole takes at most: where at each look half of the arms go on."""
    tuned = len(plan.octaves) * (1 + len(plan.arms))
    return tuned + _trainings_of_looks(plan, 0, len(plan.arms))


def _trainings_of_looks(plan: AblatePlan, first: int, going_on: int) -> int:
    """At most, from that look on, where so many arms are in it."""
    most = 0
    for place in range(first, len(plan.looks)):
        seeds = plan.looks[place] - (plan.looks[place - 1] if place else 0)
        most += seeds * (going_on + 2)
        going_on = max(1, going_on // 2)
    return most


def after_stage(follow_up: FollowUp, metric: str, seed: int, judged: Sequence[Judged]) -> Stage:
    """The next look, for those that the last one sends on; nothing after the last look, or where
    everything is told.
    """
    plan = AblatePlan.from_json(follow_up.plan)
    found = factors(plan, metric, judged)
    looks = judged_looks(plan, metric, judged)
    if not looks:
        if any(each.training.purpose == "judge" for each in judged):
            return Stage()
        going_on: Sequence[str] = [each.technique for each in plan.arms]
    elif len(looks) == len(plan.looks) or not looks[-1].goes_on:
        return Stage()
    else:
        going_on = looks[-1].goes_on
    trainings = _look(plan, seed, follow_up.number, found, len(looks), going_on)
    later = _trainings_of_looks(plan, len(looks) + 1, max(1, len(going_on) // 2))
    return Stage(tuple(trainings), later)


def _look(
    plan: AblatePlan,
    seed: int,
    number: int,
    found: Mapping[str, float],
    look: int,
    going_on: Sequence[str],
) -> list[PlannedTraining]:
    before = plan.looks[look - 1] if look else 0
    arms = _all(plan)
    return [
        PlannedTraining(
            arm,
            "judge",
            index,
            _seed(seed, number, "judge", index),
            at_rate(arms[arm], found.get(arm, 1.0)),
        )
        for index in range(2 * plan.looks[look])
        for arm in (REFERENCE, *going_on)
        if (2 * before <= index if arm == REFERENCE else before <= index < plan.looks[look])
    ]


def _all(plan: AblatePlan) -> dict[str, Mapping[str, Value]]:
    return {REFERENCE: plan.reference.values} | {each.technique: each.values for each in plan.arms}


def _seed(seed: int, number: int, purpose: str, index: int) -> int:
    return trial_seed(seed, number * SEEDS_OF_ONE + index, f"ablate {purpose}")


def _arms(
    spec: StudySpec,
    values: Mapping[str, Value],
    complete: Sequence[TrialRecord],
    wanted: Sequence[str],
) -> tuple[list[AblatedArm], list[str]]:
    """Those of the techniques that have a neutral value, and the names of those that no complete
    trial has used beside the reference's optimizer.
    """
    arms, left_out = [], []
    domains = dict(spec.space.domains)
    for technique in (each for each in TECHNIQUES if each in wanted):
        if neutral_value(technique) is None:
            continue
        if uses(technique, values):
            arms.append(
                AblatedArm(technique, False, _shown(technique, values), without(technique, values))
            )
            continue
        names = [each.name for each in PARAMETERS.values() if each.technique == technique]
        if all(isinstance(domains.get(name, Off()), Off) for name in names):
            continue
        donor = next((each for each in complete if _lends(technique, _values(each), values)), None)
        if donor is None:
            left_out.append(technique)
            continue
        lent = _values(donor)
        with_it = {**without(technique, values), **own_values(technique, lent)}
        arms.append(AblatedArm(technique, True, _shown(technique, lent), with_it))
    return arms, left_out


def _values(trial: TrialRecord) -> dict[str, Value]:
    return {name: value for name, value in trial.parameters.items() if value is not None}


def _lends(technique: str, lent: Mapping[str, Value], to: Mapping[str, Value]) -> bool:
    # A weight decay belongs to its optimizer.
    is_general = technique in PARAMETERS
    return uses(technique, lent) and (is_general or lent["optimizer"] == to["optimizer"])


def _shown(technique: str, values: Mapping[str, Value]) -> str:
    own = {
        name: value for name, value in own_values(technique, values).items() if name in PARAMETERS
    }
    value = own[technique] if technique in own else next(iter(own.values()))
    return f"{value:.2g}" if isinstance(value, float) else str(value)
