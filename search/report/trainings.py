"""How a follow-up goes, for people: what each of its trainings is for, and what is known so far."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from search.analysis.ablation import REFERENCE
from search.analysis.reproduced import AGAIN
from search.report.scale import Scale
from search.spec.follow_up import AblatePlan, ConfirmPlan, RefitPlan, ReproducePlan
from search.worker.events import FollowUpTraining, TrialFinished
from storage.direction import Direction
from storage.studies import FollowUp


def purpose_of(training: FollowUpTraining) -> str:
    """What is trained and what for: `trial 9, seed 3`."""
    planned = training.planned
    arm = arm_label(training.follow_up, planned.arm)
    if planned.purpose == "tune":
        optimizer = planned.values["optimizer"]
        rate = float(planned.values[f"{optimizer}.learning_rate"])
        return f"{arm} at learning rate {rate:.3g}"
    if planned.purpose == "refit":
        return f"{arm} on training and validation images"
    if training.follow_up.kind == "reproduce" and planned.arm == AGAIN:
        return arm
    seed = f"{arm}, seed {planned.seed_index + 1}"
    return f"{seed}, for the test split" if planned.purpose == "test" else seed


def arm_label(follow_up: FollowUp, arm: str) -> str:
    """An arm of a follow-up, as its answer calls it."""
    match follow_up.kind:
        case "ablate":
            plan = AblatePlan.from_json(follow_up.plan)
            if arm == REFERENCE:
                return plan.reference.name
            adds = any(each.technique == arm and each.adds for each in plan.arms)
            return f"with {arm}" if adds else f"without {arm}"
        case "confirm":
            baseline = ConfirmPlan.from_json(follow_up.plan).baseline
            if arm != baseline:
                return arm
            return f"baseline {arm}" if arm.startswith("trial ") else f"{arm} baseline"
        case "reproduce":
            trial = ReproducePlan.from_json(follow_up.plan).trial.name
            return f"{trial} under its own seed" if arm == AGAIN else f"{trial} afresh"
        case _:
            return RefitPlan.from_json(follow_up.plan).trial.name


@dataclass
class _Arm:
    """What one configuration has come to under its seeds."""

    scale: Scale
    values: list[float] = field(default_factory=list)
    diverged: int = 0

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def so_far(self) -> str:
        """Its mean and of how many seeds that is."""
        said = []
        if self.values:
            count = len(self.values)
            said.append(f"{self.scale.value(self.mean)} of {count} seed{'s' * (count > 1)}")
        if self.diverged:
            said.append(f"{self.diverged} diverged")
        return ", ".join(said)


class Standings:
    """The configurations of a follow-up beside each other, as far as they are trained.

    >>> standings = Standings(follow_up, Direction.UP, ())         # doctest: +SKIP
    >>> standings.add(training, 0.9785)
    >>> standings.lines()
    ['trial 16: 97.85 of 1 seed']
    """

    def __init__(
        self,
        follow_up: FollowUp,
        direction: Direction,
        trained: Iterable[tuple[FollowUpTraining, float | None]],
    ) -> None:
        self._follow_up = follow_up
        self._direction = direction
        self._arms: dict[str, _Arm] = {}
        for training, value in trained:
            self.add(training, value)

    def add(self, training: FollowUpTraining, value: float | None) -> None:
        """A training has finished; without a value it has diverged."""
        if training.planned.purpose != "judge":
            return
        arm = self._arms.setdefault(training.planned.arm, _Arm(Scale(training.metric)))
        if value is None:
            arm.diverged += 1
        else:
            arm.values.append(value)

    def beside(self, training: FollowUpTraining) -> str:
        """The training's own configuration so far, and the one that it is to be compared with."""
        own = training.planned.arm
        other = self._compared_with()
        if own not in self._arms:
            return ""
        if self._follow_up.kind == "reproduce" and own == AGAIN:
            recorded = ReproducePlan.from_json(self._follow_up.plan).trial.search_value
            return f"recorded {Scale(training.metric).value(recorded)}"
        said = f"so far {self._arms[own].so_far}"
        if other is not None and other != own:
            label = arm_label(self._follow_up, other)
            best = "" if other == REFERENCE else "best: "
            said += f"; {best}{label}, {self._arms[other].so_far}"
        return said

    def lines(self) -> Sequence[str]:
        """Each configuration, the best first; of an ablation the reference."""
        names = sorted(self._judged(), key=self._order)
        names += [name for name, arm in self._arms.items() if not arm.values]
        return [f"{arm_label(self._follow_up, name)}: {self._arms[name].so_far}" for name in names]

    def _judged(self) -> list[str]:
        return [name for name, arm in self._arms.items() if arm.values]

    def _order(self, name: str) -> tuple[bool, float]:
        mean = self._arms[name].mean
        return name != REFERENCE, -mean if self._direction.is_up else mean

    def _compared_with(self) -> str | None:
        if self._follow_up.kind not in ("confirm", "ablate"):
            return None
        return min(self._judged(), key=self._order, default=None)


def shown_value(value: float, training: FollowUpTraining) -> str:
    """A value of the study's metric: `accuracy 97.85 %`."""
    scale = Scale(training.metric)
    unit = " %" if scale.is_share else ""
    return f"{training.metric.replace('_', ' ')} {scale.value(value)}{unit}"


def outcome_of(event: TrialFinished, training: FollowUpTraining) -> str:
    """What a training has come to: `accuracy 97.85 %`, or how it ended without a value."""
    if event.outcome == "complete" and event.value is not None:
        # The value stands beside what the training is for, and would be taken for the test split's.
        where = " on the validation images" if training.planned.purpose == "test" else ""
        return f"{shown_value(event.value, training)}{where}"
    return event.outcome if event.reason is None else f"{event.outcome} ({event.reason})"
