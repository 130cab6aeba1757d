"""Training images mixed with others of their batch, and what is then true of them."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from objectives.device import sent
from objectives.drawing import share
from objectives.rectangles import inside

# A distribution has so many quantiles, and is taken to be linear between them.
QUANTILES = 4096


@lru_cache(maxsize=8)
def _larger_shares(alpha: float) -> Tensor:
    # Quantiles of the larger one of x and 1 - x, x from Beta(alpha, alpha).
    import numpy as np
    from scipy.special import betaincinv

    upper_half = 0.5 + 0.5 * np.linspace(0, 1, QUANTILES + 1)
    return torch.from_numpy(betaincinv(alpha, alpha, upper_half)).float()


def draw_shares(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """mixup's share of its own that each of so many images keeps, (count,) in 0.5..1 (Zhang et al.
    2018).

    The paper draws x from Beta(alpha, alpha); here it is the larger of x and 1 - x, as which of two
    images is called the first one changes nothing.
    """
    quantiles = sent(_larger_shares(alpha), generator.device)
    place = share((count,), generator) * QUANTILES
    below = place.floor().clamp(max=QUANTILES - 1)
    index = below.long()
    return torch.lerp(quantiles[index], quantiles[index + 1], place - below)


def draw_cuts(count: int, strength: float, generator: torch.Generator) -> Tensor:
    """cutmix's rectangles (count, 2, 2), as `inside` takes them (Yun et al. 2019).

    With the probability `strength` a part of uniform area, alpha = 1 as in the paper, of the
    image's own aspect ratio, its middle anywhere, cut off at the sides; else it is empty.
    """
    is_cut = share((count,), generator) < strength
    half = share((count,), generator).sqrt() / 2 * is_cut
    bounds = []
    for _ in range(2):
        middle = share((count,), generator)
        bounds.append(torch.stack([middle - half, middle + half], dim=1).clamp(0, 1))
    return torch.stack(bounds, dim=1)


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of B images: each its own class, or in part that of another image."""

    # The labels have shape (B,) and are int64.
    labels: Tensor
    # The others are the classes of the images that each is mixed with, (B,) int64; None: of no
    # image.
    others: Tensor | None = None
    # The shares of each image's own class have shape (B,) and lie in 0..1.
    shares: Tensor | None = None

    def chunk(self, pieces: int) -> "list[Truth]":
        """In so many parts, one after another."""
        labels = self.labels.chunk(pieces)
        if self.others is None or self.shares is None:
            return [Truth(each) for each in labels]
        mixed = zip(labels, self.others.chunk(pieces), self.shares.chunk(pieces), strict=True)
        return [Truth(*each) for each in mixed]

    def cross_entropy(
        self, logits: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
    ) -> Tensor:
        """The sum of the images' cross-entropies; of a mixed one, of both classes by their shares.

        `logits` are (B, K). With smoothing the truth is shared evenly among all classes to that
        part (Szegedy et al. 2016). The weight (K,) of a class multiplies the whole loss of its
        images; by cross_entropy's own `weight`, smoothing would weigh each share of the truth by
        the class that has it.
        """
        if self.others is None and class_weights is None:
            return nn.functional.cross_entropy(
                logits, self.labels, reduction="sum", label_smoothing=label_smoothing
            )

        def losses(labels: Tensor) -> Tensor:
            found = nn.functional.cross_entropy(
                logits, labels, reduction="none", label_smoothing=label_smoothing
            )
            return found if class_weights is None else found * class_weights[labels]

        own = losses(self.labels)
        if self.others is None or self.shares is None:
            return own.sum()
        return torch.lerp(losses(self.others), own, self.shares).sum()

    def right(self, answers: Tensor) -> Tensor:
        """How many of the classes (B,) are right; of a mixed image, the share of that class."""
        own = answers == self.labels
        if self.others is None or self.shares is None:
            return own.sum()
        return torch.lerp((answers == self.others).float(), own.float(), self.shares).sum()


def mixed(
    images: Tensor, labels: Tensor, shares: Tensor | None, cuts: Tensor | None
) -> tuple[Tensor, Truth]:
    """Images (B, C, H, W) each mixed with the one before it in the batch, the first with the last,
    and what is then true of them: by `shares` (B,) of its own, and with the other's pixels inside
    of `cuts` (B, 2, 2), by their true share of the area.

    The order of a batch is random already, so that the other image is any.
    """
    if shares is None and cuts is None:
        return images, Truth(labels)
    others = images.roll(1, 0)
    own = torch.ones(len(images), device=images.device)
    if shares is not None:
        images, own = torch.lerp(others, images, shares.view(-1, 1, 1, 1)), shares
    if cuts is not None:
        is_cut = inside(images, cuts)
        images = torch.where(is_cut, others, images)
        own = own * (1 - is_cut.float().mean((1, 2, 3)))
    return images, Truth(labels, labels.roll(1, 0), own)
