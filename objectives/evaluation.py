"""What a model is shown, and how good it is on a split: every image counted, dropout off, batch
statistics fixed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# A smaller range of pixels is that of a constant image.
HALF_LEVEL = 0.5 / 255


def _as_is(images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return images


def _standard(images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return (images - mean.view(-1, 1, 1)) / deviation.view(-1, 1, 1)


def _minmax(images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return (images - low) / (high - low).clamp(min=HALF_LEVEL)


INPUT_NORMALIZATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "none": _as_is,
    "standard": _standard,
    "minmax": _minmax,
}


def normalizer(name: str, mean: Tensor, deviation: Tensor) -> Callable[[Tensor], Tensor]:
    """The input normalization of that name, for images (B, C, H, W) in 0..1.

    `mean` and `deviation` (C,) are of the training split, for "standard" alone. "minmax" brings
    each image, all its channels together, to 0..1; a constant image becomes 0.
    """
    return lambda images: INPUT_NORMALIZATIONS[name](images, mean, deviation)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a model on one split; K classes."""

    # The loss is the mean cross-entropy, in nats an image.
    loss: float
    # The confusion (K, K) is int64 on the CPU: a row a true class, a column a predicted one.
    confusion: Tensor

    @property
    def accuracy(self) -> float:
        """Share of images classified rightly."""
        return int(self.confusion.trace()) / int(self.confusion.sum())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that the split has images of."""
        images = self.confusion.sum(1).double()
        return float((self.confusion.diag() / images)[images > 0].mean())

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that are in the truth or in the predictions; 0 for one never met
        rightly.
        """
        both = (self.confusion.sum(0) + self.confusion.sum(1)).double()
        return float((2 * self.confusion.diag() / both)[both > 0].mean())


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalize: Callable[[Tensor], Tensor],
    batch_size: int,
) -> Evaluation:
    """Scores `model` on `images` (N, C, H, W) uint8 and `labels` (N,) int64, both on the model's
    device.

    `normalize` takes pixels in 0..1, float (B, C, H, W). The model is left in the mode it came in.
    """
    was_training = model.training
    model.eval()
    losses, predicted = [], []
    for batch, truth in zip(
        torch.split(images, batch_size), torch.split(labels, batch_size), strict=True
    ):
        logits = model(normalize(batch.float() / 255))
        losses.append(nn.functional.cross_entropy(logits, truth, reduction="sum"))
        predicted.append(logits.argmax(1))
    model.train(was_training)
    classes = logits.shape[1]
    pairs = torch.bincount(labels * classes + torch.cat(predicted), minlength=classes**2)
    return Evaluation(
        float(torch.stack(losses).sum()) / len(labels), pairs.view(classes, classes).cpu()
    )
