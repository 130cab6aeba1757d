"""The test split of a data set, for those who judge what a search has chosen: a search never loads
this module.
"""

from pathlib import Path

import numpy as np

from objectives.data.cache import LabelledArrays, Opened, load_entry, open_test
from objectives.data.config import DataConfig
from objectives.data.parcels import packed


def open_test_split(config: DataConfig, *, data_root: Path, cache_root: Path) -> LabelledArrays:
    """The test split, for follow-ups, which judge what a search has chosen.

    It depends on neither `validation_fraction` nor `split_seed`. Raises what open_dataset raises,
    and DataError for a test split without images.
    """
    return _in_memory(open_test(config, data_root, cache_root))


def open_test_parcel(config: DataConfig, *, data_root: Path, cache_root: Path) -> Opened:
    """The same, to be sent to the machine that reads it. Raises as open_test_split does."""
    return packed(open_test(config, data_root, cache_root))


def load_test_split(entry: Path) -> LabelledArrays:
    """What was sent to this machine."""
    return _in_memory(load_entry(entry, "test"))


def _in_memory(opened: Opened) -> LabelledArrays:
    return LabelledArrays(np.array(opened.arrays.images), opened.arrays.labels)
