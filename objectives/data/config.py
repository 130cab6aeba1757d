"""Which images a study is about and how they are split; no torch, so that a spec imports it."""

import re
from dataclasses import dataclass

from objectives.errors import DataError
from objectives.names import IMAGES_PREFIX, RESIZES

SPLIT_VERSIONS = (1, 2)
FEWEST_FOLDS, MOST_FOLDS = 2, 100
DEFAULT_VALIDATION_FRACTION = 0.2


@dataclass(frozen=True)
class Fold:
    """The images that a training is judged on, where all that is not test is divided into K folds.

    Number 0 is what a search is judged on, and the same in every shuffle. In shuffle 0 the others
    are as `DataConfig.folds` divides them; in each later one the images outside number 0 are
    divided anew.
    """

    shuffle: int
    number: int


OF_THE_SEARCH = Fold(0, 0)


def fold_of_seed(index: int, folds: int) -> Fold:
    """On which fold the seed of that index, from 0, is judged: on each once, but for the one that
    the search is judged on, and then the same of another shuffle. `folds` are three or more.

    >>> [fold_of_seed(index, 3) for index in range(3)]
    [Fold(shuffle=0, number=1), Fold(shuffle=0, number=2), Fold(shuffle=1, number=1)]
    """
    shuffle, before = divmod(index, folds - 1)
    return Fold(shuffle, before + 1)


@dataclass(frozen=True)
class DataConfig:
    """The [data] table of a spec.

    `validation_fraction` is the share of the training split (the test split is no part of it) that
    validation takes; `split_seed` chooses which images those are. `image_size` in pixels is the
    side of the square that images are brought to; `None` keeps the size they have (see image_folder
    for folders of mixed sizes). `resize`, of folders alone, says how an image of another shape is
    brought there: see image_file.fitted.

    `split_version` 2, of folders of images alone, draws the validation split by contents and keeps
    equal images on one side of it; 1 is what studies have that were made before there was a choice.
    `groups` (see groups.read_groups) names images that belong together, which then stay on one side
    too, of the test split as well where that is made here.

    `labels` names a table of a folder's classes: see labels.list_labelled.

    With `folds` the training split is divided into so many (see folds.Folds), one of which is the
    validation split, and `validation_fraction` says nothing.

    Raises DataError where a value is out of its range.
    """

    dataset: str = "mnist-5k"
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION
    split_seed: int = 0
    image_size: int | None = None
    split_version: int = 1
    groups: str | None = None
    resize: str = RESIZES[0]
    labels: str | None = None
    folds: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.validation_fraction < 1:
            raise DataError(
                f"validation_fraction {self.validation_fraction}: give a number between 0 and 1,"
                " as 0.2"
            )
        if self.folds is not None:
            if not FEWEST_FOLDS <= self.folds <= MOST_FOLDS:
                raise DataError(
                    f"folds {self.folds}: give a whole number from {FEWEST_FOLDS} to {MOST_FOLDS}"
                )
            if self.validation_fraction != DEFAULT_VALIDATION_FRACTION:
                raise DataError(
                    f"validation_fraction {self.validation_fraction}: folds {self.folds} say what"
                    " validation takes; give one of the two"
                )
        # The limits are those of np.random.RandomState.
        if not 0 <= self.split_seed < 2**32:
            raise DataError(
                f"split_seed {self.split_seed}: give a whole number from 0 to 4294967295"
            )
        if self.image_size is not None and self.image_size < 1:
            raise DataError(f"image_size {self.image_size}: give a number of pixels, 1 or more")
        if self.resize not in RESIZES:
            raise DataError(f"resize {self.resize}: choose {', '.join(RESIZES)}")
        if self.resize != RESIZES[0] and not self.is_folder:
            raise DataError(f"resize {self.resize}: goes with {IMAGES_PREFIX}FOLDER alone")
        if self.split_version not in SPLIT_VERSIONS or (
            self.split_version > 1 and not self.is_folder
        ):
            raise DataError(
                f"split_version {self.split_version}: give 1, or 2 for {IMAGES_PREFIX}FOLDER"
            )
        for name, value in (("groups", self.groups), ("labels", self.labels)):
            if value is not None and self.split_version < 2:
                raise DataError(
                    f"{name} {value}: go with split_version 2, of {IMAGES_PREFIX}FOLDER"
                )
        if self.groups is not None and (fault := groups_fault(self.groups)) is not None:
            raise DataError(f"groups {self.groups}: {fault}")

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of anyone's images."""
        return self.dataset.startswith(IMAGES_PREFIX)


def groups_fault(groups: str) -> str | None:
    """What is wrong with it as a spec's data.groups; `None` where nothing is.

    >>> groups_fault("patient_(\\\\d+)"), groups_fault("patients.csv")
    (None, None)
    >>> groups_fault("patient")
    "must hold a group in brackets, as 'patient_([0-9]+)', or name a CSV of path and group"
    """
    if names_a_table(groups):
        return None
    try:
        if re.compile(groups).groups > 0:
            return None
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression ({error})"
    return "must hold a group in brackets, as 'patient_([0-9]+)', or name a CSV of path and group"


def names_a_table(groups: str) -> bool:
    """Whether it is a file's name, as an expression without a group in brackets would be of no
    use.
    """
    if not groups.lower().endswith(".csv"):
        return False
    try:
        return re.compile(groups).groups == 0
    except re.error:
        return True
