"""Which of a search's trials to train again, and which to name then: each configuration's true
worth as a normal posterior.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from search.analysis.inference.runs import Numbers

DirectionName = Literal["maximize", "minimize"]

FEWEST_FOR_PRIOR = 5
# The worst third is left out: those are failures of their own kind, not worse siblings.
SHARE_FOR_PRIOR = 2 / 3
# The prior's variance is at least this share of the noise's: a few scores may vary less than noise.
LEAST_PRIOR = 0.25


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is believed of each configuration's mean over seeds; for choosing, never to be shown."""

    # The means have shape (configurations,).
    means: Numbers
    variances: Numbers


@dataclass(frozen=True)
class SecondLook:
    """Which configuration to train next, and which has the best posterior mean now; by place."""

    retrain: int
    # The named one is expected to be so much better after that, in fractions.
    gain: float
    named: int


def posterior(
    scores: Sequence[Sequence[float]], noise: float, direction: DirectionName = "maximize"
) -> Posterior:
    """Of configurations with their scores so far, the search's first.

    Normal scores of variance `noise` (`accuracy_noise`, `noise_of`) about a mean that has a normal
    prior: its mean and variance from the best two thirds of the first scores, five at least, the
    variance less `noise` but at least a quarter of it. Source: the normal-normal model with an
    empirical prior (Efron & Morris 1973). ValueError for no configurations or one without a score.
    """
    if not scores or not all(scores):
        raise ValueError("a second look is at one configuration or more, each with a score")
    sign = 1 if direction == "maximize" else -1
    first = np.sort([sign * each[0] for each in scores])[::-1]
    top = first[: max(FEWEST_FOR_PRIOR, int(SHARE_FOR_PRIOR * len(first)))]
    spread = float(top.var(ddof=1)) - noise if len(top) > 1 else 0.0
    prior = max(LEAST_PRIOR * noise, spread)
    counts = np.array([len(each) for each in scores])
    sums = np.array([sign * sum(each) for each in scores])
    precisions = counts / noise + 1 / prior
    means = (sums / noise + top.mean() / prior) / precisions
    return Posterior(sign * means, 1 / precisions)


def second_look(
    scores: Sequence[Sequence[float]], noise: float, direction: DirectionName = "maximize"
) -> SecondLook:
    """The retraining of the largest knowledge gradient, d_i f(-|m_i - best other| / d_i) with f(z)
    = z Phi(z) + phi(z), m_i the posterior means and d_i how far one more score moves m_i.

    Assumes what `posterior` does; ties go to the first. Source: Frazier, Powell & Dayanik 2008.
    """
    sign = 1 if direction == "maximize" else -1
    believed = posterior(scores, noise, direction)
    means, variances = sign * believed.means, believed.variances
    named = int(np.argmax(means))
    if len(means) == 1:
        return SecondLook(0, 0.0, 0)
    best_other = np.full(len(means), means[named])
    best_other[named] = np.delete(means, named).max()
    moves = np.sqrt(variances - 1 / (1 / variances + 1 / noise))
    z = -np.abs(means - best_other) / moves
    gains = moves * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
    return SecondLook(int(np.argmax(gains)), float(gains.max()), named)
