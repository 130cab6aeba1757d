"""Random numbers on a generator's device, and what pictures' parts are drawn by."""

import math

import torch
from torch import Tensor


def share(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform in 0..1, on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device)


def uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform in -1..1, on the generator's device."""
    return share(shape, generator) * 2 - 1


def sides(area: Tensor, aspect: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Shares of width and height, at most the whole, of parts of that area; the aspect ratio is
    log-uniform up to `aspect` either way.
    """
    ratio = torch.exp(uniform(tuple(area.shape), generator) * math.log(aspect))
    return (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
