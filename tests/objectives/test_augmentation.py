"""Augmentation is drawn for each image, within its documented bounds, without shear."""

import math

import pytest
import torch
from torch import Tensor

from objectives import names
from objectives.affine import rotations, warp
from objectives.augmentation import (
    Transforms,
    augment,
    draw,
    draw_in_batches,
)
from objectives.hyperparameters import Augmentation

COMBINATIONS = [
    ("shift",),
    ("random_resized_crop",),
    ("rotate",),
    ("shift", "rotate"),
    ("rotate", "shift"),
    names.AUGMENTATIONS,
]
# These techniques leave some images as they are.
SOMETIMES = [("flip",), ("vertical_flip",), ("random_erasing",)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dots(count: int, height: int, width: int, row: int, column: int) -> Tensor:
    """Black images with one white pixel."""
    images = torch.zeros(count, 1, height, width)
    images[:, :, row, column] = 1.0
    return images


def centres(images: Tensor) -> Tensor:
    """The centre of brightness of each image (B, C, H, W), as (x, y) pixels from the middle: (B,
    2).
    """
    height, width = images.shape[-2:]
    share = images.sum(1) / images.sum((1, 2, 3)).view(-1, 1, 1)
    x = (share.sum(1) * (torch.arange(width) - (width - 1) / 2)).sum(1)
    y = (share.sum(2) * (torch.arange(height) - (height - 1) / 2)).sum(1)
    return torch.stack([x, y], dim=1)


@pytest.mark.parametrize("operations", COMBINATIONS)
@pytest.mark.parametrize("shape", [(6, 1, 28, 28), (6, 3, 12, 20)])
def test_shape_type_and_range_stay_and_images_of_a_batch_differ(
    operations: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    image = torch.rand(shape[1:], generator=generator())
    found = augment(image.expand(shape), Augmentation(operations, 0.5), generator())
    assert found.shape == torch.Size(shape)
    assert found.dtype == torch.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert len({tuple(picture.flatten().tolist()) for picture in found}) == len(found)


@pytest.mark.parametrize("operations", COMBINATIONS + SOMETIMES)
def test_a_vanishing_strength_changes_nothing(operations: tuple[str, ...]) -> None:
    images = torch.rand((4, 3, 9, 14), generator=generator())
    found = augment(images, Augmentation(operations, 1e-7), generator())
    torch.testing.assert_close(found, images, rtol=0, atol=1e-4)


@pytest.mark.parametrize("operations", COMBINATIONS + SOMETIMES)
def test_the_generator_alone_decides(operations: tuple[str, ...]) -> None:
    images = torch.rand((20, 1, 9, 9), generator=generator())
    state = torch.get_rng_state()
    first, again, other = (
        augment(images, Augmentation(operations, 1.0), generator(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_shift_is_uniform_up_to_a_quarter_of_each_side_at_strength_1(strength: float) -> None:
    height, width = 21, 41
    found = augment(
        dots(4000, height, width, 10, 20), Augmentation(("shift",), strength), generator()
    )
    moved = centres(found)
    limits = strength * 0.25 * torch.tensor([width, height])
    assert (moved.abs() <= limits + 1e-3).all()
    torch.testing.assert_close(moved.abs().amax(0), limits, rtol=0.01, atol=0)
    # The moves have a uniform distribution: mean 0, deviation limit / sqrt(3); both axes on their
    # own.
    torch.testing.assert_close(moved.std(0), limits / math.sqrt(3), rtol=0.05, atol=0)
    assert (moved.mean(0).abs() < 0.05 * limits).all()
    assert abs(float(torch.corrcoef(moved.T)[0, 1])) < 0.06


@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_rotate_is_uniform_up_to_45_degrees_at_strength_1(strength: float) -> None:
    found = centres(
        augment(dots(4000, 41, 41, 20, 36), Augmentation(("rotate",), strength), generator())
    )
    degrees = torch.rad2deg(torch.atan2(-found[:, 1], found[:, 0]))
    assert float(degrees.abs().max()) == pytest.approx(45 * strength, rel=0.02)
    assert float(degrees.std()) == pytest.approx(45 * strength / math.sqrt(3), rel=0.05)
    assert abs(float(degrees.mean())) < 2.5 * strength


def test_what_comes_in_from_outside_is_black() -> None:
    found = augment(torch.ones(200, 1, 8, 8), Augmentation(("shift",), 1.0), generator())
    assert float(found.amin()) == 0.0
    assert (found.mean((1, 2, 3)) >= 0.75**2 - 0.05).all()


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("size", [7, 8])
def test_a_rotation_by_right_angles_turns_the_picture(turns: int, size: int) -> None:
    images = torch.rand((2, 3, size, size), generator=generator())
    found = warp(images, rotations(torch.full((2,), turns * math.pi / 2)))
    torch.testing.assert_close(found, torch.rot90(images, turns, (2, 3)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(21, 61), (61, 21)])
def test_a_rotation_keeps_distances_in_a_picture_that_is_not_square(
    height: int, width: int
) -> None:
    found = warp(
        dots(1, height, width, height // 2, width // 2 + 8),
        rotations(torch.tensor([math.radians(30)])),
    )
    expected = torch.tensor([[8 * math.cos(math.radians(30)), -8 * math.sin(math.radians(30))]])
    torch.testing.assert_close(centres(found), expected, rtol=0, atol=0.1)


def test_operations_act_in_their_order() -> None:
    """Shifted first, the dot is turned about the middle of the picture; shifted last, it goes the
    way of the shift.
    """
    image = dots(1, 41, 41, 20, 20)
    shift = torch.eye(3).unsqueeze(0)
    # The image is moved by 10 pixels to the right.
    shift[0, 0, 2] = -10.0
    # The turn is counter-clockwise.
    turn = rotations(torch.tensor([math.pi / 2]))
    torch.testing.assert_close(
        centres(warp(image, shift @ turn)), torch.tensor([[0.0, -10.0]]), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(
        centres(warp(image, turn @ shift)), torch.tensor([[10.0, 0.0]]), rtol=0, atol=1e-3
    )


def test_augment_composes_as_its_operations_stand() -> None:
    def drawn(operations: tuple[str, ...]) -> Tensor:
        return centres(
            augment(dots(500, 41, 41, 20, 20), Augmentation(operations, 1.0), generator())
        )

    # The dot is in the middle: turned about it before the shift it stays, so x is uniform up to a
    # quarter.
    assert float(drawn(("rotate", "shift")).abs().max()) <= 41 / 4
    assert float(drawn(("shift", "rotate")).abs().max()) > 41 / 4


def ramp(axis: int, size: int) -> Tensor:
    """An image (1, size, size) whose pixels are their distance along `axis` (0: down, 1: right),
    from 0 to 1.
    """
    along = (torch.arange(size) + 0.5) / size
    return (along.view(-1, 1) if axis == 0 else along.view(1, -1)).expand(1, size, size)


@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_crop_takes_a_part_of_the_documented_area_and_aspect(strength: float) -> None:
    """Of a ramp, a crop shows where it begins and ends along each side."""
    sides = []
    for axis in (0, 1):
        found = augment(
            ramp(axis, 64).expand(3000, 1, 64, 64),
            Augmentation(("random_resized_crop",), strength),
            generator(),
        )
        line = found[:, 0, :, 32] if axis == 0 else found[:, 0, 32, :]
        # The slope is measured away from the border, where nothing lies outside.
        sides.append((line[:, 40] - line[:, 24]) * 64 / 16)
        middle = (line[:, 32] + line[:, 31]) / 2
        # The crop lies inside the image.
        assert ((middle - 0.5).abs() <= (1 - sides[-1]) / 2 + 0.01).all()
    area = sides[0] * sides[1]
    assert 1 - 0.92 * strength - 0.01 <= float(area.min())
    assert float(area.max()) <= 1.001
    aspect = (sides[0] / sides[1])[(sides[0] < 0.999) & (sides[1] < 0.999)].log()
    assert float(aspect.abs().max()) <= strength * math.log(4 / 3) + 0.02
    if strength == 1.0:
        assert float(area.min()) < 0.12
        assert float(aspect.abs().max()) > 0.9 * math.log(4 / 3)


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize(("operation", "axis"), [("flip", 3), ("vertical_flip", 2)])
def test_flips_mirror_the_documented_share_of_the_images(
    operation: str, axis: int, strength: float
) -> None:
    images = torch.rand((1, 3, 9, 14), generator=generator()).expand(4000, 3, 9, 14)
    found = augment(images, Augmentation((operation,), strength), generator())
    mirrored = (found - images.flip(axis)).abs().amax((1, 2, 3)) < 1e-5
    same = (found - images).abs().amax((1, 2, 3)) < 1e-5
    assert (mirrored ^ same).all()
    assert float(mirrored.float().mean()) == pytest.approx(strength / 2, abs=0.03)


def erased_from(images: Tensor, strength: float) -> Tensor:
    return augment(images, Augmentation(("random_erasing",), strength), generator())


@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_erase_blackens_a_rectangle_of_the_documented_area_in_half_of_the_images(
    strength: float,
) -> None:
    found = erased_from(torch.ones(4000, 2, 60, 60), strength) == 0
    assert torch.equal(found[:, 0], found[:, 1])
    rows, columns = found[:, 0].any(2), found[:, 0].any(1)
    # Every pixel of such rows and columns is black, so it is a rectangle.
    assert torch.equal(found[:, 0], rows[:, :, None] & columns[:, None, :])
    for line in (rows, columns):
        # The black part is in one piece.
        assert ((line[:, 1:] & ~line[:, :-1]).sum(1) + line[:, 0] <= 1).all()
    erased = rows.any(1)
    assert float(erased.float().mean()) == pytest.approx(0.5, abs=0.03)
    high, wide = rows.sum(1)[erased], columns.sum(1)[erased]
    area = high * wide / 3600
    # The areas are rounded to whole pixels.
    assert 0.02 * strength * 0.6 <= float(area.min())
    assert 0.25 * strength <= float(area.max()) <= 0.33 * strength * 1.2
    assert float(area.mean()) == pytest.approx(0.175 * strength, rel=0.06)
    # The sides are rounded to whole pixels.
    assert 2.5 < float((high / wide).max()) < 5.0
    assert 2.5 < float((wide / high).max()) < 5.0


def test_erase_reaches_every_place() -> None:
    found = erased_from(torch.ones(4000, 1, 12, 12), 1.0)
    assert float(found.mean(0).max()) < 1.0


def test_erase_comes_last() -> None:
    """Whatever stands first: what is black stays a rectangle of whole pixels."""
    found = augment(
        torch.ones(200, 1, 41, 41), Augmentation(("random_erasing", "flip"), 1.0), generator()
    )
    black = found[:, 0] == 0
    assert torch.equal(black, black.any(2)[:, :, None] & black.any(1)[:, None, :])
    assert black.any()


@pytest.mark.parametrize("operations", COMBINATIONS + SOMETIMES)
def test_transforms_that_are_drawn_before_are_those_of_each_batch_bit_for_bit(
    operations: tuple[str, ...],
) -> None:
    """On a CPU; whatever is chosen of them, by part or by number."""
    images, augmentation = (
        torch.rand((20, 2, 9, 14), generator=generator()),
        Augmentation(operations, 0.8),
    )
    one_by_one = generator(1)
    expected = torch.cat([augment(batch, augmentation, one_by_one) for batch in images.split(8)])
    drawn = draw_in_batches((8, 8, 4), (9, 14), augmentation, first := generator(1))
    assert torch.equal(drawn.applied_to(images), expected)
    assert torch.equal(first.get_state(), one_by_one.get_state())
    numbers = torch.tensor([19, 3, 3, 8])
    for chosen in (slice(5, 17), numbers):
        torch.testing.assert_close(
            drawn.of(chosen).applied_to(images[chosen]), expected[chosen], rtol=0, atol=0
        )
    at_once = draw(20, (9, 14), augmentation, generator(1))
    assert torch.equal(at_once.applied_to(images), augment(images, augmentation, generator(1)))


def test_without_transforms_images_are_as_they_are() -> None:
    images = torch.rand(3, 1, 4, 4)
    assert Transforms().of(slice(0, 3)).applied_to(images) is images
