"""What a data set is once it is read, and what every reader of one needs."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from objectives.data.image_file import fitted
from objectives.data.pixels import PixelScale
from objectives.data.splits import Belonging, Labels, Positions
from objectives.errors import DataError, DataUnavailable

# Images have shape (N, C, H, W).
Images = NDArray[np.uint8]
# Progress is told how many images are done, of how many in all.
Progress = Callable[[int, int], None]

_ZEROS = bytes(2**20)


@dataclass(frozen=True)
class DataFacts:
    """What tells a data set from every other, kept with its cache entry and with a study at its
    first trial.
    """

    # The fingerprint is that of `fingerprint_of`.
    fingerprint: str
    # The scales are those of kinds of pixels that are not 8 bits, by kind.
    pixel_scales: tuple[PixelScale, ...] = ()


def fingerprint_of(files: Iterable[tuple[str, ...]]) -> str:
    """SHA-256, in hex, of the sorted (class, split, SHA-256 of the file's bytes); "" where a file
    holds several.

    It depends on contents alone: neither on names, nor times, nor on where the files lie.
    """
    return digest_of(sorted(files))


@dataclass(frozen=True, eq=False)
class Decoded:
    """A data set as it was read. Rows of `images` that stand in neither split could not be read."""

    class_names: tuple[str, ...]
    images: Images
    labels: Labels
    # The validation images are still part of the training split.
    train: Positions
    test: Positions
    facts: DataFacts
    # The units and ranks are of N images; None: each image stands for itself.
    belonging: Belonging | None = None
    # The names are N paths below the folder, with /; None where images have no files of their own.
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Source:
    """A data set on this machine: which it is, what tells that it has changed, and how to read it.

    `decode(scratch, image_size, on_progress)` may leave files in the folder `scratch`; its images
    are mapped to them.
    """

    # The slug is the part of a file name that tells this source from every other.
    slug: str
    # The fingerprint is cheap: it is of sizes and times, not of contents.
    fingerprint: str
    decode: Callable[[Path, int | None, Progress], Decoded]


def allocated(what: str, scratch: Path, count: int, shape: tuple[int, int, int]) -> Images:
    """Room for `count` images (C, H, W) in a file in `scratch`.

    Raises DataError, before anything is written, where they do not fit into memory, and
    DataUnavailable for a disk that is too small: one that runs full under a memory map ends the
    process by SIGBUS.
    """
    needed_bytes = count * math.prod(shape)
    need = (
        f"{what}: {count} images of {shape[1]} x {shape[2]} pixels need {needed_bytes / 1e9:.1f} GB"
    )
    if needed_bytes > (free := psutil.virtual_memory().available):
        raise DataError(
            f"{need} of memory and {free / 1e9:.1f} GB are free; set a smaller image_size"
        )
    # The images lie here, and once more in the two splits.
    if 2 * needed_bytes > (free := shutil.disk_usage(scratch).free):
        raise DataUnavailable(
            f"{need} twice in {scratch} and {free / 1e9:.1f} GB are free; make room or shrink"
            " image_size"
        )
    images = np.lib.format.open_memmap(scratch / "images.npy", "w+", np.uint8, (count, *shape))
    _reserve(scratch / "images.npy", images.offset)
    return images


def _reserve(file: Path, start: int) -> None:
    """Takes all the room on the disk that a file's size speaks of; from `start` on there is nothing
    in it yet.

    Raises OSError where there is too little, or where the user's quota ends.
    """
    size_bytes = file.stat().st_size
    with file.open("r+b") as opened:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(opened.fileno(), 0, size_bytes)
            return
        opened.seek(start)
        for at in range(start, size_bytes, len(_ZEROS)):
            opened.write(_ZEROS[: size_bytes - at])


def resized(what: str, images: Images, size: int | None, scratch: Path) -> Images:
    """Every image (C, H, W) as a square of `size` pixels; `None` leaves them."""
    if size is None:
        return images
    squares = allocated(what, scratch, len(images), (images.shape[1], size, size))
    for image, row in zip(images, squares, strict=True):
        picture = Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1))
        row[:] = fitted(picture, size, size)
    return squares


def digest_of(value: Sequence[object]) -> str:
    """SHA-256 of what JSON can say, in hex."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
