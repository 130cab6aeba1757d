"""PyTorch's dropout with a generator of its own, where PyTorch's draws from the global one alone.

The masks are PyTorch's, bit for bit on a CPU, where the generator is in the state of the global
one.

>>> Dropout2d(0.25, torch.Generator().manual_seed(0))(torch.ones(8, 16, 5, 5)).shape
torch.Size([8, 16, 5, 5])
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class _Batch:
    # A batch that comes in pieces, as a layer knows it.
    images: int
    seen: int = 0
    # The mask is of all images of the batch, from the first piece on.
    mask: Tensor | None = None


class Dropout(nn.Dropout):
    """nn.Dropout whose masks come from `generator`, of the values' device; without one from the
    global one.
    """

    def __init__(self, p: float, generator: torch.Generator | None) -> None:
        super().__init__(p)
        self.generator = generator
        # Without one, what comes is a batch.
        self.batch: _Batch | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape; outside of training as they are."""
        if not self.training:
            return values
        if (batch := self.batch) is None:
            return values * self._mask(values, len(values))
        if batch.mask is None:
            batch.mask = self._mask(values, batch.images)
        first, batch.seen = batch.seen, batch.seen + len(values)
        return values * batch.mask[first : batch.seen]

    def _mask(self, values: Tensor, images: int) -> Tensor:
        # 0 with probability p; what is kept is scaled up, so that the mean stays.
        return (
            self._empty(values, images)
            .bernoulli_(1 - self.p, generator=self.generator)
            .div_(1 - self.p)
        )

    def _empty(self, values: Tensor, images: int) -> Tensor:
        # The tensor is for so many images like those of `values`.
        return (
            torch.empty_like(values)
            if images == len(values)
            else values.new_empty((images, *values.shape[1:]))
        )


class Dropout2d(Dropout):
    """nn.Dropout2d whose masks come from `generator`: of values (B, C, H, W) whole channels are
    dropped.
    """

    def _empty(self, values: Tensor, images: int) -> Tensor:
        return values.new_empty((images, values.shape[1], 1, 1))


@contextmanager
def masks_of_a_batch(model: nn.Module, images: int) -> Iterator[None]:
    """Inside, the network is given a batch of so many images in training, in any number of pieces,
    one after another.

    Each layer draws the masks of the whole batch when its first piece comes, and so layer after
    layer: they are those of the batch in one piece. In how many it comes changes nothing but how
    sums are rounded.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Dropout)]
    try:
        for layer in layers:
            layer.batch = _Batch(images)
        yield
    finally:
        for layer in layers:
            layer.batch = None
