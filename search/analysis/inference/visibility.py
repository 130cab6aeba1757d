"""The smallest difference that so many seeds and images can show: half-widths of configurations
that vary as those at hand do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from statistics import fmean

from search.analysis.inference.components import quantile
from search.analysis.inference.differences import Side, WhichImages, pair_freedom, pair_variance

# The share of all cases in which a difference that is called visible is seen.
POWER = 0.8


@dataclass(frozen=True)
class Typical:
    """How configurations vary, on average over those at hand: `run_variance` is S and
    `rest_of_mean` E / m, both pooled.
    """

    run_variance: float
    rest_of_mean: float
    # Configurations suit images differently by so much: var(r) / m of endlessly many runs.
    lasting: float
    # The part `lasting` has so many degrees of freedom.
    freedom: float

    def visible(
        self, runs: tuple[int, int], prior_freedom: float, upper: float, images: WhichImages
    ) -> float:
        """The difference that a test of tail `upper` sees in 80 % of all cases, where the two
        configurations have so many runs: h(upper) + h(1 - 0.8), h as in `half_width`.

        The sum of two quantiles is the usual approximation of a noncentral t (Lachin 1981).
        """
        parts = [1 / count for count in runs]
        freedoms = [prior_freedom + count - 1 for count in runs]
        of_seeds = sum(parts) ** 2 / sum(p**2 / f for p, f in zip(parts, freedoms, strict=True))
        rest = self.rest_of_mean * sum(parts)
        seeds, drawn = self.run_variance * sum(parts), 0.0
        if images == "new":
            seeds, drawn = max(0.0, seeds - rest), self.lasting + rest
        return fsum(
            sqrt(quantile(of_seeds, tail) ** 2 * seeds + quantile(self.freedom, tail) ** 2 * drawn)
            for tail in (upper, 1 - POWER)
        )

    def visible_at_last(self, upper: float, images: WhichImages) -> float:
        """The same for endlessly many runs: on these images whatever there is."""
        if images == "these":
            return 0.0
        factor = fsum(quantile(self.freedom, tail) for tail in (upper, 1 - POWER))
        return factor * sqrt(self.lasting)


def typical(configurations: Sequence[Side], pairs: Sequence[tuple[Side, Side]]) -> Typical:
    """Of these configurations, of which those pairs are compared."""
    freedoms = [side.parts.count - 1 for side in configurations]
    run_variances = [side.parts.run_variance for side in configurations]
    rests = [side.parts.rest_of_mean for side in configurations]
    return Typical(
        run_variance=fmean(run_variances, freedoms),
        rest_of_mean=fmean(rests, freedoms),
        lasting=max(0.0, fmean(_lasting(*pair) for pair in pairs)),
        freedom=fmean(pair_freedom(*pair) for pair in pairs),
    )


def _lasting(one: Side, other: Side) -> float:
    rest = sum(side.parts.rest_of_mean / side.parts.count for side in (one, other))
    return pair_variance(one, other) - rest
