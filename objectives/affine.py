"""Transforms that move pixels: a matrix an image, and what images become by them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from objectives.drawing import share, sides, uniform

# Images are shifted by up to this share of a side at strength 1.
SHIFT_SHARE = 0.25
# Images are turned by up to so much, either way, at strength 1.
ROTATION_DEGREES = 45.0
# A crop may leave this share of the area away at strength 1.
CROP_SHARE = 0.92
# The ratio of a crop's sides changes by up to this, either way, at strength 1.
CROP_ASPECT = 4 / 3


def _shift(
    count: int, size: tuple[int, int], strength: float, generator: torch.Generator
) -> Tensor:
    # Uniformly up to strength * SHIFT_SHARE of each side, both axes.
    matrices = torch.eye(3, device=generator.device).repeat(count, 1, 1)
    for row, side in enumerate(reversed(size)):
        matrices[:, row, 2] = uniform((count,), generator) * (side * strength * SHIFT_SHARE)
    return matrices


def _rotate(
    count: int, size: tuple[int, int], strength: float, generator: torch.Generator
) -> Tensor:
    # Uniformly up to strength * ROTATION_DEGREES either way, about the middle.
    return rotations(uniform((count,), generator) * math.radians(strength * ROTATION_DEGREES))


def _crop(count: int, size: tuple[int, int], strength: float, generator: torch.Generator) -> Tensor:
    # A part of random area and aspect ratio at a random place, stretched to the whole.
    area = 1 - strength * CROP_SHARE * share((count,), generator)
    matrices = torch.eye(3, device=generator.device).repeat(count, 1, 1)
    for axis, (side, part) in enumerate(
        zip(reversed(size), sides(area, CROP_ASPECT**strength, generator), strict=True)
    ):
        matrices[:, axis, axis] = part
        matrices[:, axis, 2] = uniform((count,), generator) * (1 - part) * side / 2
    return matrices


def _flip(count: int, size: tuple[int, int], strength: float, generator: torch.Generator) -> Tensor:
    return _mirrored(count, 0, strength, generator)


def _vertical_flip(
    count: int, size: tuple[int, int], strength: float, generator: torch.Generator
) -> Tensor:
    return _mirrored(count, 1, strength, generator)


def _mirrored(count: int, axis: int, strength: float, generator: torch.Generator) -> Tensor:
    matrices = torch.eye(3, device=generator.device).repeat(count, 1, 1)
    matrices[:, axis, axis] = 1 - 2 * (share((count,), generator) < strength / 2).float()
    return matrices


# Each function(count, (height, width), strength, generator) gives one matrix (3, 3) an image, as
# `warp` takes them.
AFFINES: dict[str, Callable[[int, tuple[int, int], float, torch.Generator], Tensor]] = {
    "shift": _shift,
    "random_resized_crop": _crop,
    "flip": _flip,
    "vertical_flip": _vertical_flip,
    "rotate": _rotate,
}


def rotations(radians: Tensor) -> Tensor:
    """The matrices (B, 3, 3) that `warp` turns images by, counter-clockwise as one looks at
    them.
    """
    cosine, sine = radians.cos(), radians.sin()
    zero, one = torch.zeros_like(radians), torch.ones_like(radians)
    return torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1).view(
        -1, 3, 3
    )


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Images (B, C, H, W) whose pixel at (x, y, 1) is the old one at matrix @ (x, y, 1); black
    where there is none.

    Coordinates are pixels from the middle of the image, x to the right and y down, so that a
    rotation of a picture that is not square does not shear it. Bilinear between pixels.
    """
    height, width = images.shape[-2:]
    scale = torch.ones(3, device=images.device)
    # A call of torch.tensor(..., device=...) would wait for a GPU, as `scale[0] = ...` does before
    # torch 2.14.
    scale[0].fill_(width / 2)
    scale[1].fill_(height / 2)
    # The sides of affine_grid run from -1 to 1.
    normalized = (matrices * scale / scale[:, None])[:, :2]
    grid = nn.functional.affine_grid(normalized, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)
