"""How far the probabilities of a model can be believed: one temperature, and what is left of the
error.

Guo et al. 2017, "On Calibration of Modern Neural Networks", ICML: temperature scaling (section 4.2)
and the expected calibration error (section 2).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from search.analysis.importance import Bounds

# The bins have equal width, as in Guo et al.
BINS = 15
# Confidences are told apart by so many steps from 0 to 1.
STEPS = 1000
# No temperature below the first or above the second is looked at.
TEMPERATURES = (0.1, 10.0)

# Logits have shape (N, K).
Logits = NDArray[np.floating]
# Labels have shape (N,).
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Below:
    """What a limit of confidence means on images: how many lie below it, and how right the rest is.

    >>> Below(images=4, count=1, right=3).accuracy
    1.0
    """

    images: int
    # So many images are below the limit.
    count: int
    # So many of the others are right.
    right: int

    @property
    def share(self) -> float:
        """Below, of all."""
        return self.count / self.images

    @property
    def share_interval(self) -> "Bounds":
        """95 %, for new images like these."""
        from search.analysis.recalls import wilson_interval

        return wilson_interval(self.count, self.images)

    @property
    def accuracy(self) -> float | None:
        """Of the others; `None` where there is none."""
        left = self.images - self.count
        return self.right / left if left else None

    @property
    def accuracy_interval(self) -> "Bounds | None":
        """95 %, for new images like these."""
        from search.analysis.recalls import wilson_interval

        left = self.images - self.count
        return wilson_interval(self.right, left) if left else None


@dataclass(frozen=True)
class Calibration:
    """One temperature, fitted on the images that the errors are of: they flatter."""

    temperature: float
    # The error is the expected calibration error of the logits' softmax.
    error_before: float
    # The error is that of the logits divided by the temperature.
    error_after: float
    # Each entry is thousandths of confidence, the images with so much and the right ones among
    # them; the lowest comes first.
    confidences: tuple[tuple[int, int, int], ...]

    @property
    def images(self) -> int:
        """Of the validation split."""
        return sum(count for _, count, _ in self.confidences)

    def below(self, confidence: float) -> Below:
        """How many of the validation images have less confidence, and how right the others are.

        >>> Calibration(1.0, 0.0, 0.0, ((500, 1, 0), (900, 3, 3))).below(0.8)
        Below(images=4, count=1, right=3)
        """
        limit = round(confidence * STEPS, 6)
        left = [(count, right) for step, count, right in self.confidences if step >= limit]
        others = sum(count for count, _ in left)
        return Below(self.images, self.images - others, sum(right for _, right in left))


def calibrate(logits: Logits, labels: Labels) -> Calibration:
    """The temperature with the lowest cross-entropy, to four digits: the last bits of logits, which
    are other ones on another processor, are not in it.

    Where no image is classified wrongly none can be fitted, and it is 1.
    """
    from scipy.optimize import minimize_scalar

    temperature = 1.0
    if (logits.argmax(1) != labels).any():
        # By the logarithm it has one minimum: the cross-entropy is convex in 1 / temperature.
        found = minimize_scalar(
            lambda log: _cross_entropy(logits, labels, float(np.exp(log))),
            bounds=np.log(TEMPERATURES),
            method="bounded",
            options={"xatol": 1e-6},
        )
        temperature = round(float(np.exp(found.x)), 4)
    return Calibration(
        temperature,
        expected_calibration_error(logits, labels, 1.0),
        expected_calibration_error(logits, labels, temperature),
        _confidences(logits, labels, temperature),
    )


def probabilities_of(logits: Logits, temperature: float) -> NDArray[np.float32]:
    """The softmax (N, K) of logits divided by the temperature."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(1, keepdims=True))
    shares: NDArray[np.float64] = exponentials / exponentials.sum(1, keepdims=True)
    return shares.astype(np.float32)


def expected_calibration_error(logits: Logits, labels: Labels, temperature: float) -> float:
    """The mean over images of |confidence - share of right ones|, both of the image's bin of
    confidence; to six digits.
    """
    confidence, right = _confidence(logits, labels, temperature)
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return round(float(np.abs(gaps).sum()) / len(labels), 6)


def _cross_entropy(logits: Logits, labels: Labels, temperature: float) -> float:
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    logs = np.log(np.exp(scaled).sum(1))
    return float((logs - scaled[np.arange(len(labels)), labels]).mean())


def _confidence(
    logits: Logits, labels: Labels, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    probabilities = probabilities_of(logits, temperature).astype(np.float64)
    return probabilities.max(1), probabilities.argmax(1) == labels


def _confidences(
    logits: Logits, labels: Labels, temperature: float
) -> tuple[tuple[int, int, int], ...]:
    confidence, right = _confidence(logits, labels, temperature)
    steps = np.floor(confidence * STEPS).astype(np.int64)
    counts = np.bincount(steps, minlength=STEPS + 1)
    rights = np.bincount(steps, weights=right, minlength=STEPS + 1).astype(np.int64)
    return tuple((int(at), int(counts[at]), int(rights[at])) for at in np.flatnonzero(counts))
