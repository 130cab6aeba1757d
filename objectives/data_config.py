"""Which images a study is about and how they are split; no torch, so that a spec imports it."""

from dataclasses import dataclass

from objectives.errors import DataError


@dataclass(frozen=True)
class DataConfig:
    """The [data] table of a spec.

    `validation_fraction` is the share of the training split (the test split is no part of it) that validation takes;
    `split_seed` chooses which images those are. `image_size` in pixels is the side of the square that images are
    brought to; `None` keeps the size they have (see datasets.image_folder for folders of mixed sizes).

    Raises DataError where a value is out of its range.
    """

    dataset: str = "mnist-5k"
    validation_fraction: float = 0.2
    split_seed: int = 0
    image_size: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.validation_fraction < 1:
            raise DataError(f"validation_fraction {self.validation_fraction}: give a number between 0 and 1, as 0.2")
        if not 0 <= self.split_seed < 2**32:  # what np.random.RandomState takes
            raise DataError(f"split_seed {self.split_seed}: give a whole number from 0 to 4294967295")
        if self.image_size is not None and self.image_size < 1:
            raise DataError(f"image_size {self.image_size}: give a number of pixels, 1 or more")
