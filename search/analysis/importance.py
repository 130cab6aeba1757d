"""Which parameters set the best trials of a study apart, by PED-ANOVA."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import NormalDist

from search.analysis.ranking import rank
from search.space.configuration import spelt_once
from search.space.domains import Choice, Off, Range
from search.space.parameters import PARAMETERS, switched
from search.space.search_space import SearchSpace
from storage.direction import Direction
from storage.records import ParameterValue, TrialRecord

# Chosen on the made-up curves of objectives.synthetic, where sgd's learning rate decides under the
# optimizer sgd: of 30 trials drawn at random it came first for 12 of 12 seeds so, for 11 where
# parameters of fewer than 20 trials are judged too, for 4 where moreover the best are a tenth, as
# is Optuna's default.
BEST_SHARE = 0.25
FEWEST = 20


@dataclass(frozen=True)
class Importances:
    """Shares by parameter, the largest first, that add up to 1; a strength and its being on or off
    count as one.
    """

    shares: tuple[tuple[str, float], ...]
    best: int  # so many trials, of all `complete` ones, counted as the best
    complete: int
    left_out: tuple[
        str, ...
    ]  # searched parameters that some complete trials had, but fewer than FEWEST


def importances(
    trials: Sequence[TrialRecord], space: SearchSpace, direction: Direction
) -> Importances | None:
    """How differently each searched parameter is distributed among the best complete trials and
    among all complete.

    What exists only in a branch weighs as much as the branch was taken. `None` where no parameter
    can be judged. Source: PED-ANOVA (arXiv:2304.10255) in its conditional form (arXiv:2601.20800).
    """
    complete = [
        replace(trial, parameters=spelt_once(trial.parameters))
        for trial in trials
        if trial.state == "complete" and trial.value is not None
    ]
    domains = _domains(space)
    counts = Counter(
        name
        for trial in complete
        for name, domain in domains.items()
        if domain.holds(trial.parameters.get(name))
    )
    judged = [name for name in domains if counts[name] >= FEWEST]
    if not judged:
        return None
    ranked = rank(complete, direction)
    worst = ranked[math.ceil(BEST_SHARE * len(ranked)) - 1].value
    best = [
        trial
        for place, trial in enumerate(ranked)
        if place < BEST_SHARE * len(ranked) or trial.value == worst
    ]
    shares: dict[str, float] = {}
    for name, share in _by_ped_anova(
        complete, best, {name: domains[name] for name in judged}
    ).items():
        strength = switched(name)
        parameter = name if strength is None else strength.name
        shares[parameter] = shares.get(parameter, 0.0) + share
    return Importances(
        shares=tuple(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))),
        best=len(best),
        complete=len(complete),
        left_out=tuple(name for name in space.searched if counts[name] and name not in shares),
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


def _by_ped_anova(
    complete: Sequence[TrialRecord],
    best: Sequence[TrialRecord],
    domains: Mapping[str, Choice | Range],
) -> dict[str, float]:
    """Of each name, the Pearson divergence of its density among the best from that among all that
    have it.

    It is weighed by (share of the best that have it)^2 / (share of all that have it), theorem 4.2
    of arXiv:2601.20800, and brought to a sum of 1.
    """
    found = {}
    for name, domain in domains.items():
        among_all, among_best = (_values(trials, name, domain) for trials in (complete, best))
        divergence = 0.0
        if among_best and not domain.is_single:
            wide, narrow = (_density(domain, values) for values in (among_all, among_best))
            divergence = sum(
                one * (other / one - 1) ** 2 for one, other in zip(wide, narrow, strict=True)
            )
        weight = (len(among_best) / len(best)) ** 2 / (len(among_all) / len(complete))
        found[name] = weight * divergence
    total = sum(found.values())
    return {name: value / total if total > 0 else 1 / len(found) for name, value in found.items()}


def _values(
    trials: Sequence[TrialRecord], name: str, domain: Choice | Range
) -> list[ParameterValue]:
    values = (trial.parameters.get(name) for trial in trials)
    # It may not be there, and plain Optuna may have added trials with values of its own.
    return [value for value in values if domain.holds(value)]


# Densities as in Optuna's PedAnovaImportanceEvaluator, which a test compares with; to import that
# takes seconds where scikit-learn is installed.
GRID_CELLS = 50
PRIOR_WEIGHT = 1.0  # of one more kernel, as wide as the grid
NARROWEST = 0.5 / 1.64  # 90 % of such a kernel lie in its cell
NEVER_ZERO = 1e-12


def _density(domain: Choice | Range, values: Sequence[ParameterValue]) -> list[float]:
    """The probability of each option, or of each cell of a grid over the range."""
    if isinstance(domain, Choice):
        smooth = _smoothed(
            Counter(domain.options.index(value) for value in values), len(domain.options)
        )
    else:
        cells = _cells(domain)
        numbers = [value for value in values if isinstance(value, int | float)]
        smooth = _kernel_density(Counter(_cell(domain, cells, number) for number in numbers), cells)
    return [probability + NEVER_ZERO for probability in smooth]


def _cells(domain: Range) -> int:
    if not domain.whole:
        return GRID_CELLS
    values = domain.high - domain.low + 1
    return min(GRID_CELLS, math.ceil(math.log2(values)) + 1 if domain.log else round(values))


def _cell(domain: Range, cells: int, value: float) -> int:
    low, high, at = domain.low, domain.high, value
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
    kernels = [(NormalDist(cell, width), float(counts[cell])) for cell in seen]
    kernels.append((NormalDist((cells - 1) / 2, cells), PRIOR_WEIGHT))
    density = [0.0] * cells
    for kernel, weight in kernels:
        below = [kernel.cdf(edge - 0.5) for edge in range(cells + 1)]
        scale = weight / (number + PRIOR_WEIGHT) / (below[-1] - below[0])
        for cell in range(cells):
            density[cell] += scale * (below[cell + 1] - below[cell])
    return density
