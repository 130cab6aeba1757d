"""Images for training: split, and held on the device."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectives.data.cache import LabelledArrays, Searchable, chunks, open_searchable
from objectives.data.config import DataConfig, Fold
from objectives.data.folds import Folds
from objectives.data.source import DataFacts, Images, Progress
from objectives.data.splits import Positions
from objectives.errors import DataError, TestSplitError

Split = Literal["train", "validation"]

# These facts are of images that come from no data set.
MADE_UP = DataFacts("")


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """What a search sees of a data set: its training and its validation split, nothing of the test
    split.

    >>> data_root, cache_root = Path("data"), Path("cache")
    >>> dataset = open_dataset(DataConfig("mnist-5k"), data_root=data_root, cache_root=cache_root)
    >>> dataset.image_shape, dataset.split("validation").images.shape
    ((1, 28, 28), (800, 1, 28, 28))
    """

    class_names: tuple[str, ...]
    # The arrays hold both splits, and are memory-mapped and read-only.
    searchable: LabelledArrays
    # Each split has its positions in `searchable`.
    positions: Mapping[Split, Positions]
    facts: DataFacts
    # There are none where it is not divided into such.
    folds: Folds | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.searchable.images.shape
        return channels, height, width

    def split(self, name: Split) -> LabelledArrays:
        """A copy of one split, in the order in which the data set was read. Raises TestSplitError
        for another name.
        """
        if name not in self.positions:
            raise TestSplitError(name)
        rows = self.positions[name]
        return LabelledArrays(self.searchable.images[rows], self.searchable.labels[rows])

    def on(self, fold: Fold | None) -> "ImageDataset":
        """The same images, but that this fold is the validation split; `None` leaves it as the
        search has it. A data set that was divided into folds is meant.
        """
        if fold is None:
            return self
        assert self.folds is not None
        return replace(self, positions=_positions(*self.folds.split(fold)))


def open_dataset(
    config: DataConfig, *, data_root: Path, cache_root: Path, on_progress: Progress | None = None
) -> ImageDataset:
    """The training and the validation split, decoded into `cache_root` by the first process of a
    machine that asks.

    `data_root` is where downloaded data sets lie; `on_progress(done, total)` counts images while
    they are decoded.

    Raises DataError where the data or the configuration is bad, DataUnavailable where the data is
    not to be had or `cache_root` cannot be written to.
    """
    return as_dataset(
        open_searchable(config, data_root, cache_root, on_progress or (lambda done, total: None))
    )


def as_dataset(opened: Searchable) -> ImageDataset:
    """What a search sees of it."""
    positions = _positions(opened.train, opened.validation)
    return ImageDataset(opened.class_names, opened.arrays, positions, opened.facts, opened.folds)


def _positions(train: Positions, validation: Positions) -> Mapping[Split, Positions]:
    return {"train": train, "validation": validation}


# --- on the device


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with their classes, on a device."""

    # The images have shape (N, C, H, W) and are uint8.
    images: Tensor
    # The labels have shape (N,) and are int64.
    labels: Tensor


@dataclass(frozen=True, eq=False)
class ResidentData:
    """Both splits of a search on its device, and what `standard` input normalization needs.

    Mean and deviation (population, divisor N) are those of the training split's pixels / 255,
    validation not counted.
    """

    train: LabelledImages
    validation: LabelledImages
    class_names: tuple[str, ...]
    # The means have shape (C,) and are float32.
    mean: Tensor
    # The deviations have shape (C,) and are float32; 1.0 where a channel is constant.
    deviation: Tensor
    facts: DataFacts = MADE_UP

    @cached_property
    def train_labels(self) -> Tensor:
        """Those of the training split (N,) int64, on the CPU."""
        return self.train.labels.cpu()

    @cached_property
    def validation_sha256(self) -> str:
        """Of the validation split: see split_sha256."""
        return split_sha256(self.validation)


def split_sha256(split: LabelledImages) -> str:
    """SHA-256 of the images' pixels in their order, and of their labels: equal for the same split
    on every machine.
    """
    digest = hashlib.sha256()
    for tensor, kind in ((split.images, "u1"), (split.labels, "<i8")):
        array = np.ascontiguousarray(tensor.cpu().numpy().astype(kind, copy=False))
        digest.update(repr(array.shape).encode())
        digest.update(array.data)
    return digest.hexdigest()


