"""Images per second of decoding a folder of small JPEGs beside torchvision's ImageFolder, and a
second start's time.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2 import PILToTensor

from benchmarks.figures import machine, spread
from lab.checkout import environment
from objectives.data.cache import open_searchable
from objectives.data.config import DataConfig
from objectives.data.folder import image_folder
from objectives.data.image_file import Read, Unread, read_header, read_pixels

CLASSES = 10
SIDE = 64
# The DataLoader has so many too.
PROCESSES = 2
BATCH = 100


def make(folder: Path, count: int) -> None:
    """Colour JPEGs of smooth noise, some kilobytes each."""
    random = np.random.RandomState(0)
    for number in range(count):
        path = folder / f"class {number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.randint(0, 256, (8, 8, 3)).astype(np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, quality=90)


def silent(done: int, total: int) -> None:
    """Shows nothing."""


def first_start(folder: Path) -> None:
    """What a search's first start does: list, decode, hash, split, and write into an empty
    cache.
    """
    with tempfile.TemporaryDirectory() as root:
        open_searchable(DataConfig(f"images:{folder}"), Path(root), Path(root) / "cache", silent)


def by_threads(folder: Path) -> None:
    """Listing and decoding alone, as a first start does them."""
    with tempfile.TemporaryDirectory() as scratch:
        image_folder(folder).decode(Path(scratch), None, silent)


def by_processes(folder: Path) -> None:
    """The same work on each file, by processes; forked ones, since they start with everything
    imported.
    """
    paths = sorted(folder.rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "images.npy"
        np.lib.format.open_memmap(target, "w+", np.uint8, (len(paths), 3, SIDE, SIDE)).flush()
        with ProcessPoolExecutor(PROCESSES, get_context("fork")) as pool:
            starts = range(0, len(paths), BATCH)
            list(
                pool.map(
                    partial(decode_batch, target),
                    starts,
                    [paths[start : start + BATCH] for start in starts],
                )
            )


def decode_batch(target: Path, start: int, paths: list[Path]) -> list[Read | Unread]:
    """In a process of by_processes."""
    images = np.lib.format.open_memmap(target, "r+")
    for path in paths:
        read_header(path)
    return [read_pixels(path, images[start + row], {}) for row, path in enumerate(paths)]


def by_torchvision(folder: Path) -> None:
    """One epoch of ImageFolder and DataLoader, which does this every epoch."""
    loader = DataLoader(ImageFolder(folder, PILToTensor()), batch_size=256, num_workers=PROCESSES)
    for _images, _labels in loader:
        pass


WAYS: dict[str, Callable[[Path], None]] = {
    "first start, cache written": first_start,
    "decoding alone, threads": by_threads,
    f"decoding alone, {PROCESSES} forked processes": by_processes,
    f"ImageFolder + DataLoader, {PROCESSES} workers, one epoch": by_torchvision,
}

SECOND_START = """
import sys, time
from pathlib import Path
from objectives.data.cache import open_searchable
from objectives.data.config import DataConfig

started = time.perf_counter()
cache_root = Path(sys.argv[2])
config = DataConfig(sys.argv[1])
open_searchable(config, cache_root, cache_root, lambda done, total: sys.exit("it decoded again"))
print(time.perf_counter() - started)
"""


def second_start(folder: Path, cache_root: Path) -> float:
    """Seconds that a new process waits for data that is decoded: the folder is listed and
    compared.
    """
    command = [sys.executable, "-P", "-c", SECOND_START, f"images:{folder}", str(cache_root)]
    return float(
        subprocess.run(
            command, env=environment(), check=True, capture_output=True, text=True
        ).stdout
    )


def main() -> None:
    """Prints the machine, a row for each way, and a second start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(machine("torch", "torchvision", "pillow", "numpy"))
    with tempfile.TemporaryDirectory() as root:
        folder, cache_root = Path(root) / "images", Path(root) / "cache"
        make(folder, arguments.images)
        sizes = [path.stat().st_size for path in folder.rglob("*.jpg")]
        print(
            f"{len(sizes)} JPEGs of {SIDE} x {SIDE} in colour, {statistics.mean(sizes):.0f} bytes"
            f" on average, {arguments.repeats} rounds in turns: images/s as median (min..max)"
        )
        rates: dict[str, list[float]] = {name: [] for name in WAYS}
        # All files are read once before anything counts.
        for way in WAYS.values():
            way(folder)
        for _ in range(arguments.repeats):
            for name, way in WAYS.items():
                started = time.perf_counter()
                way(folder)
                rates[name].append(arguments.images / (time.perf_counter() - started))
        for name, found in rates.items():
            print(f"{name}: {spread(found, 0)}")
        open_searchable(DataConfig(f"images:{folder}"), cache_root, cache_root, silent)
        starts = [second_start(folder, cache_root) for _ in range(arguments.repeats)]
        print(
            f"second start: {spread(starts, 2)} s, n = {arguments.repeats}, in a new process, after"
            " its imports"
        )
    print(machine("torch"))


if __name__ == "__main__":
    main()
