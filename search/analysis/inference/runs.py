"""The runs of one configuration on the same images, read by one metric: what every interval and
test of this room is made from.

Each metric becomes a score for every image in every run, so that a run's value is the mean of its
scores, and one formula serves all metrics:

| metric            | score of an image                                                     |
| accuracy          | 1 where it is classified rightly, else 0                              |
| balanced accuracy | images / (classes x images of its class) where right, else 0          |
| macro F1          | the value plus the image's influence on it (infinitesimal jackknife)  |
| loss              | its cross-entropy                                                     |

Shapes: n runs (seeds), m images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Classes = NDArray[np.integer]

# Probabilities of the true class are stored as float16: near 1 they are multiples of this, and
# nothing below the smallest is told from 0.
STORED_STEP = 2.0**-11
SMALLEST_STORED = 2.0**-24


@dataclass(frozen=True, eq=False)
class Runs:
    """What n runs of one configuration scored on m images; all of one metric, in fractions.

    Runs that diverged are not among them: they are counted apart.

    >>> accuracy(np.array([[True, True, False, True], [True, True, True, True]])).values
    array([0.75, 1.  ])
    """

    # The scores have shape (n, m); a run's value is their mean over the images.
    scores: Numbers
    # The bits have shape (n, m) and say whether the image was classified rightly; None for a loss.
    right: Bits | None
    # The classes (m,) are each image's, where the metric averages over classes by itself.
    classes: Classes | None
    # So many images, all of one weight, would tell as much.
    weight: float
    # Smaller differences than this between two runs' values mean nothing.
    step: float

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.scores.shape[1] < 2:
            raise ValueError(f"scores are (runs, images >= 2), not {self.scores.shape}")
        if not np.isfinite(self.scores).all():
            raise ValueError("a score is not finite: leave out the runs that diverged")

    @property
    def count(self) -> int:
        """n, how many runs there are."""
        return len(self.scores)

    @property
    def images(self) -> int:
        """m, how many images each run was judged on."""
        return int(self.scores.shape[1])

    @property
    def values(self) -> Numbers:
        """(n,) the metric of each run."""
        return np.asarray(self.scores.mean(axis=1))

    @property
    def is_loss(self) -> bool:
        """Whether less is better, and no value is too large."""
        return self.right is None

    @property
    def sign(self) -> int:
        """1 where more is better, -1 for a loss."""
        return -1 if self.is_loss else 1

    @property
    def highest(self) -> float:
        """The metric's upper limit; the lower is 0."""
        return np.inf if self.is_loss else 1.0


def accuracy(right: NDArray[np.generic]) -> Runs:
    """Of `right` (n, m): which images each run classified rightly, as bool or as 0 and 1."""
    bits = np.asarray(right, bool)
    return Runs(bits.astype(float), bits, None, bits.shape[-1], 1 / bits.shape[-1])


def balanced_accuracy(right: NDArray[np.generic], labels: Classes) -> Runs:
    """The mean recall over the classes that `labels` (m,) has images of; `right` (n, m)."""
    bits = np.asarray(right, bool)
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    images, worth = len(labels), len(labels) / (len(counts) * counts)
    return Runs(bits * worth[classes], bits, classes, _weight(counts), 1 / images)


def macro_f1(predicted: Classes, labels: Classes) -> Runs:
    """The mean F1 over the classes that are in the truth or in a run's predictions.

    `predicted` (n, m) and `labels` (m,) are class numbers from 0. An image's score is the value
    plus the derivative of the value by the image's weight, times m (the infinitesimal jackknife:
    Jaeckel 1972; Efron 1982, section 6.3). These derivatives add up to 0, as F1 does not change
    when all weights are doubled, so the mean of the scores is the value.
    """
    scores = np.array([_f1_scores(run, labels) for run in predicted]).reshape(-1, len(labels))
    counts = np.unique(labels, return_counts=True)[1]
    return Runs(scores, predicted == labels, None, _weight(counts), 1 / len(labels))


def loss(losses: Numbers) -> Runs:
    """The mean cross-entropy; `losses` (n, m), nats."""
    images = losses.shape[-1]
    return Runs(np.asarray(losses, float), None, None, images, STORED_STEP / images**0.5)


def losses_of(probabilities: NDArray[np.floating]) -> Numbers:
    """The cross-entropy of each image from the stored probability of its true class, nats."""
    return np.asarray(-np.log(np.maximum(np.asarray(probabilities, float), SMALLEST_STORED)))


def _weight(counts: NDArray[np.integer]) -> float:
    # With the same recall p in every class their mean varies as p (1 - p) sum(1 / counts) / C^2.
    return float(len(counts) ** 2 / (1 / counts).sum())


def _f1_scores(predicted: Classes, labels: Classes) -> Numbers:
    # F1 of a class is 2 hits / both, where `both` counts the images that have it in truth and those
    # that have it as prediction. Its derivative by an image's weight is (2 [hit] - F1 x [how often
    # the image counts in `both`]) / both.
    top = max(int(predicted.max()), int(labels.max())) + 1
    both = np.bincount(labels, minlength=top) + np.bincount(predicted, minlength=top)
    hits = np.bincount(labels[predicted == labels], minlength=top)
    met = np.maximum(both, 1)
    f1, classes = 2 * hits / met, np.count_nonzero(both)
    influence = 2 * (predicted == labels) / met[labels]
    influence -= f1[labels] / met[labels] + f1[predicted] / met[predicted]
    return np.asarray(f1.sum() / classes + len(labels) / classes * influence)
