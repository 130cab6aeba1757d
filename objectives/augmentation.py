"""Random transforms of training images, drawn per image, on their device."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from objectives.hyperparameters import Augmentation

SHIFT_SHARE = 0.25  # of a side, at strength 1
ROTATION_DEGREES = 45.0  # at strength 1


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    # In -1..1, on the generator's device.
    return torch.rand(shape, generator=generator, device=generator.device) * 2 - 1


def _shift(count: int, size: tuple[int, int], strength: float, generator: torch.Generator) -> Tensor:
    # Uniformly up to strength * SHIFT_SHARE of each side, both axes.
    matrices = torch.eye(3, device=generator.device).repeat(count, 1, 1)
    for row, side in enumerate(reversed(size)):
        matrices[:, row, 2] = _uniform((count,), generator) * (side * strength * SHIFT_SHARE)
    return matrices


def _rotate(count: int, size: tuple[int, int], strength: float, generator: torch.Generator) -> Tensor:
    # Uniformly up to strength * ROTATION_DEGREES either way, about the middle.
    return rotations(_uniform((count,), generator) * math.radians(strength * ROTATION_DEGREES))


# name -> function(count, (height, width), strength, generator) giving one matrix (3, 3) an image, as `warp` takes them.
AFFINES: dict[str, Callable[[int, tuple[int, int], float, torch.Generator], Tensor]] = {
    "shift": _shift,
    "rotate": _rotate,
}


def rotations(radians: Tensor) -> Tensor:
    """The matrices (B, 3, 3) that `warp` turns images by, counter-clockwise as one looks at them."""
    cosine, sine = radians.cos(), radians.sin()
    zero, one = torch.zeros_like(radians), torch.ones_like(radians)
    return torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1).view(-1, 3, 3)


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Images (B, C, H, W) whose pixel at (x, y, 1) is the old one at matrix @ (x, y, 1); black where there is none.

    Coordinates are pixels from the middle of the image, x to the right and y down, so that a rotation of a picture that
    is not square does not shear it. Bilinear between pixels.
    """
    height, width = images.shape[-2:]
    scale = torch.ones(3, device=images.device)
    scale[0], scale[1] = width / 2, height / 2  # torch.tensor(..., device=...) would wait for a GPU
    normalized = (matrices * scale / scale[:, None])[:, :2]  # affine_grid's sides run from -1 to 1
    grid = nn.functional.affine_grid(normalized, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """The augmentation's operations on each of the images (B, C, H, W) in 0..1, in their order, as one resampling.

    `generator` is of the images' device. `strength` s means: shift uniformly by up to 25 % * s of each side on both
    axes; rotate uniformly by up to 45 degrees * s. What comes in from outside is black.
    """
    height, width = images.shape[-2:]
    matrices = torch.eye(3, device=images.device)
    for operation in augmentation.operations:
        matrices = matrices @ AFFINES[operation](len(images), (height, width), augmentation.strength, generator)
    return warp(images, matrices)
