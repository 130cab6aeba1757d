"""A pass takes the steps of an epoch, each batch once, with its own rate and transforms, however
they are taken.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor

from objectives.augmentation import Transforms
from objectives.captured import WARM_UP_STEPS, Work
from objectives.passes import CapturedPass, EagerPass, Epoch, batch_lengths


class AsItIs:
    """A device whose record is the work itself."""

    warm_ups = 0

    def warming_up(self) -> AbstractContextManager[None]:
        self.warm_ups += 1
        return nullcontext()

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        return work


class Steps:
    """What each step was taken on."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[int], list[float], list[float], float]] = []

    def take(self, chosen: Tensor, transforms: Transforms, rate: float | Tensor) -> Tensor:
        assert transforms.matrices is not None
        assert transforms.rectangles is not None
        drawn = transforms.matrices[:, 0, 0].tolist(), transforms.rectangles[:, 0, 0].tolist()
        self.seen.append((chosen.tolist(), *drawn, float(rate)))
        pieces = -(-len(chosen) // 5)
        return torch.stack([chosen.sum() * 1.0, drawn[0][0] + torch.zeros(())])[:, None].repeat(
            1, pieces
        )


def epoch(images: int, batch_size: int, seed: int) -> Epoch:
    draw = torch.Generator().manual_seed(seed)
    lengths = batch_lengths(images, batch_size)
    return Epoch(
        torch.randperm(images, generator=draw),
        lengths,
        tuple(2.0**-step for step in range(len(lengths))),
        Transforms(
            torch.rand(images, 3, 3, generator=draw), torch.rand(images, 2, 2, generator=draw)
        ),
    )


@pytest.mark.parametrize(
    ("images", "batch_size", "lengths"),
    [
        (70, 16, (16, 16, 16, 16, 6)),
        (64, 16, (16, 16, 16, 16)),
        (65, 16, (16, 16, 16, 17)),
        (17, 16, (17,)),
        (18, 16, (16, 2)),
        (10, 100, (10,)),
        (9, 1, (1,) * 7 + (2,)),
        (1, 16, (1,)),
    ],
)
def test_a_captured_pass_takes_the_steps_of_an_eager_one(
    images: int, batch_size: int, lengths: tuple[int, ...]
) -> None:
    """Over several epochs, each with an order, rates and transforms of its own; a pulse after each
    step.
    """
    assert batch_lengths(images, batch_size) == lengths
    one, other, capture = Steps(), Steps(), AsItIs()
    eager, captured = EagerPass(one.take, "eager: cpu"), CapturedPass(other.take, [], capture)
    assert captured.path == "eager: not captured yet"
    pulses: list[str] = []
    for seed in range(3):
        expected = eager(epoch(images, batch_size, seed), lambda: pulses.append("eager"))
        found = captured(epoch(images, batch_size, seed), lambda: pulses.append("captured"))
        assert torch.equal(found, expected)
    assert other.seen == one.seen
    shown = [number for chosen, *_ in one.seen[: len(lengths)] for number in chosen]
    assert shown == epoch(images, batch_size, 0).order.tolist()
    assert pulses.count("eager") == pulses.count("captured") == 3 * len(lengths)
    full = 3 * lengths.count(lengths[0])
    assert capture.warm_ups == min(full, WARM_UP_STEPS)
    assert captured.path == ("captured" if full > WARM_UP_STEPS else "eager: not captured yet")


@pytest.mark.parametrize("batch_size", [5, 16, 64])
def test_what_a_pass_gave_is_not_overwritten_by_the_next(batch_size: int) -> None:
    captured = CapturedPass(Steps().take, [], AsItIs())
    first = captured(epoch(64, batch_size, 0), lambda: None)
    kept = first.clone()
    captured(epoch(64, batch_size, 1), lambda: None)
    assert torch.equal(first, kept)
