"""TrivialAugment with its wide space: one operation an image, at a random strength (Müller & Hutter
2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", table 5).

Operations and magnitudes are those of torchvision.transforms.v2.TrivialAugmentWide. Those that move
pixels become matrices, so that images are resampled once, with whatever else moves them; bilinear
where the paper takes the nearest pixel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from objectives import colours
from objectives.affine import rotations
from objectives.drawing import share

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "auto_contrast",
    "equalize",
)
# A magnitude is one of so many, from nothing to the most.
BINS = 31
MOST_SHEAR = 0.99
# An image is moved by so many pixels at most, or by its side.
MOST_PIXELS = 32
MOST_DEGREES = 135
# A factor changes by so much at most, either way.
MOST_CHANGE = 0.99
FEWEST_BITS = 2


def draw_operations(count: int, strength: float, generator: torch.Generator) -> Tensor:
    """For each of so many images one operation with the probability `strength`, else identity:
    (count, 3), its place in OPERATIONS, its magnitude in 0..1 in steps of 1 / (BINS - 1), and its
    sign.
    """
    is_changed = share((count,), generator) < strength
    kinds = (share((count,), generator) * len(OPERATIONS)).floor().clamp(max=len(OPERATIONS) - 1)
    bins = (share((count,), generator) * BINS).floor().clamp(max=BINS - 1)
    signs = 1 - 2 * (share((count,), generator) < 0.5).float()
    return torch.stack([kinds * is_changed, bins / (BINS - 1), signs], dim=1)


def matrices_of(operations: Tensor, size: tuple[int, int]) -> Tensor:
    """The matrices (B, 3, 3), as `affine.warp` takes them, of operations (B, 3) on images of that
    (height, width); of those that move no pixels they are of identity.
    """
    kinds, magnitudes, signs = operations.unbind(1)
    (height, width), signed = size, magnitudes * signs

    def of(name: str) -> Tensor:
        return torch.where(kinds == OPERATIONS.index(name), signed, 0.0)

    matrices = rotations(torch.deg2rad(MOST_DEGREES * of("rotate")))
    # The first row and the first column of pixels stay, as in Pillow.
    for axis, other, name, side in ((0, 1, "shear_x", height), (1, 0, "shear_y", width)):
        slope = MOST_SHEAR * of(name)
        matrices[:, axis, other] += slope
        matrices[:, axis, 2] += slope * side / 2
    for axis, name, side in ((0, "translate_x", width), (1, "translate_y", height)):
        matrices[:, axis, 2] -= (min(MOST_PIXELS, side) * of(name)).trunc()
    return matrices


def with_colours_changed(images: Tensor, operations: Tensor) -> Tensor:
    """Images (B, C, H, W) in 0..1 after those of the operations (B, 3) that move no pixels."""
    kinds, magnitudes, signs = operations.unbind(1)

    def chosen(names: Sequence[str], changed: Tensor, otherwise: Tensor) -> Tensor:
        is_one = sum((kinds == OPERATIONS.index(name) for name in names), kinds != kinds)
        return torch.where(colours.per_image(is_one), changed, otherwise)

    grey = colours.luma(images)
    others = chosen(["color"], grey, torch.zeros_like(images))
    others = chosen(["contrast"], grey.mean((1, 2, 3), keepdim=True), others)
    others = chosen(["sharpness"], colours.smoothed(images), others)
    factors = 1 + MOST_CHANGE * magnitudes * signs
    blends = ["brightness", "contrast", "sharpness"]
    if images.shape[1] == 3:
        blends.append("color")
    found = chosen(blends, colours.blend(images, others, factors), images)
    bits = (8 - (8 - FEWEST_BITS) * magnitudes).round()
    found = chosen(["posterize"], colours.posterize(images, bits), found)
    found = chosen(["solarize"], colours.solarize(images, 1 - magnitudes), found)
    found = chosen(["auto_contrast"], colours.autocontrast(images), found)
    return chosen(["equalize"], colours.equalize(images), found)
