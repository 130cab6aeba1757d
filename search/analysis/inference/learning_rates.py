"""Which learning rate an arm gets, from a few runs at rates around the old one.

The arms of an ablation and its reference are tuned alike, so that no technique is judged at a rate
that was chosen for its presence. The runs that choose are used for nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.inference.runs import Numbers
from search.analysis.inference.second_look import DirectionName

# Factors of the old rate: two octaves down and up, one run at each.
OCTAVES = (-2.0, -1.0, 0.0, 1.0, 2.0)
# The best rate is thought to lie about so far from the old one: a standard deviation, in octaves.
PRIOR_OCTAVES = 1.0

STEP_OCTAVES = 0.05
# The top may lie so high about the best score seen, and a rate one octave off is worse by so much,
# in standard deviations of a run's noise.
TOPS = np.arange(-4.0, 2.01, 0.25)
CURVATURES = np.geomspace(0.03, 30.0, 31)
# Too high a rate may end far below any parabola, so the noise has heavy tails: a t distribution of
# so many degrees of freedom.
NOISE_FREEDOM = 4


@dataclass(frozen=True)
class RateChoice:
    """By which factor of the old rate an arm learns best."""

    # The octaves are the factor's binary logarithm.
    octaves: float
    # The posterior has this standard deviation, in octaves.
    deviation: float

    @property
    def factor(self) -> float:
        """To multiply the old rate by."""
        return float(2**self.octaves)


def choose_rate(
    octaves: Sequence[float],
    values: Sequence[float],
    noise: float,
    direction: DirectionName = "maximize",
) -> RateChoice:
    """The posterior mean of the vertex of value = top - curvature x (octaves - vertex)^2 + noise.

    `octaves` and `values` are of the runs that finished, any number of them; `noise` is a run's
    variance (`accuracy_noise`, `noise_of`). The vertex is N(0, 1 octave) about the old rate before
    the runs are seen, and lies between the rates that finished or the old one; the curvature is
    log-uniform. By a grid. With no runs the old rate stays.

    Assumes one optimum, and a worth that falls about as a parabola beside it. Source: Bayesian
    response surfaces (Box & Draper 2007, chapter 11); log-uniform scale: Jeffreys 1961.
    """
    tried = np.array([0.0, *octaves])
    vertices = np.arange(tried.min(), tried.max() + STEP_OCTAVES / 2, STEP_OCTAVES)
    logs = _log_likelihood(np.array(octaves), np.array(values), noise**0.5, direction, vertices)
    logs -= (vertices / PRIOR_OCTAVES) ** 2 / 2
    weights = np.exp(logs - logs.max())
    mean = float(np.average(vertices, weights=weights))
    return RateChoice(mean, float(np.average((vertices - mean) ** 2, weights=weights) ** 0.5))


def _log_likelihood(
    octaves: Numbers, values: Numbers, deviation: float, direction: DirectionName, vertices: Numbers
) -> Numbers:
    # The likelihood is of each vertex, summed over tops and curvatures; shapes (vertices,
    # curvatures, tops, runs).
    if len(values) == 0:
        return np.zeros(len(vertices))
    scaled = (values if direction == "maximize" else -values) / deviation
    below = (scaled - scaled.max())[None, None, None, :]
    fall = CURVATURES[:, None] * ((octaves - vertices[:, None]) ** 2)[:, None, :]
    errors = below - TOPS[None, None, :, None] + fall[:, :, None, :]
    logs = -(NOISE_FREEDOM + 1) / 2 * np.log1p(errors**2 / NOISE_FREEDOM).sum(axis=3)
    highest = logs.max()
    return np.asarray(highest + np.log(np.exp(logs - highest).sum(axis=(1, 2))))
