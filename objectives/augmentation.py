"""Random transforms of training images, drawn per image, on their device."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from objectives.hyperparameters import Augmentation

# Images are shifted by up to this share of a side at strength 1.
SHIFT_SHARE = 0.25
ROTATION_DEGREES = 45.0  # at strength 1
# A crop may leave this share of the area away at strength 1.
CROP_SHARE = 0.92
# The ratio of a crop's sides changes by up to this, either way, at strength 1.
CROP_ASPECT = 4 / 3
# A rectangle takes between these shares of the area at strength 1.
ERASED_SHARES = (0.02, 0.33)
# The ratio of a rectangle's sides is up to this, either way.
ERASED_ASPECT = 10 / 3


def _share(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    # In 0..1, on the generator's device.
    return torch.rand(shape, generator=generator, device=generator.device)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return _share(shape, generator) * 2 - 1  # in -1..1


def _shift(
    count: int, size: tuple[int, int], strength: float, generator: torch.Generator
) -> Tensor:
    # Uniformly up to strength * SHIFT_SHARE of each side, both axes.
    matrices = torch.eye(3, device=generator.device).repeat(count, 1, 1)
    for row, side in enumerate(reversed(size)):
        matrices[:, row, 2] = _uniform((count,), generator) * (side * strength * SHIFT_SHARE)
    return matrices


def _rotate(
    count: int, size: tuple[int, int], strength: float, generator: torch.Generator
) -> Tensor:
    # Uniformly up to strength * ROTATION_DEGREES either way, about the middle.
    return rotations(_uniform((count,), generator) * math.radians(strength * ROTATION_DEGREES))


def _crop(count: int, size: tuple[int, int], strength: float, generator: torch.Generator) -> Tensor:
    # A part of random area and aspect ratio at a random place, stretched to the whole.
    area = 1 - strength * CROP_SHARE * _share((count,), generator)
    matrices = torch.eye(3, device=generator.device).repeat(count, 1, 1)
    for axis, (side, part) in enumerate(
        zip(reversed(size), _sides(area, CROP_ASPECT**strength, generator), strict=True)
    ):
        matrices[:, axis, axis] = part
        matrices[:, axis, 2] = _uniform((count,), generator) * (1 - part) * side / 2
    return matrices


def _flip(count: int, size: tuple[int, int], strength: float, generator: torch.Generator) -> Tensor:
    return _mirrored(count, 0, strength, generator)


def _vertical_flip(
    count: int, size: tuple[int, int], strength: float, generator: torch.Generator
) -> Tensor:
    return _mirrored(count, 1, strength, generator)


def _mirrored(count: int, axis: int, strength: float, generator: torch.Generator) -> Tensor:
    matrices = torch.eye(3, device=generator.device).repeat(count, 1, 1)
    matrices[:, axis, axis] = 1 - 2 * (_share((count,), generator) < strength / 2).float()
    return matrices


def _sides(area: Tensor, aspect: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    # Shares of width and height, at most the whole, of parts of that area; the aspect ratio is
    # log-uniform.
    ratio = torch.exp(_uniform(tuple(area.shape), generator) * math.log(aspect))
    return (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)


# name -> function(count, (height, width), strength, generator) giving one matrix (3, 3) an image,
# as `warp` takes them.
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
    # torch.tensor(..., device=...) would wait for a GPU, as `scale[0] = ...` does before torch
    # 2.14.
    scale[0].fill_(width / 2)
    scale[1].fill_(height / 2)
    normalized = (matrices * scale / scale[:, None])[:, :2]  # affine_grid's sides run from -1 to 1
    grid = nn.functional.affine_grid(normalized, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def erase(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Half of the images (B, C, H, W) with a black rectangle at a random place (Zhong et al. 2020).

    Its area is uniform from 2 % to 33 % of the image times `strength`, its aspect ratio log-uniform
    from 3:10 to 10:3.
    """
    return blacken(images, _rectangles(len(images), strength, generator))


def _rectangles(count: int, strength: float, generator: torch.Generator) -> Tensor:
    # As `blacken` takes them; half of them are empty.
    low, high = (strength * share for share in ERASED_SHARES)
    area = low + (high - low) * _share((count,), generator)
    is_erased = _share((count,), generator) < 0.5
    bounds = []
    for part in _sides(area, ERASED_ASPECT, generator):
        start = _share((count,), generator) * (1 - part)
        bounds.append(torch.stack([start, start + part * is_erased], dim=1))
    return torch.stack(bounds, dim=1)


