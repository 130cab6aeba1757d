"""Which parameters set the best trials of a study apart, by PED-ANOVA."""

import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import mul
from statistics import NormalDist

from search.analysis.ranking import rank
from search.space.configuration import spelt_once
from search.space.domains import Choice, Off, Range
from search.space.parameters import PARAMETERS, switched
from search.space.search_space import SearchSpace
from storage.direction import Direction
from storage.records import ParameterValue, TrialRecord

# These numbers were chosen on the made-up curves of objectives.synthetic, where sgd's learning rate
# decides under the optimizer sgd: of 30 trials drawn at random it came first for 12 of 12 seeds so,
# for 11 where parameters of fewer than 20 trials are judged too, for 4 where moreover the best are
# a tenth, as is Optuna's default.
BEST_SHARE = 0.25
FEWEST = 20
RESAMPLES = 50
# A resample of more trials than this takes seconds, and changes an interval little.
MOST_DRAWN = 1000
# So much of the resamples lies between the ends of an interval; the ends of a wider one would hang
# on two or three.
INTERVAL_SHARE = 0.9
_SEED = 0


@dataclass(frozen=True)
class Importances:
    """Shares by parameter, the largest first, that add up to 1; a strength and its being on or off
    count as one.
    """

    shares: tuple[tuple[str, float], ...]
    # So many trials, of all `complete` ones, counted as the best.
    best: int
    complete: int
    # A searched parameter is left out where fewer than FEWEST complete trials had it.
    left_out: tuple[str, ...]


def importances(
    trials: Sequence[TrialRecord], space: SearchSpace, direction: Direction
) -> Importances | None:
    """How differently each searched parameter is distributed among the best complete trials and
    among all complete.

    What exists only in a branch weighs as much as the branch was taken. `None` where no parameter
    can be judged. Source: PED-ANOVA (arXiv:2304.10255) in its conditional form (arXiv:2601.20800).
    """
    sample = _sample(trials, space, direction)
    judged = sample.judged
    if not judged:
        return None
    everyone = range(len(sample.values))
    shares = sample.shares(judged, everyone)
    return Importances(
        shares=tuple(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))),
        best=len(sample.best(everyone)),
        complete=len(everyone),
        left_out=tuple(
            name for name in space.searched if sample.count(name) and name not in shares
        ),
    )


@dataclass(frozen=True)
class Bounds:
    """From the one bound to the other, both included."""

    low: float
    high: float


def importance_intervals(
    trials: Sequence[TrialRecord], space: SearchSpace, direction: Direction
) -> dict[str, Bounds]:
    """An interval for each importance, from RESAMPLES resamples, each of as many complete trials as
    there are, but at most MOST_DRAWN, drawn with replacement.

    It is the basic bootstrap (Davison & Hinkley 1997, 5.6): resampled importances are nearer to one
    another than those of the trials, as trials that are drawn twice make every density sharper, and
    twice the importance less their quantiles takes that out. Of made-up studies whose importances
    are known, such intervals held 48 to 92 % of them, and the quantiles themselves 11 to 34 %. An
    interval always holds the importance itself.

    It is drawn by a constant seed: the same trials have the same intervals. Empty where no
    parameter can be judged.
    """
    sample = _sample(trials, space, direction)
    if not sample.judged:
        return {}
    count, numbers = len(sample.values), random.Random(_SEED)
    observed = sample.shares(sample.judged, range(count))
    drawn = [
        sample.shares(
            sample.judged, sorted(numbers.choices(range(count), k=min(count, MOST_DRAWN)))
        )
        for _ in range(RESAMPLES)
    ]
    return {
        name: _reflected(share, sorted(shares[name] for shares in drawn))
        for name, share in observed.items()
    }


def _reflected(share: float, resampled: Sequence[float]) -> Bounds:
    low, high = (_quantile(resampled, (1 + side * INTERVAL_SHARE) / 2) for side in (-1, 1))
    return Bounds(
        low=max(0.0, min(share, 2 * share - high)), high=min(1.0, max(share, 2 * share - low))
    )


