"""How much a single run's value would change under another seed, when there is one run only."""

from search.analysis.inference.components import variance_of_mean
from search.analysis.inference.runs import Runs

# Two runs of one configuration disagree on 2 x 0.55 x p (1 - p) of the images: so much of the
# variance of an image's score comes back with every seed. Small networks on mnist-5k gave it
# between 0.5 and 0.6 from 75 to 98 % (that runs differ by flips: Jordan 2023, arXiv 2304.01910).
FLIPS = 0.55
# Beyond flips seeds are truly better and worse: 0.14 points at 98 %, 0.43 at 75 %.
SEED_SPREAD = 0.01


def accuracy_noise(share: float, images: int) -> float:
    """The variance of one run's accuracy: .55 p (1 - p)/m + (.01)^2 p (1 - p), p the `share` that
    is right of m images; at least the 1/(12 m^2) of rounding.
    """
    return _noise(share * (1 - share), images, 1 / images)


def noise_of(runs: Runs) -> float:
    """The same for any metric, from the image scores of one run, or on average over several: their
    variance takes the place of p (1 - p), which it is for accuracy.
    """
    return _noise(score_variance(runs), runs.images, runs.step)


def score_variance(runs: Runs) -> float:
    """The variance of an image's score within a run, by class where the metric is: on average."""
    within = [variance_of_mean(scores, runs.classes) for scores in runs.scores]
    return sum(within) / runs.count * (runs.images - 1)


def _noise(spread: float, images: int, step: float) -> float:
    return max(FLIPS * spread / images + SEED_SPREAD**2 * spread, step**2 / 12)
