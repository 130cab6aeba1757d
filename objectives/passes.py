"""One pass over the training images, an optimizer step a batch: one step after another, or as
replays of one record.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from objectives.augmentation import Transforms
from objectives.captured import Capture, CapturedStep
from objectives.device import sent
from objectives.protocol import Pulse

# Takes one optimizer step on the images of these numbers (B,), with their transforms, at that
# learning rate; gives (2, pieces) float32. It may be recorded: what differs from step to step comes
# in tensors, and the host reads none.
Take = Callable[[Tensor, Transforms, float | Tensor], Tensor]


def batch_lengths(images: int, batch_size: int) -> tuple[int, ...]:
    """Of the batches of so many images; a last batch of one joins the one before.

    >>> batch_lengths(10, 4), batch_lengths(9, 4)
    ((4, 4, 2), (4, 5))
    """
    cuts = [0, *range(batch_size, images - 1, batch_size), images]
    return tuple(end - start for start, end in pairwise(cuts))


@dataclass(frozen=True, eq=False)
class Epoch:
    """What a pass is made of: all of it is known before the pass begins."""

    # The order is (N,) int64, on the device: every image once, or some oftener and some not at all.
    order: Tensor
    # The batches in that order have these lengths, all alike but for the last.
    lengths: tuple[int, ...]
    # Each batch has its learning rate.
    rates: tuple[float, ...]
    # The transforms are those of the N images, in that order.
    transforms: Transforms


class Pass(Protocol):
    """How the steps of an epoch are taken."""

    @property
    def path(self) -> str:
        """How they are taken, as far as is known: "captured", or "eager: " and why."""

    def __call__(self, epoch: Epoch, pulse: Pulse) -> Tensor:
        """Takes every step, with a pulse after each, and gives what they gave, one beside another:
        (2, pieces).
        """


class EagerPass:
    """Takes one step after another."""

    def __init__(self, take: Take, path: str) -> None:
        self._take = take
        self.path = path

    def __call__(self, epoch: Epoch, pulse: Pulse) -> Tensor:
        """See Pass."""
        given, first = [], 0
        for length, rate in zip(epoch.lengths, epoch.rates, strict=True):
            batch = slice(first, first + length)
            given.append(self._take(epoch.order[batch], epoch.transforms.of(batch), rate))
            pulse()
            first += length
        return torch.cat(given, dim=1)


class CapturedPass:
    """Replays one record for every batch but a last one of another length; nothing else is asked of
    the device a step.

    Order, rates, transforms and results lie on the device, and so does the count of batches, which
    the record raises.
    """

    def __init__(self, take: Take, generators: Sequence[torch.Generator], capture: Capture) -> None:
        self._take = take
        self._generators = generators
        self._capture = capture
        # The tensors are held from the first epoch on.
        self._held: _Held | None = None
        self._step: CapturedStep | None = None

    @property
    def path(self) -> str:
        """See Pass."""
        return "eager: not captured yet" if self._step is None else self._step.path

    def __call__(self, epoch: Epoch, pulse: Pulse) -> Tensor:
        """See Pass."""
        if self._held is None or self._step is None:
            self._held = _Held(self._take, epoch)
            self._step = CapturedStep(self._held.take_next, self._generators, self._capture)
        self._held.begin(epoch)
        for _ in range(self._held.count):
            self._step()
            pulse()
        given = self._held.given()
        if self._held.count == len(epoch.lengths):
            return given
        rest = slice(self._held.count * epoch.lengths[0], None)
        last = self._take(epoch.order[rest], epoch.transforms.of(rest), epoch.rates[-1])
        pulse()
        return torch.cat([given, last], dim=1)


class _Held:
    # The batches of the first one's length, in memory that stays from epoch to epoch.
    def __init__(self, take: Take, epoch: Epoch) -> None:
        self._take = take
        self.count = epoch.lengths.count(epoch.lengths[0])
        device = epoch.order.device
        self._next = torch.zeros(1, dtype=torch.int64, device=device)
        self._places = torch.arange(epoch.lengths[0], device=device)
        self._order = torch.empty_like(epoch.order)
        self._rates = torch.empty(self.count, device=device)
        self._transforms = epoch.transforms.each(torch.empty_like)
        # The sums have shape (count, 2, pieces), from the first step on, which is not a recorded
        # one.
        self._given: Tensor | None = None

    def begin(self, epoch: Epoch) -> None:
        self._next.zero_()
        self._order.copy_(epoch.order)
        self._rates.copy_(sent(torch.tensor(epoch.rates[: self.count]), self._rates.device))
        self._transforms.copy_(epoch.transforms)

    def take_next(self) -> None:
        images = self._next * len(self._places) + self._places
        given = self._take(
            self._order[images], self._transforms.of(images), self._rates[self._next].view(())
        )
        if self._given is None:
            self._given = given.new_empty((self.count, *given.shape))
        self._given.index_copy_(0, self._next, given.unsqueeze(0))
        self._next.add_(1)

    def given(self) -> Tensor:
        assert self._given is not None
        return self._given.transpose(0, 1).flatten(1).clone()
