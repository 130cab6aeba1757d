"""Augmentation declared: the combinations of operations, what each data set is given, and how they
are described.
"""

from collections.abc import Sequence
from itertools import combinations

from objectives import hyperparameters as hp
from objectives.names import AUGMENTATIONS, FORMER_AUGMENTATIONS, Subject
from search.space.domains import Choice, Range
from search.space.parameter import SHARE, TUTORIAL, Option, Parameter, Values


def _combinations(names: Sequence[str]) -> list[str]:
    """Every combination, its parts in the order in which they are applied."""
    counts = range(1, len(names) + 1)
    return ["+".join(parts) for count in counts for parts in combinations(names, count)]


AUGMENTATION_NAMES = ("none", *_combinations(AUGMENTATIONS))
# There were these when two of them had other names.
FORMER_AUGMENTATION_NAMES = tuple(
    name
    for name in _combinations(("shift", "crop", "flip", "vertical_flip", "rotate", "erase"))
    if name not in AUGMENTATION_NAMES
)
# These are tried unless a spec says otherwise: nothing that makes another thing of what is to be
# recognized. A mirrored digit is no digit, a dress upside down is none that a camera sees.
DEFAULT_AUGMENTATIONS: dict[Subject, Choice] = {
    "characters": Choice(("none", "shift", "rotate", "shift+rotate")),
    "clothes": Choice(("none", "shift", "flip", "shift+flip", "shift+flip+random_erasing")),
    "photographs": Choice(
        (
            "none",
            "flip",
            "shift+flip",
            "random_resized_crop+flip",
            "random_resized_crop+flip+random_erasing",
        )
    ),
}


def present_augmentation(name: str) -> str:
    """The name that a combination has now.

    >>> present_augmentation("crop+flip"), present_augmentation("shift")
    ('random_resized_crop+flip', 'shift')
    """
    return "+".join(FORMER_AUGMENTATIONS.get(part, part) for part in name.split("+"))


def _augmentation(name: str, values: Values) -> hp.Augmentation | None:
    if name == "none":
        return None
    strength = AUGMENTATION_STRENGTH.read(values)
    assert isinstance(strength, float)
    return hp.Augmentation(tuple(present_augmentation(name).split("+")), strength)


AUGMENTATION = Parameter(
    "augmentation",
    "augmentation",
    "choice",
    DEFAULT_AUGMENTATIONS["characters"],
    names=AUGMENTATION_NAMES,
    former_options=FORMER_AUGMENTATION_NAMES,
    off="none",
    # Images moved a little, and mirrored where that means the same: LeCun et al. 1998; He et al.
    # 2016.
    usual=Choice(("shift", "shift+flip", "random_resized_crop+flip")),
    made=_augmentation,
    meaning=(
        "training images are changed at random; names joined by '+' combine, one strength for all"
    ),
    described=(
        Option("none", "images as they are", "-"),
        Option(
            "shift",
            "each side moved by up to 25 % * strength; black comes in",
            "Simard et al. 2003",
        ),
        Option(
            "random_resized_crop",
            "a part of 1 - 92 % * strength to all of the area, its aspect ratio changed by up to"
            " (4/3)^strength, stretched to the whole",
            "Szegedy et al. 2015, " + TUTORIAL,
        ),
        Option("flip", "mirrored left to right with probability strength / 2", TUTORIAL),
        Option("vertical_flip", "turned upside down with probability strength / 2", "-"),
        Option("rotate", "turned by up to 45 degrees * strength", TUTORIAL),
        Option(
            "trivial_augment",
            "with probability strength one of 14 operations (none, shears, translations, rotation,"
            " brightness, color, contrast, sharpness, posterize, solarize, auto contrast,"
            " equalize), its magnitude one of 31",
            "Müller & Hutter 2021 (the wide space)",
        ),
        Option(
            "color_jitter",
            "brightness, contrast and saturation times 1 - 0.8 strength to 1 + 0.8 strength, hue"
            " turned by up to 0.2 strength; of grey images the first two",
            "Chen et al. 2020",
        ),
        Option(
            "grayscale",
            "without colours with probability 0.2 strength; no change to grey images",
            "Chen et al. 2020",
        ),
        Option(
            "random_erasing",
            "a black rectangle of 2 % to 33 % of the area times strength, in half of the images",
            "Zhong et al. 2020",
        ),
        Option(
            "mixup",
            "x x_i + (1 - x) x_j, j another image of the batch, x the larger share of"
            " Beta(strength, strength); the loss in the same shares",
            "Zhang et al. 2018",
        ),
        Option(
            "cutmix",
            "with probability strength a rectangle of another image of the batch, of uniform area;"
            " the loss in the shares of area; with mixup, one of both for each image, evenly",
            "Yun et al. 2019",
        ),
    ),
)

AUGMENTATION_STRENGTH = Parameter(
    "augmentation.strength",
    "augmentation",
    "float",
    Range(0.1, 1.0),
    SHARE,
    parent=("augmentation", AUGMENTATION_NAMES[1:] + FORMER_AUGMENTATION_NAMES),
    usual=Range(0.1, 0.5),
)
