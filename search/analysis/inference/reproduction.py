"""Whether a training that was done again came out as recorded."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm

from search.analysis.inference.components import Interval
from search.analysis.inference.noise import FLIPS, score_variance
from search.analysis.inference.runs import Classes, Numbers, Runs

ReproductionVerdict = Literal["identical", "rounding", "not shown to differ", "different"]

# Relative: other threads or another device change a sum's last digits, and after one epoch the loss
# is still the same to three; other seeds change it by more.
SAME_FIRST_LOSS = 1e-3
# Seeds are truly better and worse by so many times sqrt(p (1 - p)); twice `noise.SEED_SPREAD`, as
# one configuration's spread is known from no other.
SEED_SPREAD = 0.02
# Each tail of a two-sided interval of 95 % has this probability.
UPPER_TAIL = 0.025


@dataclass(frozen=True, eq=False)
class Record:
    """What one training left: k metrics after each of e epochs, and what it said of m images."""

    # The metrics have shape (e, k), the same ones in the same order for both trainings.
    epochs: Numbers
    # The first losses are those of training and validation after the first epoch.
    first_losses: tuple[float, float]
    # The value is the study's metric after the last epoch.
    value: float
    # The answers are that metric's scores in this one run; None: they were not recorded.
    answers: Runs | None
    # The predicted classes have shape (m,); None: they were not recorded.
    predicted: Classes | None
    # The hash is of the images' order and labels; None: it was not recorded.
    images_hash: str | None


@dataclass(frozen=True)
class Reproduction:
    """The verdict, and by how much the recorded value exceeds the new one."""

    verdict: ReproductionVerdict
    # The difference is recorded - new, in fractions (of a loss: nats).
    difference: float
    # Other seeds explain the differences in this interval.
    explained: Interval
    # So many images are classified otherwise; None: the predictions were not recorded.
    differing_images: int | None


def compare(recorded: Record, new: Record, incumbent_of: int = 1) -> Reproduction:
    """`recorded` against `new`, which was trained again and has its answers.

    "identical": all epochs' metrics and all predictions are equal. "rounding": else, both first
    losses are within 1e-3, relative to the recorded ones: the same training, which rounding made
    drift. "not shown to differ": else, the difference is one that seeds explain
    (`explained_by_seeds`). Else "different". Where the recorded run has no predictions the epochs
    alone are compared. `incumbent_of` is of how many trials the recorded one was the best, 1 where
    it was not. ValueError where the images differ, or their order, or `new` has no answers.
    """
    hashes = (recorded.images_hash, new.images_hash)
    if None not in hashes and hashes[0] != hashes[1]:
        raise ValueError("the two trainings were judged on other images, or in another order")
    if new.answers is None:
        raise ValueError("the new training has no answers to compare")
    drifted = None
    if recorded.predicted is not None and new.predicted is not None:
        drifted = int((recorded.predicted != new.predicted).sum())
    difference = recorded.value - new.value
    explained = explained_by_seeds(recorded.answers, new.answers, difference, incumbent_of)
    verdict: ReproductionVerdict = "different"
    if np.array_equal(recorded.epochs, new.epochs, equal_nan=True) and not drifted:
        verdict = "identical"
    elif np.allclose(new.first_losses, recorded.first_losses, rtol=SAME_FIRST_LOSS, atol=0):
        verdict = "rounding"
    elif explained.holds(difference):
        verdict = "not shown to differ"
    return Reproduction(verdict, difference, explained, drifted)


def explained_by_seeds(
    recorded: Runs | None, new: Runs, difference: float, incumbent_of: int = 1
) -> Interval:
    """The differences recorded - new that other seeds explain: -z(.025) sb .. z(.025/c) sb.

    sb^2 = (q + 1)/m^2 + 2 (.02)^2 p (1 - p): q images on which the two are not alike right, and
    seeds that are truly better or worse. c is `incumbent_of`: the best of c flatters, so of a loss
    the wide side is the other. For other metrics q is the sum of the squared differences of scores
    and p (1 - p) the scores' variance; without `recorded` q is what two runs differ by on average.

    Assumes a normal difference, and images on which runs flip independently: McNemar's variance
    (McNemar 1947) and one for seeds; Bonferroni's division for the best of c.
    """
    spread = score_variance(new)
    if recorded is None:
        squares = 2 * FLIPS * spread * new.images
    else:
        squares = float(((recorded.scores - new.scores) ** 2).sum())
        spread = (spread + score_variance(recorded)) / 2 + (difference / 2) ** 2
    deviation = (squares / new.images**2 + new.step**2 + 2 * SEED_SPREAD**2 * spread) ** 0.5
    usual, flattering = (float(norm.isf(UPPER_TAIL / c) * deviation) for c in (1, incumbent_of))
    return Interval(-flattering, usual) if new.is_loss else Interval(-usual, flattering)
