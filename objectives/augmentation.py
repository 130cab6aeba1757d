"""Random transforms of training images, drawn per image, on their device.

One more is its name in `objectives.names`, its transform here, in `affine` or in `colours`, and its
description in `search.space.augmentations`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from objectives import colours
from objectives.affine import AFFINES, warp
from objectives.drawing import share, uniform
from objectives.hyperparameters import Augmentation
from objectives.mixing import Truth, draw_cuts, draw_shares, mixed
from objectives.rectangles import blacken, draw_erased
from objectives.trivial_augment import (
    draw_operations,
    matrices_of,
    with_colours_changed,
)

# Brightness, contrast and saturation are multiplied by up to 1 plus or minus this at strength 1,
# hues turned by up to so much of the circle: Chen et al. 2020, "A Simple Framework for Contrastive
# Learning of Visual Representations", appendix A.
JITTER, HUE_JITTER = 0.8, 0.2
# At strength 1 so many of the images, as a share, turn grey: the source is the same.
GREY_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Transforms:
    """What is done to each of N images, drawn before it is done; None where nothing is."""

    # The matrices have shape (N, 3, 3), as `warp` takes them.
    matrices: Tensor | None = None
    # The rectangles have shape (N, 2, 2), as `blacken` takes them.
    rectangles: Tensor | None = None
    # TrivialAugment's operations have shape (N, 3): see `draw_operations`.
    operations: Tensor | None = None
    # The jitters are factors of brightness, contrast and saturation, and how far hues are turned;
    # the shape is (N, 4).
    jitters: Tensor | None = None
    # The flags are bools of shape (N,).
    are_grey: Tensor | None = None
    # The shares of mixup have shape (N,).
    shares: Tensor | None = None
    # The cuts of cutmix have shape (N, 2, 2).
    cuts: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "Transforms":
        """With its tensors changed so."""
        return Transforms(
            *(
                None if (drawn := getattr(self, each.name)) is None else change(drawn)
                for each in fields(self)
            )
        )

    def copy_(self, others: "Transforms") -> None:
        """Takes the numbers of others of the same kind, in the memory of its own."""
        for each in fields(self):
            own, other = getattr(self, each.name), getattr(others, each.name)
            if own is not None and other is not None:
                own.copy_(other)

    def of(self, images: Tensor | slice) -> "Transforms":
        """Those of the images of these numbers, which the host does not read."""
        return self.each(lambda drawn: drawn[images])

    def applied_to(self, images: Tensor) -> Tensor:
        """The N images (N, C, H, W) in 0..1, transformed; what comes in from outside is black."""
        if self.matrices is not None:
            images = warp(images, self.matrices)
        if self.operations is not None:
            images = with_colours_changed(images, self.operations)
        if self.jitters is not None:
            brightness, contrast, saturation, hue = self.jitters.unbind(1)
            images = colours.adjust_brightness(images, brightness)
            images = colours.adjust_contrast(images, contrast)
            images = colours.adjust_saturation(images, saturation)
            images = colours.adjust_hue(images, hue)
        if self.are_grey is not None:
            images = colours.without_colours(images, self.are_grey)
        return images if self.rectangles is None else blacken(images, self.rectangles)

    def mixed(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Truth]:
        """The N images, which are one batch, mixed with one another, and what is then true of
        them.
        """
        return mixed(images, labels, self.shares, self.cuts)


def draw(
    count: int, size: tuple[int, int], augmentation: Augmentation, generator: torch.Generator
) -> Transforms:
    """The transforms of so many images of that (height, width), drawn for each on the generator's
    device.
    """
    names, strength = augmentation.operations, augmentation.strength
    matrices = None
    operations = None
    for name in names:
        if name in AFFINES:
            drawn = AFFINES[name](count, size, strength, generator)
        elif name == "trivial_augment":
            operations = draw_operations(count, strength, generator)
            drawn = matrices_of(operations, size)
        else:
            continue
        matrices = drawn if matrices is None else matrices @ drawn
    jitters = are_grey = rectangles = None
    if "color_jitter" in names:
        widest = torch.full((4,), JITTER * strength, device=generator.device)
        widest[3].fill_(HUE_JITTER * strength)
        jitters = uniform((count, 4), generator) * widest
        jitters[:, :3] += 1
    if "grayscale" in names:
        are_grey = share((count,), generator) < GREY_SHARE * strength
    if "random_erasing" in names:
        rectangles = draw_erased(count, strength, generator)
    shares, cuts = _draw_mixing(count, augmentation, generator)
    return Transforms(
        matrices,
        rectangles,
        operations,
        jitters,
        are_grey,
        shares,
        cuts,
    )


def _draw_mixing(
    count: int, augmentation: Augmentation, generator: torch.Generator
) -> tuple[Tensor | None, Tensor | None]:
    # Shares and cuts; where an image may have either, it has one of them, evenly.
    names, strength = augmentation.operations, augmentation.strength
    shares = draw_shares(count, strength, generator) if "mixup" in names else None
    cuts = draw_cuts(count, strength, generator) if "cutmix" in names else None
    if shares is not None and cuts is not None:
        is_cut = share((count,), generator) < 0.5
        shares, cuts = torch.where(is_cut, 1.0, shares), cuts * is_cut.view(-1, 1, 1)
    return shares, cuts


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
        *(_together([getattr(part, each.name) for part in parts]) for each in fields(Transforms))
    )


def _together(drawn: Sequence[Tensor | None]) -> Tensor | None:
    there = [each for each in drawn if each is not None]
    return torch.cat(there) if there else None


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """The augmentation's operations on each of the images (B, C, H, W) in 0..1, drawn for each
    image; mixup and cutmix are left to Transforms.mixed, which is told what is true of them.

    `generator` is of the images' device. What comes in from outside is black. `strength` s means:

    - shift: uniformly by up to 25 % * s of each side on both axes.
    - random_resized_crop (Szegedy et al. 2015): a part of 1 - 92 % * s to all of the area, its
      aspect ratio changed by up to (4/3)^s either way, stretched to the whole; at 1 it is
      torchvision's RandomResizedCrop.
    - flip, vertical_flip: mirrored left to right, upside down, with probability s / 2.
    - rotate: uniformly by up to 45 degrees * s either way.
    - trivial_augment (Müller & Hutter 2021): one operation of its wide space with probability s.
    - color_jitter (Chen et al. 2020): brightness, contrast and saturation by a factor of 1 - 0.8 s
      to 1 + 0.8 s, then hues turned by up to 0.2 s of the circle either way.
    - grayscale: without colours, with probability 0.2 s.
    - random_erasing: see `rectangles.draw_erased`.
    - mixup: see `mixing.draw_shares`, with alpha = s.
    - cutmix: see `mixing.draw_cuts`. With both, one of them for each image, evenly.

    Those that move pixels are one resampling, in their order; then come colours, erasing and
    mixing. Grey images have no colours to change but their brightness and contrast.
    """
    height, width = images.shape[-2:]
    return draw(len(images), (height, width), augmentation, generator).applied_to(images)
