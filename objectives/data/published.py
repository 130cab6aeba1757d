"""The published data sets that torchvision reads, in the files and folders that it keeps them
in.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

from objectives.data.shipped import TEN_DIGITS
from objectives.data.source import (
    DataFacts,
    Decoded,
    Images,
    Progress,
    Source,
    digest_of,
    fingerprint_of,
    resized,
)
from objectives.data.splits import Labels
from objectives.errors import DataUnavailable

if TYPE_CHECKING:
    from torchvision.datasets import STL10, VisionDataset

# A connection is given up after so long without a byte.
DOWNLOAD_TIMEOUT_SECONDS = 20.0

Options = Mapping[str, str | bool]


@dataclass(frozen=True)
class _Published:
    """One published set, and how torchvision is asked for it."""

    name: str
    torchvision_class: str
    # The files lie in this folder below the data root.
    folder: str
    files: tuple[str, ...]
    # The names are None where one of the files says them.
    class_names: tuple[str, ...] | None
    splits: tuple[Options, Options] = ({"train": True}, {"train": False})
    # The labels are in the attribute of this name.
    labels: str = "targets"
    channels_last: bool = False
    transposed: bool = False

    def unavailable(self, data_root: Path, what: str) -> DataUnavailable:
        return DataUnavailable(
            f"{self.name}: {what}; place {', '.join(self.files)} in {data_root / self.folder}"
        )


_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_NAMED_SPLITS: tuple[Options, Options] = ({"split": "train"}, {"split": "test"})
_GARMENTS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

_SETS = (
    _Published("mnist", "MNIST", "MNIST/raw", _IDX_FILES, TEN_DIGITS),
    _Published("fashion-mnist", "FashionMNIST", "FashionMNIST/raw", _IDX_FILES, _GARMENTS),
    _Published("kmnist", "KMNIST", "KMNIST/raw", _IDX_FILES, _KANA),
    _Published(
        "qmnist",
        "QMNIST",
        "QMNIST/raw",
        tuple(
            f"qmnist-{split}-{what}"
            for split in ("train", "test")
            for what in ("images-idx3-ubyte", "labels-idx2-int")
        ),
        TEN_DIGITS,
    ),
    _Published(
        "emnist",
        "EMNIST",
        "EMNIST/raw",
        tuple(
            f"emnist-balanced-{split}-{what}-ubyte"
            for split in ("train", "test")
            for what in ("images-idx3", "labels-idx1")
        ),
        # The lower-case letters that look like their capitals are one class with them.
        tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
        splits=({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
        transposed=True,
    ),
    _Published("usps", "USPS", "", ("usps.bz2", "usps.t.bz2"), TEN_DIGITS),
    _Published(
        "svhn",
        "SVHN",
        "",
        ("train_32x32.mat", "test_32x32.mat"),
        TEN_DIGITS,
        splits=_NAMED_SPLITS,
        labels="labels",
    ),
    _Published(
        "cifar10",
        "CIFAR10",
        "cifar-10-batches-py",
        (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        channels_last=True,
    ),
    _Published(
        "cifar100",
        "CIFAR100",
        "cifar-100-python",
        ("train", "test", "meta"),
        None,
        channels_last=True,
    ),
    _Published(
        "stl10",
        "STL10",
        "stl10_binary",
        ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"),
        ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
        splits=_NAMED_SPLITS,
        labels="labels",
    ),
)


def _find(facts: _Published, data_root: Path) -> Source:
    """The files below `data_root`, downloaded if they are not there. Raises DataUnavailable."""
    folder = data_root / facts.folder
    files = [folder / name for name in facts.files]
    if not all(file.is_file() for file in files):
        _download(facts, data_root)
    stats = [file.stat() for file in files]
    return Source(
        f"{facts.name}-{digest_of([str(folder.resolve())])[:12]}",
        digest_of([(stat.st_size, stat.st_mtime_ns) for stat in stats]),
        partial(_decode, facts, data_root),
    )


# The download runs in a process of its own: torchvision has no timeout but the default one of all
# sockets, and draws progress bars.
_DOWNLOAD = """
import json, socket, sys
_, name, folder, timeout, splits = sys.argv
socket.setdefaulttimeout(float(timeout))
from torchvision import datasets
for options in json.loads(splits):
    getattr(datasets, name)(folder, download=True, **options)
