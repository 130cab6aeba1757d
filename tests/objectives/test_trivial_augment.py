"""TrivialAugment's operations are the paper's, by torchvision's functions of one picture."""

import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import TrivialAugmentWide
from torchvision.transforms.v2 import functional as theirs

from objectives.affine import warp
from objectives.trivial_augment import (
    BINS,
    OPERATIONS,
    draw_operations,
    matrices_of,
    with_colours_changed,
)

BILINEAR = InterpolationMode.BILINEAR


def all_of(magnitude: float, sign: float) -> Tensor:
    return torch.tensor([[kind, magnitude, sign] for kind in range(len(OPERATIONS))])


def by_torchvision(name: str, image: Tensor, magnitude: float, sign: float) -> Tensor:
    """What the paper does at that share of its widest magnitude."""
    signed, corner = magnitude * sign, [0, 0]
    shear = math.degrees(math.atan(0.99 * signed))
    pixels = [int(min(32, side) * signed) for side in image.shape[-2:]]
    bits = round(8 - 6 * magnitude)
    match name:
        case "shear_x":
            return theirs.affine(
                image, 0.0, [0, 0], 1.0, [shear, 0.0], interpolation=BILINEAR, center=corner
            )
        case "shear_y":
            return theirs.affine(
                image, 0.0, [0, 0], 1.0, [0.0, shear], interpolation=BILINEAR, center=corner
            )
        case "translate_x":
            return theirs.affine(image, 0.0, [pixels[1], 0], 1.0, [0.0, 0.0])
        case "translate_y":
            return theirs.affine(image, 0.0, [0, pixels[0]], 1.0, [0.0, 0.0])
        case "rotate":
            return theirs.rotate(image, 135 * signed, interpolation=BILINEAR)
        case "brightness":
            return theirs.adjust_brightness(image, 1 + 0.99 * signed)
        case "color":
            return theirs.adjust_saturation(image, 1 + 0.99 * signed)
        case "contrast":
            return theirs.adjust_contrast(image, 1 + 0.99 * signed)
        case "sharpness":
            return theirs.adjust_sharpness(image, 1 + 0.99 * signed)
        case "posterize":
            return theirs.posterize((image * 255).round().byte(), bits).float() / 255
        case "solarize":
            return theirs.solarize(image, 1 - magnitude)
        case "auto_contrast":
            return theirs.autocontrast(image)
        case "equalize":
            return theirs.equalize(image)
        case _:
            return image


@pytest.mark.parametrize("shape", [(3, 17, 40), (1, 32, 32), (3, 64, 48)])
@pytest.mark.parametrize(("bin_", "sign"), [(0, 1.0), (7, -1.0), (20, 1.0), (30, -1.0)])
def test_every_operation_is_torchvisions_at_every_magnitude(
    shape: tuple[int, int, int], bin_: int, sign: float
) -> None:
    levels = torch.randint(256, shape, generator=torch.Generator().manual_seed(1))
    image, magnitude = levels / 255, bin_ / (BINS - 1)
    operations = all_of(magnitude, sign)
    images = image.expand(len(OPERATIONS), *shape)
    moved = warp(images, matrices_of(operations, (shape[1], shape[2])))
    changed = with_colours_changed(images, operations)
    for place, name in enumerate(OPERATIONS):
        expected = by_torchvision(name, image, magnitude, sign)
        found = changed if torch.equal(moved[place], moved[0]) else moved
        torch.testing.assert_close(found[place], expected, rtol=0, atol=1e-3, msg=name)
        assert torch.equal(changed[place], image) or torch.equal(moved[place], moved[0])


def test_the_operations_are_those_of_the_wide_space() -> None:
    wide = [
        # The names are written as ShearX or AutoContrast.
        "".join(part.capitalize() for part in name.split("_"))
        for name in OPERATIONS
    ]
    assert wide == list(TrivialAugmentWide._AUGMENTATION_SPACE)


def test_operations_magnitudes_and_signs_are_even_in_so_many_images() -> None:
    drawn = draw_operations(60_000, 0.7, torch.Generator().manual_seed(0))
    kinds, magnitudes, signs = drawn.unbind(1)
    shares = kinds.long().bincount(minlength=14) / 60_000
    expected = torch.full((14,), 0.7 / 14)
    expected[0] += 0.3
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.005)
    bins = (magnitudes * 30).round().long()
    torch.testing.assert_close(
        bins.bincount() / 60_000, torch.full((31,), 1 / 31), rtol=0, atol=0.003
    )
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(float(signs.mean())) < 0.02
