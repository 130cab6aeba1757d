"""Decoded images on their way from one machine to another; no torch."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock

from objectives.data.cache import (
    CACHE_VERSION,
    LabelledArrays,
    Opened,
    is_intact,
    write_entry,
)
from objectives.data.config import DataConfig
from objectives.data.source import Decoded, digest_of

Split = Literal["train", "test"]


def parcel_name(config: DataConfig, fingerprint: str, split: Split) -> str:
    """The same for what is the same data, whichever part of it is for validation."""
    of_data = (config.image_size, config.resize, config.groups, config.labels)
    return digest_of([CACHE_VERSION, fingerprint, *of_data, split])[:32]


def packed(opened: Opened) -> Opened:
    """The same as arrays that can be sent: (N, C, H, W) uint8 and (N,) int64, not mapped to this
    machine's files.
    """
    images = opened.arrays.images.view(np.ndarray)
    return replace(opened, arrays=LabelledArrays(images, opened.arrays.labels))


def unpack(parcel: Opened, split: Split, entry: Path) -> None:
    """Writes what was sent to a folder that `load_entry` reads, unless it is there.

    Raises OSError where there is no room.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.with_name(f"{entry.name}.lock")):
        if is_intact(entry):
            return
        aside = entry.with_name(f"{entry.name}.aside")
        for outdated in (aside, entry):
            shutil.rmtree(outdated, ignore_errors=True)
        aside.mkdir()
        rows, none = np.arange(len(parcel.arrays.labels)), np.arange(0)
        is_train = split == "train"
        decoded = Decoded(
            parcel.class_names,
            parcel.arrays.images,
            parcel.arrays.labels,
            rows if is_train else none,
            none if is_train else rows,
            parcel.facts,
            parcel.belonging if is_train else None,
        )
        try:
            write_entry(decoded, aside)
            aside.rename(entry)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
