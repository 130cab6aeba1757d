"""Data sets decoded once a machine, in a cache that a changed data set invalidates; no torch."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock

from objectives.data.config import DataConfig
from objectives.data.datasets import find_source
from objectives.data.folds import Folds
from objectives.data.pixels import PixelScale
from objectives.data.source import DataFacts, Decoded, Images, Progress, Source
from objectives.data.splits import (
    Belonging,
    Labels,
    Positions,
    Undivided,
    split_by_units,
    stratified_split,
)
from objectives.errors import DataError, DataUnavailable
from objectives.names import RESIZES

# The version is that of a decoded data set and its layout: another number decodes everything again.
CACHE_VERSION = 2
_CHUNK_BYTES = 64 * 2**20
# Paths of what is not test, by row; entries from before there were such, and data sets whose images
# have no files, are without.
_NAMES = "train_names.json"


@dataclass(frozen=True, eq=False)
class LabelledArrays:
    """Images with their classes, on the host."""

    # The images have shape (N, C, H, W) and are uint8.
    images: Images
    # The labels have shape (N,) and are int64.
    labels: Labels


@dataclass(frozen=True, eq=False)
class Opened:
    """One split of a data set, as it was decoded: what is not test is not divided yet."""

    class_names: tuple[str, ...]
    arrays: LabelledArrays
    belonging: Belonging | None
    facts: DataFacts
    names_file: Path | None


@dataclass(frozen=True, eq=False)
class Searchable:
    """What is not test, memory-mapped, and which rows of it are for training and which for
    validation.
    """

    class_names: tuple[str, ...]
    arrays: LabelledArrays
    train: Positions
    validation: Positions
    # The facts are those of the whole data set.
    facts: DataFacts
    names_file: Path | None = None
    # There are none where the configuration has none.
    folds: Folds | None = None

    def names(self) -> list[str] | None:
        """The path of each row's file below the data set's folder, with /; `None` where the images
        have no files of their own, or an earlier version decoded them.
        """
        if self.names_file is None:
            return None
        found: list[str] = json.loads(self.names_file.read_bytes())
        return found


def open_searchable(
    config: DataConfig, data_root: Path, cache_root: Path, on_progress: Progress
) -> Searchable:
    """What is not test, split into training and validation with each class on both sides.

    Raises DataError where the data or the configuration is bad, DataUnavailable where the data is
    not to be had or `cache_root` cannot be written to.
    """
    return divided(config, open_split(config, "train", data_root, cache_root, on_progress))


def divided(config: DataConfig, opened: Opened) -> Searchable:
    """What is not test, divided into training and validation. Raises DataError where a class would
    have no image on a side.
    """
    _check_counts(config, opened.class_names, opened.arrays.labels)
    return _searchable(config, opened)


def _searchable(config: DataConfig, opened: Opened) -> Searchable:
    folds = _folds(config, opened)
    train, validation = _split(config, opened, folds)
    return Searchable(
        opened.class_names, opened.arrays, train, validation, opened.facts, opened.names_file, folds
    )


def _folds(config: DataConfig, opened: Opened) -> Folds | None:
    if config.folds is None:
        return None
    belonging = None if config.split_version == 1 else opened.belonging
    return Folds(opened.arrays.labels, belonging, config.folds, config.split_seed)


def find_decoded(config: DataConfig, fingerprint: str, cache_root: Path) -> Searchable | None:
    """As open_searchable, of the data set with that fingerprint, where this machine has it decoded:
    nothing is looked for elsewhere, downloaded, decoded or written.

    Raises DataError where its images cannot be split so.
    """
    pattern = f"*.{_size(config)}.*/meta.json"
    for entry in sorted(each.parent for each in cache_root.glob(pattern)):
        if not is_intact(entry):
            continue
        opened = load_entry(entry, "train")
        if opened.facts.fingerprint == fingerprint:
            return _searchable(config, opened)
    return None


def open_test(config: DataConfig, data_root: Path, cache_root: Path) -> Opened:
    """The test split, memory-mapped. Raises as open_searchable does, and DataError for one without
    images.
    """
    opened = open_split(config, "test", data_root, cache_root, lambda done, total: None)
    if len(opened.arrays.labels) == 0:
        raise DataError(
            f'dataset "{config.dataset}": no image is left for the test split; add images'
        )
    return opened


def _check_counts(config: DataConfig, class_names: tuple[str, ...], labels: Labels) -> None:
    """Raises DataError where stratified_split cannot give every class an image on both sides."""
    counts = np.bincount(labels, minlength=len(class_names))
    fewest = int(counts.argmin())
    if counts[fewest] < 2:
        raise DataError(
            f'dataset "{config.dataset}": class "{class_names[fewest]}" has {counts[fewest]} images'
            " outside the test split; add some until it has 2 or more"
        )
    if config.folds is not None:
        if counts[fewest] < config.folds:
            raise DataError(
                f'dataset "{config.dataset}": class "{class_names[fewest]}" has {counts[fewest]}'
                f" images outside the test split, and data.folds = {config.folds} needs one in each"
                " fold; lower it or add images"
            )
        return
    taken = round(config.validation_fraction * len(labels))
    for side, count, mend in (
        ("validation", taken, "raise"),
        ("training", len(labels) - taken, "lower"),
    ):
        if count < len(class_names):
            raise DataError(
                f"validation_fraction {config.validation_fraction}: {count} of {len(labels)} images"
                f" for {side} are fewer than the {len(class_names)} classes; {mend} it or add"
                " images"
            )


def _split(config: DataConfig, opened: Opened, folds: Folds | None) -> tuple[Positions, Positions]:
    """The rows for training and those for validation. Raises DataError for a class that cannot be
    divided.
    """
    labels = opened.arrays.labels
    is_by_rows = config.split_version == 1 or opened.belonging is None
    if folds is None and is_by_rows:
        return stratified_split(labels, config.validation_fraction, config.split_seed)
    try:
        if folds is not None:
            return folds.split()
        assert opened.belonging is not None
        return split_by_units(
            labels, opened.belonging, config.validation_fraction, config.split_seed
        )
    except Undivided as undivided:
        name = opened.class_names[undivided.label]
        if folds is not None:
            raise DataError(
                f'dataset "{config.dataset}": class "{name}" cannot be in each of data.folds ='
                f" {folds.count}: too many of its images belong together, as equal images or as a"
                " group; lower it or add others"
            ) from None
        raise DataError(
            f'dataset "{config.dataset}": no image of class "{name}" can be set aside for'
            " validation: all belong together, as equal images or as a group; add others"
        ) from None


def open_split(
    config: DataConfig,
    split: Literal["train", "test"],
    data_root: Path,
    cache_root: Path,
    on_progress: Progress,
) -> Opened:
    """That split, decoded if need be. Raises as open_searchable does."""
    source = find_source(config.dataset, data_root, config.groups, config.resize, config.labels)
    slug = f"{source.slug}.{_size(config)}"
    key = hashlib.sha256(
        json.dumps([CACHE_VERSION, slug, source.fingerprint]).encode()
    ).hexdigest()[:16]
    entry = cache_root / f"{slug}.{key}"
    try:
        if not is_intact(entry):
            cache_root.mkdir(parents=True, exist_ok=True)
            with FileLock(cache_root / f"{slug}.lock"):
                # Another process may have decoded it meanwhile.
                if not is_intact(entry):
                    _build(source, config.image_size, entry, slug, on_progress)
        return load_entry(entry, split)
    except OSError as error:
        raise DataUnavailable(
            f"{cache_root}: cannot keep decoded images there ({error.strerror or error}); make it"
            " writable or make room"
        ) from error


def _size(config: DataConfig) -> str:
    """The part of an entry's name that says to which size its images were brought, and how."""
    size = "native" if config.image_size is None else f"{config.image_size}px"
    return size if config.resize == RESIZES[0] else f"{size}-{config.resize}"


