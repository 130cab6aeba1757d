"""A multinomial logistic regression: from features to classes, by one convex fit.

Source: Hosmer, Lemeshow & Sturdivant 2013, chapter 8; the penalty is that of weights alone, as in
ridge regression.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn

from objectives.device import derived_seed
from objectives.protocol import Pulse, unwatched

# The strengths of the penalty that are tried, from the strongest on: so little of it leaves half of
# the digits of float32.
STRENGTHS = tuple(10.0**power for power in range(0, -7, -1))
# A strength is taken that nobody could judge, as no class has two images.
UNJUDGED = 1e-2
HELD_OUT_FRACTION = 0.2
# Of L-BFGS: it mostly ends after 30 to 150, by its gradient.
MOST_ITERATIONS = 300
SMALLEST_GRADIENT = 1e-6


@dataclass(frozen=True, eq=False)
class Regression:
    """F features to K classes."""

    # Weights are (F, K), the bias is (K,).
    weights: Tensor
    bias: Tensor
    # The penalty has this strength.
    strength: float

    def logits(self, features: Tensor) -> Tensor:
        """(N, K) of features (N, F) on its device, in its precision."""
        return features.to(self.weights.dtype) @ self.weights + self.bias


def regression_bytes(regression: Regression) -> bytes:
    """As the content of a safetensors file."""
    tensors = {
        "weights": regression.weights.cpu().contiguous(),
        "bias": regression.bias.cpu().contiguous(),
        "strength": torch.tensor(regression.strength, dtype=torch.float64),
    }
    return save(tensors)


def read_regression(content: bytes, device: torch.device) -> Regression:
    """What `regression_bytes` wrote, on the device: it gives the same logits."""
    tensors = load(content)
    weights, bias = (tensors[name].to(device, _precision(device)) for name in ("weights", "bias"))
    return Regression(weights, bias, float(tensors["strength"]))


def fit_judged(
    features: Tensor, labels: Tensor, classes: int, seed: int, pulse: Pulse = unwatched
) -> Regression:
    """A regression on all images, of the strength that is best on a fifth of them for a regression
    on the others, by cross-entropy; the seed draws which fifth, and nothing else.

    `features` (N, F) are brought to mean 0 and deviation 1 before they are weighed; `labels` (N,)
    int64. `pulse` is called again and again.
    """
    kept, held_out = (
        torch.from_numpy(rows).to(labels.device)
        for rows in held_out_split(labels.cpu().numpy(), seed)
    )
    standard, mean, deviation = _standardized(features)
    strength = UNJUDGED
    if len(held_out):
        strength = _best_strength(
            (standard[kept], labels[kept]), (standard[held_out], labels[held_out]), classes, pulse
        )
    found = fit(standard, labels, classes, strength, pulse=pulse)
    weights = found.weights / deviation.unsqueeze(1)
    return Regression(weights, found.bias - mean @ weights, strength)


def held_out_split(
    labels: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that stay and rows that are held out: a fifth of each class, at least one image, and
    never its last one. Drawn from np.random.RandomState, whose stream NumPy keeps the same in every
    release (NEP 19).
    """
    random = np.random.RandomState(derived_seed(seed, "held out") % 2**32)
    taken = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        share = max(1, round(HELD_OUT_FRACTION * len(rows)))
        taken[rows[: min(share, len(rows) - 1)]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def _best_strength(
    seen: tuple[Tensor, Tensor], judged_by: tuple[Tensor, Tensor], classes: int, pulse: Pulse
) -> float:
    # The loss on images that were not seen falls with the strength, and then rises.
    best, lowest, found = STRENGTHS[0], float("inf"), None
    for strength in STRENGTHS:
        found = fit(*seen, classes, strength, start=found, pulse=pulse)
        loss = float(nn.functional.cross_entropy(found.logits(judged_by[0]), judged_by[1]))
        if loss >= lowest:
            break
        best, lowest = strength, loss
    return best


def fit(
    features: Tensor,
    labels: Tensor,
    classes: int,
    strength: float,
    start: Regression | None = None,
    pulse: Pulse = unwatched,
) -> Regression:
    """The least of mean cross-entropy + strength / 2 x the sum of squared weights, the bias free:
    by L-BFGS on all images at once (Liu & Nocedal 1989), from `start`, else from zero.
    """
    weights = features.new_zeros(features.shape[1], classes)
    bias = features.new_zeros(classes)
    if start is not None:
        weights, bias = start.weights.clone(), start.bias.clone()
    parameters = [weights.requires_grad_(), bias.requires_grad_()]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=MOST_ITERATIONS,
        tolerance_grad=SMALLEST_GRADIENT,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = features @ weights + bias
        value: Tensor = nn.functional.cross_entropy(logits, labels)
        value = value + strength / 2 * (weights**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        pulse()
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return Regression(weights.detach(), bias.detach(), strength)


def _standardized(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    features = features.to(_precision(features.device))
    mean, deviation = features.mean(0), features.std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    return (features - mean) / deviation, mean, deviation


def _precision(device: torch.device) -> torch.dtype:
    # Apple's GPUs have no float64.
    return torch.float32 if device.type == "mps" else torch.float64
