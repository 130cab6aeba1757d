"""Images for training: decoded once a machine, split, held on the device."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from objectives.data_config import DataConfig
from objectives.datasets import Decoded, Images, Labels, Positions, Progress, Source, find_source, stratified_split
from objectives.errors import DataError, DataUnavailable, TestSplitError

CACHE_VERSION = 1  # of what a decoded data set is and how it is laid out: another number decodes everything again
_CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class LabelledArrays:
    """Images with their classes, on the host."""

    images: Images  # (N, C, H, W) uint8
    labels: Labels  # (N,) int64


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """What a search sees of a data set: its training and its validation split, nothing of the test split.

    >>> dataset = open_dataset(DataConfig("mnist-5k"), data_root=Path("data"), cache_root=Path("cache"))
    >>> dataset.image_shape, dataset.split("validation").images.shape
    ((1, 28, 28), (800, 1, 28, 28))
    """

    class_names: tuple[str, ...]
    searchable: LabelledArrays  # both splits, memory-mapped and read-only
    positions: Mapping[Literal["train", "validation"], Positions]  # of each split in `searchable`

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.searchable.images.shape
        return channels, height, width

    def split(self, name: Literal["train", "validation"]) -> LabelledArrays:
        """A copy of one split, in the order in which the data set was read. Raises TestSplitError for another name."""
        if name not in self.positions:
            raise TestSplitError(name)
        rows = self.positions[name]
        return LabelledArrays(self.searchable.images[rows], self.searchable.labels[rows])


def open_dataset(
    config: DataConfig, *, data_root: Path, cache_root: Path, on_progress: Progress | None = None
) -> ImageDataset:
    """The training and the validation split, decoded into `cache_root` by the first process of a machine that asks.

    `data_root` is where downloaded data sets lie; `on_progress(done, total)` counts images while they are decoded.

    Raises DataError where the data or the configuration is bad, DataUnavailable where the data is not to be had or
    `cache_root` cannot be written to.
    """
    class_names, arrays = _open(config, "train", data_root, cache_root, on_progress or _silent)
    _check_counts(config, class_names, arrays.labels)
    train, validation = stratified_split(arrays.labels, config.validation_fraction, config.split_seed)
    return ImageDataset(class_names, arrays, {"train": train, "validation": validation})


def open_test_split(config: DataConfig, *, data_root: Path, cache_root: Path) -> LabelledArrays:
    """The test split, for follow-ups, which judge what a search has chosen.

    It depends on neither `validation_fraction` nor `split_seed`. Raises what open_dataset raises, and DataError for a
    test split without images.
    """
    _, arrays = _open(config, "test", data_root, cache_root, _silent)
    if len(arrays.labels) == 0:
        raise DataError(f'dataset "{config.dataset}": no image is left for the test split; add images')
    return LabelledArrays(np.array(arrays.images), arrays.labels)


def _silent(done: int, total: int) -> None:
    pass


def _check_counts(config: DataConfig, class_names: tuple[str, ...], labels: Labels) -> None:
    """Raises DataError where stratified_split cannot give every class an image on both sides."""
    counts = np.bincount(labels, minlength=len(class_names))
    fewest = int(counts.argmin())
    if counts[fewest] < 2:
        raise DataError(
            f'dataset "{config.dataset}": class "{class_names[fewest]}" has {counts[fewest]} images outside the test '
            "split; add some until it has 2 or more"
        )
    taken = round(config.validation_fraction * len(labels))
    for side, count, mend in (("validation", taken, "raise"), ("training", len(labels) - taken, "lower")):
        if count < len(class_names):
            raise DataError(
                f"validation_fraction {config.validation_fraction}: {count} of {len(labels)} images for {side} are "
                f"fewer than the {len(class_names)} classes; {mend} it or add images"
            )


# --- the cache


def _open(
    config: DataConfig, split: Literal["train", "test"], data_root: Path, cache_root: Path, on_progress: Progress
) -> tuple[tuple[str, ...], LabelledArrays]:
    source = find_source(config.dataset, data_root)
    size = "native" if config.image_size is None else f"{config.image_size}px"
    slug = f"{source.slug}.{size}"
    key = hashlib.sha256(json.dumps([CACHE_VERSION, slug, source.fingerprint]).encode()).hexdigest()[:16]
    entry = cache_root / f"{slug}.{key}"
    try:
        if not _is_intact(entry):
            cache_root.mkdir(parents=True, exist_ok=True)
            with FileLock(cache_root / f"{slug}.lock"):
                if not _is_intact(entry):  # else another process has decoded it meanwhile
                    _build(source, config.image_size, entry, slug, on_progress)
        return _load(entry, split)
    except OSError as error:
        raise DataUnavailable(
            f"{cache_root}: cannot keep decoded images there ({error.strerror or error}); make it writable or make room"
        ) from error


def _build(source: Source, image_size: int | None, entry: Path, slug: str, on_progress: Progress) -> None:
    """Decodes aside and renames, under the lock of this slug: what is found half-made is of a process that died."""
    aside = entry.with_name(f"{slug}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    scratch = aside / "scratch"
    scratch.mkdir(parents=True)
    try:
        _write(source.decode(scratch, image_size, on_progress), aside)
        shutil.rmtree(scratch)
        for outdated in entry.parent.glob(f"{slug}.*/"):
            if outdated != aside:
                shutil.rmtree(outdated, ignore_errors=True)
        aside.rename(entry)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(decoded: Decoded, folder: Path) -> None:
    for split, rows in (("train", decoded.train), ("test", decoded.test)):
        np.save(folder / f"{split}_labels.npy", decoded.labels[rows])
        shape = (len(rows), *decoded.images.shape[1:])
        images = np.lib.format.open_memmap(folder / f"{split}_images.npy", "w+", np.uint8, shape)
        for chunk in _chunks(images):
            images[chunk] = decoded.images[rows[chunk]]
        images.flush()
    sizes = {}
    for path in folder.glob("*.npy"):
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        sizes[path.name] = path.stat().st_size
    content = {"class_names": decoded.class_names, "sizes": sizes}
    with (folder / "meta.json").open("w") as meta:
        json.dump({"content": content, "sha256": _checksum(content)}, meta)
        meta.flush()
        os.fsync(meta.fileno())


def _checksum(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_intact(entry: Path) -> bool:
    try:
        meta = json.loads((entry / "meta.json").read_bytes())
        return meta["sha256"] == _checksum(meta["content"]) and all(
            (entry / name).stat().st_size == size for name, size in meta["content"]["sizes"].items()
        )
    except (FileNotFoundError, ValueError, LookupError, TypeError):  # not there, or not as it was written
        return False


def _load(entry: Path, split: Literal["train", "test"]) -> tuple[tuple[str, ...], LabelledArrays]:
    meta = json.loads((entry / "meta.json").read_bytes())
    images = np.load(entry / f"{split}_images.npy", mmap_mode="r")
    return tuple(meta["content"]["class_names"]), LabelledArrays(images, np.load(entry / f"{split}_labels.npy"))


def _chunks(images: Images) -> Iterator[slice]:
    """Slices along N that keep memory small."""
    step = max(1, _CHUNK_BYTES // math.prod(images.shape[1:]))
    return (slice(start, start + step) for start in range(0, len(images), step))


# --- on the device


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with their classes, on a device."""

    images: Tensor  # (N, C, H, W) uint8
    labels: Tensor  # (N,) int64


