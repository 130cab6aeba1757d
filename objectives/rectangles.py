"""Rectangles of images, as shares of their sides: drawn, and which pixels are inside."""

import torch
from torch import Tensor

from objectives.drawing import share, sides

# A rectangle to erase takes between these shares of the area at strength 1.
ERASED_SHARES = (0.02, 0.33)
# The ratio of its sides is up to this, either way.
ERASED_ASPECT = 10 / 3


def draw_erased(count: int, strength: float, generator: torch.Generator) -> Tensor:
    """A rectangle (2, 2) for each of so many images, as `inside` takes them: (count, 2, 2) (Zhong
    et al. 2020).

    Half of them are empty. The others' area is uniform from 2 % to 33 % of the image times
    `strength`, their aspect ratio log-uniform from 3:10 to 10:3.
    """
    low, high = (strength * erased for erased in ERASED_SHARES)
    area = low + (high - low) * share((count,), generator)
    is_erased = share((count,), generator) < 0.5
    bounds = []
    for part in sides(area, ERASED_ASPECT, generator):
        start = share((count,), generator) * (1 - part)
        bounds.append(torch.stack([start, start + part * is_erased], dim=1))
    return torch.stack(bounds, dim=1)


def inside(images: Tensor, rectangles: Tensor) -> Tensor:
    """Whether each pixel's middle is inside of the rectangle of its image (B, C, H, W): (B, 1, H,
    W).

    `rectangles` (B, 2, 2) are start and end of each from left to right, and from top to bottom, as
    shares of the side.
    """
    height, width = images.shape[-2:]
    across, down = (
        (middles >= rectangles[:, axis, :1]) & (middles < rectangles[:, axis, 1:])
        for axis, pixels in enumerate((width, height))
        for middles in ((torch.arange(pixels, device=images.device) + 0.5) / pixels,)
    )
    return (across.unsqueeze(1) & down.unsqueeze(2)).unsqueeze(1)


def blacken(images: Tensor, rectangles: Tensor) -> Tensor:
    """Images (B, C, H, W), black inside of the rectangles (B, 2, 2)."""
    return images.masked_fill(inside(images, rectangles), 0.0)
