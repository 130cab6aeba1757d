"""What each technique of a configuration is worth: arms against a reference, all of them judged
together, in looks at more and more seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from search.analysis.inference.components import CONFIDENCE, Interval
from search.analysis.inference.differences import (
    PRIOR_FREEDOM,
    Side,
    WhichImages,
    half_width,
    interval,
    sides,
)
from search.analysis.inference.runs import Runs
from search.analysis.inference.visibility import typical

EffectVerdict = Literal["helps", "hurts", "not told", "diverged"]


@dataclass(frozen=True)
class Look:
    """When so many seeds are there, all arms are judged at this family-wise error."""

    # Each arm has so many seeds; the reference has twice as many.
    seeds: int
    error: float


# Three looks that are wrong in 5 % of all ablations together: their errors add up to it.
LOOKS = (Look(3, 0.010), Look(5, 0.015), Look(10, 0.025))


@dataclass(frozen=True, eq=False)
class Arm:
    """The reference but for one technique: without it, or with it where the reference has none.

    `runs` are those that did not diverge, which may be none.
    """

    name: str
    runs: Runs
    adds: bool = False
    diverged: int = 0

    @property
    def seeds(self) -> int:
        """How many runs there are, diverged ones included."""
        return self.runs.count + self.diverged


@dataclass(frozen=True)
class AblationEffect:
    """What the technique does to the metric: with it less without it, in fractions (of a loss:
    nats); the interval is this effect's own, the verdict holds for all arms together.
    """

    name: str
    # The value is None where fewer than two of the arm's runs finished.
    value: float | None
    interval: Interval | None
    verdict: EffectVerdict
    # The strength is |value| in half-widths of the test; above 1 it would be told at once.
    strength: float
    # The arm has run under so many seeds, diverged ones included.
    seeds: int
    diverged: int


@dataclass(frozen=True)
class AblationJudgement:
    """The effects in the order of the arms, and the names of those that the next look is for."""

    effects: tuple[AblationEffect, ...]
    goes_on: tuple[str, ...]


def judge(
    reference: Runs,
    arms: Sequence[Arm],
    look: Look,
    *,
    told: Mapping[str, EffectVerdict] | None = None,
    images: WhichImages = "new",
    confidence: float = CONFIDENCE,
) -> AblationJudgement:
    """All arms by Holm's step-down test at the look's error, two-sided.

    The arm of the j-th greatest strength is told if all before it are and it differs from the
    reference by more than `half_width` at error / (2 (K - j)), j from 0, K the number of arms that
    can be judged. Variances are moderated (d0 = 2), pooled over reference and arms. `told` are the
    verdicts of earlier looks, which stand. Of the arms that had the look's seeds and are not told
    the half with the greater strength goes on, rounded down, but one at least; ties by name.

    For one look at N seeds: `Look(N, 0.05)`. Assumptions as for `half_width`; looks whose errors
    add up to alpha are wrong with at most alpha, whatever goes on. Sources: Holm 1979; Smyth 2004;
    Bonferroni's division over looks. ValueError where the reference, or an arm of which no run
    diverged, has fewer than two runs.
    """
    if len({arm.name for arm in arms}) < len(arms):
        raise ValueError("two arms have one name")
    judged = _judged(arms)
    versus, *others = sides([reference, *(arm.runs for arm in judged)], PRIOR_FREEDOM)
    compared = {arm.name: side for arm, side in zip(judged, others, strict=True)}
    first = look.error / (2 * max(1, len(judged)))
    strengths = {name: _strength(versus, side, first, images) for name, side in compared.items()}
    now = _told(versus, compared, strengths, look.error, images)
    upper = (1 - confidence) / 2
    effects = []
    for arm in arms:
        if arm.name not in compared:
            effects.append(
                AblationEffect(arm.name, None, None, "diverged", 0.0, arm.seeds, arm.diverged)
            )
            continue
        side = compared[arm.name]
        pair = (side, versus) if arm.adds else (versus, side)
        value = pair[0].parts.mean - pair[1].parts.mean
        verdict = _verdict(value * reference.sign) if arm.name in now else "not told"
        effects.append(
            AblationEffect(
                arm.name,
                value,
                interval(*pair, half_width(*pair, upper, images)),
                (told or {}).get(arm.name, verdict),
                strengths[arm.name],
                arm.seeds,
                arm.diverged,
            )
        )
    return AblationJudgement(tuple(effects), _going_on(effects, look))


def visible_effect(
    reference: Runs, arms: Sequence[Arm], look: Look, *, images: WhichImages = "new"
) -> float:
    """The smallest effect that `judge` would tell at that look in 80 % of all cases, were it the
    only one (`Typical.visible`): in fractions (of a loss: nats).

    For arms of `look.seeds` runs and a reference of twice as many, which vary as these do; the runs
    at hand may be fewer or more. ValueError where no arm has two runs.
    """
    judged = _judged(arms)
    if not judged:
        raise ValueError("every arm diverged: nothing says how they vary")
    versus, *others = sides([reference, *(arm.runs for arm in judged)], PRIOR_FREEDOM)
    usual = typical([versus, *others], [(versus, side) for side in others])
    upper = look.error / (2 * len(judged))
    return usual.visible((look.seeds, 2 * look.seeds), PRIOR_FREEDOM, upper, images)


def _judged(arms: Sequence[Arm]) -> list[Arm]:
    # An arm that has not two runs for another reason than divergence is refused by `sides`.
    return [arm for arm in arms if arm.runs.count >= 2 or not arm.diverged]


def _told(
    versus: Side,
    compared: Mapping[str, Side],
    strengths: Mapping[str, float],
    error: float,
    images: WhichImages,
) -> set[str]:
    # Holm's step-down: the first that fails ends it.
    told: set[str] = set()
    for name in sorted(compared, key=lambda name: -strengths[name]):
        upper = error / (2 * (len(compared) - len(told)))
        if _strength(versus, compared[name], upper, images) <= 1:
            break
        told.add(name)
    return told


def _strength(versus: Side, side: Side, upper: float, images: WhichImages) -> float:
    return abs(versus.parts.mean - side.parts.mean) / half_width(versus, side, upper, images)


def _verdict(gain: float) -> EffectVerdict:
    return "helps" if gain > 0 else "hurts"


def _going_on(effects: Sequence[AblationEffect], look: Look) -> tuple[str, ...]:
    undecided = [
        effect for effect in effects if effect.verdict == "not told" and effect.seeds >= look.seeds
    ]
    undecided.sort(key=lambda effect: (-effect.strength, effect.name))
    return tuple(effect.name for effect in undecided[: max(1, len(undecided) // 2)])