@dataclass(frozen=True, eq=False)
class ResidentData:
    """Both splits of a search on its device, and what `standard` input normalization needs.

    Mean and deviation (population, divisor N) are those of the training split's pixels / 255, validation not counted.
    """

    train: LabelledImages
    validation: LabelledImages
    class_names: tuple[str, ...]
    mean: Tensor  # (C,) float32
    deviation: Tensor  # (C,) float32, 1.0 where a channel is constant


def hold(dataset: ImageDataset, device: torch.device) -> ResidentData:
    """Copies both splits to the device as uint8. Raises DataError, before it allocates, if they do not fit."""
    _check_memory(dataset, device)
    train = dataset.split("train")
    mean, deviation = _moments(train.images)
    return ResidentData(
        to_device(train, device),
        to_device(dataset.split("validation"), device),
        dataset.class_names,
        torch.from_numpy(mean).to(device),
        torch.from_numpy(deviation).to(device),
    )


def to_device(arrays: LabelledArrays, device: torch.device) -> LabelledImages:
    """The same images and labels as tensors; on the CPU they share the arrays' memory."""
    return LabelledImages(torch.from_numpy(arrays.images).to(device), torch.from_numpy(arrays.labels).to(device))


def _check_memory(dataset: ImageDataset, device: torch.device) -> None:
    needed_bytes = dataset.searchable.images.nbytes
    free = {"memory": psutil.virtual_memory().available}
    if device.type == "cuda":
        free[f"memory of {device}"] = torch.cuda.mem_get_info(device)[0]
    for where, free_bytes in free.items():
        if needed_bytes > free_bytes:
            raise DataError(
                f"the images need {needed_bytes / 1e9:.1f} GB and {free_bytes / 1e9:.1f} GB of {where} are free; "
                "set a smaller image_size"
            )


def _moments(images: Images) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of pixels / 255 by channel, (C,) each, in whole numbers up to the last division."""
    histograms = np.zeros((images.shape[1], 256), dtype=np.int64)
    for chunk in _chunks(images):
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
