"""Which of K configurations may be the best: Hsu's comparisons with the best, with moderated
variances.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from search.analysis.inference.components import CONFIDENCE
from search.analysis.inference.differences import (
    PRIOR_FREEDOM,
    Side,
    WhichImages,
    half_width,
    sides,
)
from search.analysis.inference.runs import Runs
from search.analysis.inference.visibility import typical


@dataclass(frozen=True)
class BestSet:
    """The best configuration is, with 95 % confidence, among those that `may_be_best`; which of two
    is better is not said.
    """

    # The flags keep the order in which the configurations were given.
    may_be_best: tuple[bool, ...]
    # The choice has the best mean among those; it is None where every configuration has a diverged
    # run.
    choice: int | None


@dataclass(frozen=True)
class Visible:
    """The smallest difference between the best and another that is seen in 80 % of all cases, in
    fractions (of a loss: nats).
    """

    # So much is seen with the seeds and images at hand.
    now: float
    # So much would be seen with these images and endlessly many seeds.
    more_seeds: float


def best_set(
    configurations: Sequence[Runs],
    diverged: Sequence[int] | None = None,
    *,
    images: WhichImages = "new",
    confidence: float = CONFIDENCE,
) -> BestSet:
    """A configuration may be the best unless another leads it by more than `half_width` at the
    one-sided (1 - confidence) / (K - 1).

    The variances are moderated by d0 = min(2, n - 2), for K = 2 not at all. `diverged` counts, by
    configuration, the runs that did: one that has any is no candidate, and nothing is compared with
    it. The set holds the best mean, so it is empty only where every configuration has diverged.

    Assumes what `half_width` does; Bonferroni's division takes the place of Dunnett's quantile,
    which unequal variances break. Sources: Hsu 1984 (multiple comparisons with the best), Hsu 1996,
    chapter 4; Smyth 2004. ValueError for a candidate with fewer than two runs.
    """
    counts = [0] * len(configurations) if diverged is None else diverged
    places = [place for place, count in enumerate(counts) if count == 0]
    compared = _compared([configurations[place] for place in places])
    worth = [configurations[0].sign * side.parts.mean for side in compared]
    upper = (1 - confidence) / max(1, len(places) - 1)

    def is_beaten(one: int) -> bool:
        return any(
            worth[other] - worth[one] > half_width(compared[other], compared[one], upper, images)
            for other in range(len(compared))
            if other != one
        )

    kept = {place: worth[one] for one, place in enumerate(places) if not is_beaten(one)}
    return BestSet(
        tuple(place in kept for place in range(len(configurations))),
        max(kept, key=lambda place: kept[place], default=None),
    )


def visible_difference(
    configurations: Sequence[Runs],
    *,
    images: WhichImages = "new",
    confidence: float = CONFIDENCE,
) -> Visible | None:
    """The lead that `best_set` sees in 80 % of all cases (`Typical.visible`), for configurations
    that have as many runs as these and vary as these do, on average over all pairs.

    None for fewer than two configurations; ValueError for one of fewer than two runs.
    """
    if len(configurations) < 2:
        return None
    compared = _compared(configurations)
    usual = typical(compared, list(combinations(compared, 2)))
    upper = (1 - confidence) / (len(compared) - 1)
    runs = min(side.parts.count for side in compared)
    return Visible(
        usual.visible((runs, runs), _prior_freedom(configurations), upper, images),
        usual.visible_at_last(upper, images),
    )


def _compared(configurations: Sequence[Runs]) -> list[Side]:
    if not configurations:
        return []
    return sides(configurations, _prior_freedom(configurations))


def _prior_freedom(configurations: Sequence[Runs]) -> int:
    # Two configurations are Welch's case; with two runs the pooled variance would be most of each.
    fewest = min(runs.count for runs in configurations)
    return 0 if len(configurations) == 2 else max(0, min(PRIOR_FREEDOM, fewest - 2))