"""


def _download(facts: _Published, data_root: Path) -> None:
    """Downloads aside, then moves file by file, so that whatever happens no half of a file is left
    in its place.
    """
    aside = data_root / f".{facts.name}.download"
    target = data_root / facts.folder
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        with FileLock(data_root / f".{facts.name}.lock"):
            if all((target / name).is_file() for name in facts.files):
                # Another process was first.
                return
            shutil.rmtree(aside, ignore_errors=True)
            try:
                command = [
                    sys.executable,
                    "-P",
                    "-c",
                    _DOWNLOAD,
                    facts.torchvision_class,
                    str(aside),
                ]
                command += [str(DOWNLOAD_TIMEOUT_SECONDS), json.dumps(facts.splits)]
                subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
                target.mkdir(parents=True, exist_ok=True)
                for name in facts.files:
                    (aside / facts.folder / name).replace(target / name)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise facts.unavailable(data_root, "neither found nor downloaded") from error


def _decode(
    facts: _Published, data_root: Path, scratch: Path, image_size: int | None, on_progress: Progress
) -> Decoded:
    try:
        read = _reader(facts)
        train, test = (read(data_root, **options) for options in facts.splits)
        class_names = facts.class_names or tuple(train.classes)
        arrays = [_arrays(facts, split, len(class_names)) for split in (train, test)]
    # torchvision checks few files, so a damaged one can raise anything.
    except Exception as error:
        raise facts.unavailable(data_root, "the files are damaged") from error
    images = resized(
        facts.name, np.concatenate([images for images, _ in arrays]), image_size, scratch
    )
    on_progress(len(images), len(images))
    rows, first_of_test = np.arange(len(images)), len(arrays[0][1])
    labels = np.concatenate([labels for _, labels in arrays])
    files = [data_root / facts.folder / name for name in facts.files]
    contents = DataFacts(fingerprint_of(("", "", _sha256(file)) for file in files))
    return Decoded(
        class_names, images, labels, rows[:first_of_test], rows[first_of_test:], contents
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _reader(facts: _Published) -> Callable[..., "VisionDataset"]:
    from torchvision import datasets

    if facts.torchvision_class == "STL10":
        return _labelled_stl10(datasets.STL10)
    reader: type[VisionDataset] = getattr(datasets, facts.torchvision_class)
    return reader


def _labelled_stl10(whole: "type[STL10]") -> "type[STL10]":
    """Without the 100,000 images that have no label: torchvision wants their 2.8 GB beside whatever
    it reads.
    """

    class LabelledSTL10(whole):  # type: ignore[misc]
        train_list = whole.train_list[:2]

    return LabelledSTL10


def _arrays(facts: _Published, split: "VisionDataset", classes: int) -> tuple[Images, Labels]:
    """Images (N, C, H, W) and labels (N,). Raises ValueError where they do not belong together."""
    images = np.asarray(split.data)
    if images.ndim == 3:
        images = images[:, None]
    if facts.channels_last:
        images = np.moveaxis(images, -1, 1)
    if facts.transposed:
        images = images.swapaxes(2, 3)
    # The labels of QMNIST are rows, the class their first number.
    labels = np.asarray(getattr(split, facts.labels), dtype=np.int64).reshape(len(images), -1)[:, 0]
    if not np.isin(labels, range(classes)).all():
        raise ValueError(f"labels beyond the {classes} classes")
    return images, labels


READERS: dict[str, Callable[[Path], Source]] = {
    facts.name: partial(_find, facts) for facts in _SETS
}


@dataclass(frozen=True)
class Present:
    """A published set of which files are there."""

    name: str
    # The set has this folder in the data root; it is empty where files lie in the data root itself.
    folder: str
    is_whole: bool


def published_in(data_root: Path) -> tuple[Present, ...]:
    """The sets of which files are below `data_root`, unpacked; nothing is read or downloaded."""
    found = []
    for facts in _SETS:
        there = [(data_root / facts.folder / name).is_file() for name in facts.files]
        if any(there):
            found.append(Present(facts.name, facts.folder.partition("/")[0], all(there)))
    return tuple(found)
