"""The test split of a data set, for those who judge what a search has chosen: a search never loads
this module.
"""

from pathlib import Path

import numpy as np

from objectives.data.cache import LabelledArrays, open_test
from objectives.data.config import DataConfig


def open_test_split(config: DataConfig, *, data_root: Path, cache_root: Path) -> LabelledArrays:
    """The test split, for follow-ups, which judge what a search has chosen.

    It depends on neither `validation_fraction` nor `split_seed`. Raises what open_dataset raises,
    and DataError for a test split without images.
    """
    arrays = open_test(config, data_root, cache_root)
    return LabelledArrays(np.array(arrays.images), arrays.labels)