def _quantile(ordered: Sequence[float], at: float) -> float:
    """Linear between two of them, as NumPy's quantiles are."""
    place = at * (len(ordered) - 1)
    left = math.floor(place)
    right = min(left + 1, len(ordered) - 1)
    return ordered[left] + (place - left) * (ordered[right] - ordered[left])


@dataclass(frozen=True)
class _Sample:
    """Complete trials in order of rank: which cell of each parameter's domain each is in; `None`
    where it does not have the parameter.
    """

    domains: Mapping[str, Choice | Range]
    cells: Mapping[str, Sequence[int | None]]
    values: Sequence[float | None]

    def count(self, name: str) -> int:
        """How many trials have the parameter."""
        return sum(cell is not None for cell in self.cells.get(name, ()))

    @property
    def judged(self) -> Sequence[str]:
        """The parameters and switches that enough trials have."""
        return [name for name in self.cells if self.count(name) >= FEWEST]

    def best(self, drawn: Sequence[int]) -> Sequence[int]:
        """Of trials by rank, in ascending order: the best share, and what is as good as its last
        one.
        """
        count = math.ceil(BEST_SHARE * len(drawn))
        worst = self.values[drawn[count - 1]]
        while count < len(drawn) and self.values[drawn[count]] == worst:
            count += 1
        return drawn[:count]

    def shares(self, names: Iterable[str], drawn: Sequence[int]) -> dict[str, float]:
        """By parameter, a strength and its being on or off as one, brought to a sum of 1.

        Each weighs its divergence by (share of the best that have it)^2 / (share of all that have
        it), theorem 4.2 of arXiv:2601.20800.
        """
        best = self.best(drawn)
        found: dict[str, float] = {}
        for name in names:
            cells = self.cells[name]
            among_all, among_best = (
                Counter(cell for each in trials if (cell := cells[each]) is not None)
                for trials in (drawn, best)
            )
            weight = 0.0
            if among_best:
                of_best = among_best.total() / len(best)
                weight = of_best**2 / (among_all.total() / len(drawn))
            strength = switched(name)
            parameter = name if strength is None else strength.name
            divergence = self._divergence(name, among_all, among_best)
            found[parameter] = found.get(parameter, 0.0) + weight * divergence
        total = sum(found.values())
        return {name: each / total if total > 0 else 1 / len(found) for name, each in found.items()}

    def _divergence(self, name: str, among_all: Counter[int], among_best: Counter[int]) -> float:
        """Pearson's, of the density among the best from that among all that have the parameter."""
        domain = self.domains[name]
        if not among_best or domain.is_single:
            return 0.0
        wide, narrow = (_density(domain, counts) for counts in (among_all, among_best))
        return sum(one * (other / one - 1) ** 2 for one, other in zip(wide, narrow, strict=True))


def _sample(trials: Sequence[TrialRecord], space: SearchSpace, direction: Direction) -> _Sample:
    complete = [
        replace(trial, parameters=spelt_once(trial.parameters))
        for trial in trials
        if trial.state == "complete" and trial.value is not None
    ]
    ranked, domains = rank(complete, direction), _domains(space)
    return _Sample(
        domains,
        {
            name: [_cell_of(domain, trial.parameters.get(name)) for trial in ranked]
            for name, domain in domains.items()
        },
        [trial.value for trial in ranked],
    )


def _domains(space: SearchSpace) -> dict[str, Choice | Range]:
    """Of the searched parameters and their switches, as Optuna has them."""
    found: dict[str, Choice | Range] = {}
    for name in space.searched:
        domain = space.domain(name)
        if isinstance(domain, Off):
            continue
        if domain.optional:
            found[PARAMETERS[name].switch] = Choice((True, False))
        found[name] = domain
    return found


