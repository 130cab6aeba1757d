"""Colours change as torchvision changes those of one picture, each image of a batch by its own
factor.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as theirs

from objectives import colours

SHAPES = [(6, 3, 17, 40), (6, 1, 32, 32), (6, 3, 2, 9), (6, 1, 1, 1)]
FACTORS = torch.tensor([0.0, 0.3, 0.77, 1.0, 1.31, 1.9])
SHIFTS = torch.tensor([-0.5, -0.21, 0.0, 0.07, 0.2, 0.5])


def pictures(shape: tuple[int, ...]) -> Tensor:
    """Of whole levels, as stored; some with one level alone, or few."""
    levels = torch.randint(256, shape, generator=torch.Generator().manual_seed(0))
    levels[1] = 77
    levels[2] = levels[2] // 100 * 100
    levels[3] = levels[3] // 4 + 90
    return levels / 255


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("ours", "function", "factors"),
    [
        (colours.adjust_brightness, theirs.adjust_brightness, FACTORS),
        (colours.adjust_contrast, theirs.adjust_contrast, FACTORS),
        (colours.adjust_saturation, theirs.adjust_saturation, FACTORS),
        (colours.adjust_hue, theirs.adjust_hue, SHIFTS),
        (colours.solarize, theirs.solarize, FACTORS / 2),
    ],
)
def test_each_image_changes_by_its_own_factor_as_torchvisions_picture_does(
    ours: Callable[[Tensor, Tensor], Tensor],
    function: Callable[[Tensor, float], Tensor],
    factors: Tensor,
    shape: tuple[int, ...],
) -> None:
    images = pictures(shape)
    expected = [
        function(image, float(factor)) for image, factor in zip(images, factors, strict=True)
    ]
    torch.testing.assert_close(ours(images, factors), torch.stack(expected), rtol=0, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_posterize_equalize_and_contrast_give_torchvisions_levels(shape: tuple[int, ...]) -> None:
    images, bits = pictures(shape), torch.tensor([8, 7, 5, 4, 3, 2])
    levels = (images * 255).round().to(torch.uint8)
    posterized = [theirs.posterize(each, int(bit)) for each, bit in zip(levels, bits, strict=True)]
    assert torch.equal(
        (colours.posterize(images, bits) * 255).round().byte(), torch.stack(posterized)
    )
    assert torch.equal((colours.equalize(images) * 255).round().byte(), theirs.equalize(levels))
    torch.testing.assert_close(
        colours.autocontrast(images), theirs.autocontrast(images), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_sharpness_blends_with_what_torchvision_smooths(shape: tuple[int, ...]) -> None:
    images = pictures(shape)
    expected = [
        theirs.adjust_sharpness(image, float(factor))
        for image, factor in zip(images, FACTORS, strict=True)
    ]
    found = colours.blend(images, colours.smoothed(images), FACTORS)
    # Pillow leaves pictures of two pixels a side as they are, ours blends them with themselves.
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=2e-6)


def test_without_colours_is_torchvisions_grey_in_every_channel_of_the_chosen_images() -> None:
    images, are_grey = pictures((6, 3, 17, 40)), torch.tensor([True, False] * 3)
    found = colours.without_colours(images, are_grey)
    expected = theirs.rgb_to_grayscale(images, num_output_channels=3)
    torch.testing.assert_close(found[are_grey], expected[are_grey], rtol=0, atol=1e-6)
    assert torch.equal(found[~are_grey], images[~are_grey])
    grey = pictures((6, 1, 32, 32))
    assert torch.equal(colours.without_colours(grey, are_grey), grey)