def blacken(images: Tensor, rectangles: Tensor) -> Tensor:
    """Images (B, C, H, W), black where a pixel's middle is inside of the image's rectangle.

    `rectangles` (B, 2, 2) are start and end of each from left to right, and from top to bottom, as
    shares of the side.
    """
    height, width = images.shape[-2:]
    across, down = (
        (middles >= rectangles[:, axis, :1]) & (middles < rectangles[:, axis, 1:])
        for axis, pixels in enumerate((width, height))
        for middles in ((torch.arange(pixels, device=images.device) + 0.5) / pixels,)
    )
    return images.masked_fill((across.unsqueeze(1) & down.unsqueeze(2)).unsqueeze(1), 0.0)


@dataclass(frozen=True, eq=False)
class Transforms:
    """What is done to each of N images, drawn before it is done; None where nothing is."""

    matrices: Tensor | None = None  # (N, 3, 3), as `warp` takes them
    rectangles: Tensor | None = None  # (N, 2, 2), as `blacken` takes them

    def each(self, change: Callable[[Tensor], Tensor]) -> "Transforms":
        """With its tensors changed so."""
        return Transforms(
            *(
                None if drawn is None else change(drawn)
                for drawn in (self.matrices, self.rectangles)
            )
        )

    def copy_(self, others: "Transforms") -> None:
        """Takes the numbers of others of the same kind, in the memory of its own."""
        for own, other in ((self.matrices, others.matrices), (self.rectangles, others.rectangles)):
            if own is not None and other is not None:
                own.copy_(other)

    def of(self, images: Tensor | slice) -> "Transforms":
        """Those of the images of these numbers, which the host does not read."""
        return self.each(lambda drawn: drawn[images])

    def applied_to(self, images: Tensor) -> Tensor:
        """The N images (N, C, H, W) in 0..1, transformed; what comes in from outside is black."""
        if self.matrices is not None:
            images = warp(images, self.matrices)
        return images if self.rectangles is None else blacken(images, self.rectangles)


def draw(
    count: int, size: tuple[int, int], augmentation: Augmentation, generator: torch.Generator
) -> Transforms:
    """The transforms of so many images of that (height, width), drawn for each on the generator's
    device.
    """
    matrices = None
    for operation in augmentation.operations:
        if operation in AFFINES:
            drawn = AFFINES[operation](count, size, augmentation.strength, generator)
            matrices = drawn if matrices is None else matrices @ drawn
    erased = "random_erasing" in augmentation.operations
    return Transforms(
        matrices, _rectangles(count, augmentation.strength, generator) if erased else None
    )


def draw_in_batches(
    lengths: Sequence[int],
    size: tuple[int, int],
    augmentation: Augmentation,
    generator: torch.Generator,
) -> Transforms:
    """The transforms of all images of such batches: on a CPU as `draw` gives them for one batch
    after another.

    Elsewhere they are drawn at once, by as many operators as those of one batch.
    """
    if generator.device.type != "cpu":
        return draw(sum(lengths), size, augmentation, generator)
    parts = [draw(length, size, augmentation, generator) for length in lengths]
    return Transforms(
        _together([part.matrices for part in parts]), _together([part.rectangles for part in parts])
    )


def _together(drawn: Sequence[Tensor | None]) -> Tensor | None:
    there = [each for each in drawn if each is not None]
    return torch.cat(there) if there else None


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """The augmentation's operations on each of the images (B, C, H, W) in 0..1, drawn for each
    image.

    `generator` is of the images' device. What comes in from outside is black. `strength` s means:

    - shift: uniformly by up to 25 % * s of each side on both axes.
    - random_resized_crop (Szegedy et al. 2015): a part of 1 - 92 % * s to all of the area, its
      aspect ratio changed by up to (4/3)^s either way, stretched to the whole; at 1 it is
      torchvision's RandomResizedCrop.
    - flip, vertical_flip: mirrored left to right, upside down, with probability s / 2.
    - rotate: uniformly by up to 45 degrees * s either way.
    - random_erasing: see `erase`.

    All but random_erasing move pixels: in their order, as one resampling. It comes last.
    """
    height, width = images.shape[-2:]
    return draw(len(images), (height, width), augmentation, generator).applied_to(images)