# Densities as in Optuna's PedAnovaImportanceEvaluator, which a test compares with; to import that
# takes seconds where scikit-learn is installed.
GRID_CELLS = 50
# The prior weighs as one more kernel, which is as wide as the grid.
PRIOR_WEIGHT = 1.0
# A kernel this narrow, in cells, has 90 % of its weight in its own cell.
NARROWEST = 0.5 / 1.64
NEVER_ZERO = 1e-12


def _density(domain: Choice | Range, counts: Counter[int]) -> list[float]:
    """The probability of each option, or of each cell of a grid over the range."""
    smooth = (
        _smoothed(counts, len(domain.options))
        if isinstance(domain, Choice)
        else _kernel_density(counts, _cells(domain))
    )
    return [probability + NEVER_ZERO for probability in smooth]


def _cells(domain: Range) -> int:
    if not domain.whole:
        return GRID_CELLS
    values = domain.high - domain.low + 1
    return min(GRID_CELLS, math.ceil(math.log2(values)) + 1 if domain.log else round(values))


def _cell_of(domain: Choice | Range, value: ParameterValue) -> int | None:
    """The option's place, or the cell of the grid; `None` where there is no such value."""
    if not domain.holds(value):
        return None
    if isinstance(domain, Choice):
        return domain.options.index(value)
    if domain.low == domain.high:
        return 0
    assert isinstance(value, int | float)
    cells = _cells(domain)
    low, high, at = domain.low, domain.high, float(value)
    if domain.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return min(max(math.ceil((at - low) * (cells - 1) / (high - low) - 0.5), 0), cells - 1)


def _smoothed(counts: Counter[int], options: int) -> list[float]:
    """A mixture with one part for each option seen, each leaning to its option, and an even one."""
    parts = len(counts) + 1
    total = counts.total() + PRIOR_WEIGHT
    elsewhere = PRIOR_WEIGHT / parts
    lean = 1 + options * elsewhere
    even = counts.total() / total * elsewhere / lean + PRIOR_WEIGHT / total / options
    return [even + counts[option] / total / lean for option in range(options)]


def _kernel_density(counts: Counter[int], cells: int) -> list[float]:
    """Normal kernels at the cells seen, cut off at the ends, their width by Scott's rule (Scott
    1992).
    """
    seen, number = sorted(counts), counts.total()
    mean = sum(cell * counts[cell] for cell in seen) / number
    deviation = math.sqrt(
        sum(counts[cell] * (cell - mean) ** 2 for cell in seen) / max(1, number - 1)
    )
    so_far = list(accumulate(counts[cell] for cell in seen))
    lower = seen[bisect_left(so_far, number // 4)]
    upper = seen[min(len(seen) - 1, bisect_right(so_far, number * 3 // 4))]
    width = max(1.059 * min((upper - lower) / 1.34, deviation) * number**-0.2, NARROWEST)
    # Of all kernels of one width, the share in a cell depends on how far it is from the middle.
    kernel = NormalDist(0.0, width)
    edges = [kernel.cdf(place - 0.5) for place in range(1 - cells, cells + 1)]
    far = [right - left for left, right in pairwise(edges)][::-1]
    weights = [
        counts[cell] / (edges[2 * cells - 1 - cell] - edges[cells - 1 - cell])
        for cell in range(cells)
    ]
    return [
        (sum(map(mul, weights, far[cells - 1 - place :])) + PRIOR_WEIGHT * flat)
        / (number + PRIOR_WEIGHT)
        for place, flat in enumerate(_flat_kernel(cells))
    ]


@lru_cache(maxsize=GRID_CELLS)
def _flat_kernel(cells: int) -> Sequence[float]:
    kernel = NormalDist((cells - 1) / 2, cells)
    below = [kernel.cdf(edge - 0.5) for edge in range(cells + 1)]
    return [(right - left) / (below[-1] - below[0]) for left, right in pairwise(below)]