def _build(
    source: Source, image_size: int | None, entry: Path, slug: str, on_progress: Progress
) -> None:
    """Decodes aside and renames, under the lock of this slug: what is found half-made is of a
    process that died.
    """
    aside = entry.with_name(f"{slug}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    scratch = aside / "scratch"
    scratch.mkdir(parents=True)
    try:
        write_entry(source.decode(scratch, image_size, on_progress), aside)
        shutil.rmtree(scratch)
        for outdated in entry.parent.glob(f"{slug}.*/"):
            if outdated != aside:
                shutil.rmtree(outdated, ignore_errors=True)
        aside.rename(entry)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_entry(decoded: Decoded, folder: Path) -> None:
    """Both splits, in a folder that is there and empty."""
    for split, rows in (("train", decoded.train), ("test", decoded.test)):
        np.save(folder / f"{split}_labels.npy", decoded.labels[rows])
        _save_images(folder / f"{split}_images.npy", decoded.images, rows)
    if decoded.belonging is not None:
        np.save(folder / "train_units.npy", decoded.belonging.units[decoded.train])
        np.save(folder / "train_ranks.npy", decoded.belonging.ranks[decoded.train])
    if decoded.names is not None:
        names = [decoded.names[row] for row in decoded.train]
        (folder / _NAMES).write_text(json.dumps(names), encoding="ascii")
    sizes = {}
    for path in (*folder.glob("*.npy"), *folder.glob(_NAMES)):
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        sizes[path.name] = path.stat().st_size
    content = {"class_names": decoded.class_names, "sizes": sizes, **asdict(decoded.facts)}
    with (folder / "meta.json").open("w") as meta:
        json.dump({"content": content, "sha256": _checksum(content)}, meta)
        meta.flush()
        os.fsync(meta.fileno())


def _save_images(file: Path, images: Images, rows: Positions) -> None:
    """Written, not mapped: a disk that runs full under a memory map ends the process by SIGBUS."""
    with file.open("wb") as opened:
        shape = (len(rows), *images.shape[1:])
        header = {
            "descr": np.lib.format.dtype_to_descr(images.dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(opened, header)
        for chunk in chunks(len(rows), images.shape[1:]):
            opened.write(np.ascontiguousarray(images[rows[chunk]]).data)


def _checksum(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def is_intact(entry: Path) -> bool:
    """Whether a folder holds all that write_entry writes."""
    try:
        meta = json.loads((entry / "meta.json").read_bytes())
        return meta["sha256"] == _checksum(meta["content"]) and all(
            (entry / name).stat().st_size == size for name, size in meta["content"]["sizes"].items()
        )
    # A part is not there, or not as it was written.
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return False


def load_entry(entry: Path, split: Literal["train", "test"]) -> Opened:
    """What write_entry wrote, its images memory-mapped."""
    content = json.loads((entry / "meta.json").read_bytes())["content"]
    images = np.load(entry / f"{split}_images.npy", mmap_mode="r")
    belonging = None
    if split == "train" and "train_units.npy" in content["sizes"]:
        belonging = Belonging(
            np.load(entry / "train_units.npy"), np.load(entry / "train_ranks.npy")
        )
    return Opened(
        tuple(content["class_names"]),
        LabelledArrays(images, np.load(entry / f"{split}_labels.npy")),
        belonging,
        DataFacts(
            content["fingerprint"], tuple(PixelScale(**scale) for scale in content["pixel_scales"])
        ),
        entry / _NAMES if split == "train" and _NAMES in content["sizes"] else None,
    )


def chunks(count: int, shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices along N, of `count` images (C, H, W), that keep memory small."""
    step = max(1, _CHUNK_BYTES // math.prod(shape))
    return (slice(start, start + step) for start in range(0, count, step))


def shapes_in(cache_root: Path) -> dict[str, tuple[int, int, int]]:
    """(C, H, W) of the images of each decoded data set, by its name as in cached_in."""
    found = {}
    for meta in sorted(cache_root.glob("*/meta.json")):
        if is_intact(meta.parent):
            images = np.load(meta.parent / "train_images.npy", mmap_mode="r")
            _, channels, height, width = images.shape
            found[_shown(meta.parent)] = (channels, height, width)
    return found


def cached_in(cache_root: Path) -> tuple[str, ...]:
    """The data sets that are decoded there, with their size where it is not their own; not what is
    half-made.
    """
    return tuple(sorted(_shown(path.parent) for path in cache_root.glob("*/meta.json")))


def _shown(entry: Path) -> str:
    slug, size, _ = entry.name.rsplit(".", 2)
    return slug if size == "native" else f"{slug} at {size}"
