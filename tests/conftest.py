"""Fixtures that more than one package's tests use."""

from pathlib import Path

import pytest

from objectives.data import open_dataset
from objectives.data_config import DataConfig


@pytest.fixture(scope="session")
def mnist_5k_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache root that holds mnist-5k, which takes seconds to decode, once a session."""
    cache_root = tmp_path_factory.mktemp("mnist-5k-cache")
    open_dataset(DataConfig("mnist-5k"), data_root=cache_root / "unused", cache_root=cache_root)
    return cache_root