def hold(dataset: ImageDataset, device: torch.device) -> ResidentData:
    """Copies both splits to the device as uint8. Raises DataError, before it allocates, if they do
    not fit.
    """
    _check_memory(dataset, device)
    train = dataset.split("train")
    return _resident(dataset, train, to_device(dataset.split("validation"), device), device)


class HeldImages:
    """A data set on its device, one division of it at a time: as the search has it, or a fold.

    >>> held = HeldImages(dataset, torch.device("cpu"))   # doctest: +SKIP
    >>> held.on(Fold(shuffle=0, number=2)).validation.images.shape
    (800, 1, 28, 28)
    """

    def __init__(self, dataset: ImageDataset, device: torch.device) -> None:
        self._dataset = dataset
        self._device = device
        self._fold: Fold | None = None
        self._resident: ResidentData | None = None

    def on(self, fold: Fold | None = None) -> ResidentData:
        """With this fold as the validation split; `None`: with that of the search. Raises DataError
        as `hold` does.
        """
        if self._resident is None or fold != self._fold:
            # What is there goes before the other takes its place in memory.
            self._resident, self._fold = None, fold
            self._resident = hold(self._dataset.on(fold), self._device)
        return self._resident


def hold_together(
    dataset: ImageDataset, validation: LabelledImages, device: torch.device
) -> ResidentData:
    """The images of both splits as the training split, in the order in which the data set was read.

    `validation`, which is on the device, stays what is evaluated: of a network that has seen it, so
    that the figures say nothing of other images. Raises DataError as `hold` does.
    """
    _check_memory(dataset, device)
    rows = np.sort(np.concatenate([dataset.positions["train"], dataset.positions["validation"]]))
    both = LabelledArrays(dataset.searchable.images[rows], dataset.searchable.labels[rows])
    return _resident(dataset, both, validation, device)


def _resident(
    dataset: ImageDataset, train: LabelledArrays, validation: LabelledImages, device: torch.device
) -> ResidentData:
    mean, deviation = _moments(train.images)
    return ResidentData(
        to_device(train, device),
        validation,
        dataset.class_names,
        torch.from_numpy(mean).to(device),
        torch.from_numpy(deviation).to(device),
        dataset.facts,
    )


def to_device(arrays: LabelledArrays, device: torch.device) -> LabelledImages:
    """The same images and labels as tensors; on the CPU they share the arrays' memory."""
    return LabelledImages(
        torch.from_numpy(arrays.images).to(device), torch.from_numpy(arrays.labels).to(device)
    )


def _check_memory(dataset: ImageDataset, device: torch.device) -> None:
    needed_bytes = dataset.searchable.images.nbytes
    free = {"memory": psutil.virtual_memory().available}
    if device.type == "cuda":
        free[f"memory of {device}"] = torch.cuda.mem_get_info(device)[0]
    for where, free_bytes in free.items():
        if needed_bytes > free_bytes:
            raise DataError(
                f"the images need {needed_bytes / 1e9:.1f} GB and {free_bytes / 1e9:.1f} GB of"
                f" {where} are free; set a smaller image_size"
            )


def _moments(images: Images) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of pixels / 255 by channel, (C,) each, in whole numbers up to the last
    division.
    """
    histograms = np.zeros((images.shape[1], 256), dtype=np.int64)
    for chunk in chunks(len(images), images.shape[1:]):
        for channel, histogram in enumerate(histograms):
            histogram += np.bincount(images[chunk, channel].ravel(), minlength=256)
    moments = []
    for histogram in histograms:
        times = [int(bin_count) for bin_count in histogram]
        count = sum(times)
        total = sum(value * n for value, n in enumerate(times))
        spread = count * sum(value * value * n for value, n in enumerate(times)) - total * total
        moments.append((total / count / 255, math.sqrt(spread) / count / 255 if spread else 1.0))
    mean, deviation = np.array(moments, dtype=np.float32).T
    return mean.copy(), deviation.copy()
