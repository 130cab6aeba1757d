"""Names and facts of optimizers, schedulers, augmentations, metrics and data sets; no torch."""

from pathlib import Path
from typing import Literal

from objectives import hyperparameters

OPTIMIZERS = tuple(hyperparameters.OPTIMIZERS)
SCHEDULERS = tuple(hyperparameters.SCHEDULERS)
# The augmentations stand in the order in which they act.
AUGMENTATIONS = (
    "shift",
    "random_resized_crop",
    "flip",
    "vertical_flip",
    "rotate",
    "trivial_augment",
    "color_jitter",
    "grayscale",
    "random_erasing",
    "mixup",
    "cutmix",
)
# Two of them were called so: studies that were stored so go on.
FORMER_AUGMENTATIONS = {"crop": "random_resized_crop", "erase": "random_erasing"}
CLASS_WEIGHTS = ("none", "inverse", "square_root", "effective_number")
INPUT_NORMALIZATIONS = ("none", "standard", "minmax")
DECAY_SCOPES = ("weights", "all")
PRECISIONS = ("float32", "tf32", "bf16")
# An image of another shape is brought to that of the others in one of these ways: see
# image_file.fitted.
RESIZES = ("crop", "pad", "stretch")
# Networks of torchvision that others have trained, the usual one first: see backbone.HEADS.
BACKBONES = ("resnet18", "resnet34", "resnet50", "mobilenet_v3_small", "mobilenet_v3_large")

# The validation metrics a study may be led by, and which way each is better.
METRIC_DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "balanced_accuracy": "maximize",
    "macro_f1": "maximize",
    "loss": "minimize",
}

# A trial's costs are known before it trains; a study may minimize them beside its metric, or bound
# them.
COSTS: dict[str, str] = {
    "parameters": "trainable numbers",
    "macs": "multiply-accumulates of the forward pass of one image",
    "latency": "milliseconds of it, measured on the worker's device",
}

# What pictures show decides which augmentations make sense.
Subject = Literal["characters", "clothes", "photographs"]
SUBJECTS: dict[str, Subject] = {
    "mnist-5k": "characters",
    "digits": "characters",
    "mnist": "characters",
    "fashion-mnist": "clothes",
    "kmnist": "characters",
    "qmnist": "characters",
    "emnist": "characters",
    "usps": "characters",
    "svhn": "characters",
    "cifar10": "photographs",
    "cifar100": "photographs",
    "stl10": "photographs",
    "synthetic": "characters",
}
# A published set has images (C, H, W) of this shape, and so many classes: known before it is there.
SHAPES: dict[str, tuple[tuple[int, int, int], int]] = {
    "mnist-5k": ((1, 28, 28), 10),
    "digits": ((1, 8, 8), 10),
    "mnist": ((1, 28, 28), 10),
    "fashion-mnist": ((1, 28, 28), 10),
    "kmnist": ((1, 28, 28), 10),
    "qmnist": ((1, 28, 28), 10),
    "emnist": ((1, 28, 28), 47),
    "usps": ((1, 16, 16), 10),
    "svhn": ((3, 32, 32), 10),
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
    "stl10": ((3, 96, 96), 10),
}
# Grey images up to this side are characters and the like.
SMALL_PIXELS = 32
# A folder of images is no such name: it is called IMAGES_PREFIX + its path.
DATASETS = tuple(SUBJECTS)
IMAGES_PREFIX = "images:"


def is_photographic(shape: tuple[int, int, int]) -> bool:
    """Whether images (C, H, W) may be photographs: in colour, or larger than characters are.

    >>> is_photographic((1, 28, 28)), is_photographic((3, 32, 32)), is_photographic((1, 64, 64))
    (False, True, True)
    """
    channels, height, width = shape
    return channels > 1 or max(height, width) > SMALL_PIXELS


def folder_of(dataset: str) -> Path | None:
    """The folder that a data set's name is of, with `~` expanded; `None` for a published data set.

    >>> folder_of("images:photos"), folder_of("mnist")
    (PosixPath('photos'), None)
    """
    if not dataset.startswith(IMAGES_PREFIX):
        return None
    return expanded(dataset.removeprefix(IMAGES_PREFIX))


def expanded(folder: str) -> Path:
    """With `~` expanded, or as it is where nobody has that home."""
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        return Path(folder)
