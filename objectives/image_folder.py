"""Anyone's images: a folder with one sub-folder a class, listed, decoded, split, and what is odd in it told."""

import logging
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from objectives.errors import DataError, DataUnavailable
from objectives.image_file import EXTENSIONS, Header, read_header, read_pixels
from objectives.source import DataFacts, Decoded, Progress, Source, allocated, digest_of, fingerprint_of
from objectives.splits import TEST_FRACTION, Labels

MIXED_SIZE = 64  # pixels: the side of images of a folder that holds several sizes
UNEVEN = 10  # times as many images as the smallest class has: from there on it is said
LITTER = ("desktop.ini", "thumbs.db")  # of Windows, hidden there
NAMED = 3  # of what is odd

_BATCH = 100  # files a thread takes at once: one by one, handing them out costs as much as decoding small ones
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    name: str  # below the folder, with /
    label: int
    in_test: bool
    size_bytes: int
    modified_ns: int
    changed_ns: int  # as the file system says it: no program sets it


@dataclass(frozen=True)
class _Listing:
    folder: Path
    class_names: tuple[str, ...]
    files: tuple[_File, ...]  # by split, class and name
    test_published: bool
    left_out: tuple[str, ...]  # what stands where images do and is none by its name or place


def image_folder(folder: Path) -> Source:
    """Anyone's images: one sub-folder a class, either in FOLDER/train and FOLDER/test, or in FOLDER itself.

    Without `test` the test split is, of each class, the fifth of its different files with the smallest SHA-256; what is
    test in one class is test in all. So it depends on no name and no order, and no file has a copy on the other side.

    A class is every file in its sub-folder, at any depth, with one of EXTENSIONS in any case; hidden ones are passed
    over. Links to files are followed, and classes may be links; links to folders further down are not followed. How a
    file becomes pixels: image_file.read_pixels. Images are grey if every one is, else RGB. With an image_size the
    shorter side is brought to it (bilinear, antialiased) and the centre is kept; without one, images that all have one
    size keep it, others become squares of MIXED_SIZE. Files that hold no image are left out. What is odd is told in a
    warning while it is decoded.

    Raises DataError for a folder that is missing or laid out otherwise (decoding: for too little memory or disk), and
    DataUnavailable for a file or folder that the system will not open.
    """
    try:
        listing = _listed(folder)
    except OSError as error:
        raise _unreachable(error) from error
    fingerprint = digest_of([(each.name, each.size_bytes, each.modified_ns, each.changed_ns) for each in listing.files])
    return Source(f"images-{digest_of([str(folder.resolve())])[:12]}", fingerprint, partial(_decode_folder, listing))


def _unreachable(error: OSError) -> DataUnavailable:
    name = _printable(str(error.filename))
    return DataUnavailable(f"{name}: cannot be read ({error.strerror}); make it readable or remove it")


# --- what is there


def _listed(folder: Path) -> _Listing:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one that holds a sub-folder of images for each class")
    test_published = bool(_subfolders(folder / "train"))
    train = "train/" if test_published else ""
    names = _subfolders(folder / train)
    if len(names) < 2:
        raise DataError(
            f"{folder / train}: {len(names)} sub-folders; give each of two or more classes a sub-folder of images"
        )
    files, left_out = [], _beside(folder, ("train", "test") if test_published else names)
    for label, name in enumerate(names):
        found = _class_files(folder, f"{train}{name}", label, False, left_out)
        if not found:
            raise DataError(
                f"{folder / train / name}: no image in this class; add some ({' '.join(EXTENSIONS)}) or remove it"
            )
        files += found
    if test_published:
        for name in _test_classes(folder, names):
            files += _class_files(folder, f"test/{name}", names.index(name), True, left_out)
    return _Listing(folder, tuple(names), tuple(files), test_published, tuple(left_out))


def _test_classes(folder: Path, names: Sequence[str]) -> list[str]:
    train, test = folder / "train", folder / "test"
    if not (test_names := _subfolders(test)):
        raise DataError(f"{folder}: train without test; add {test}, or give {train}, which is then split")
    if unknown := [name for name in test_names if name not in names]:
        raise DataError(f"{test / unknown[0]}: no such class in {train}; add it there or remove it here")
    return test_names


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [each for each in entries if not each.name.startswith(".") and each.name.lower() not in LITTER]


def _subfolders(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in _visible(folder) if entry.is_dir()) if folder.is_dir() else []
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = _printable(str(folder / name))
            raise DataError(f"{shown}: the name of this class is not in UTF-8; rename the folder") from None
    return names


def _beside(folder: Path, known: Sequence[str]) -> list[str]:
    """What would be images, or classes, one floor lower: files by their extension, and other folders."""
    return sorted(
        entry.name
        for entry in _visible(folder)
        if (entry.is_dir() and entry.name not in known) or (entry.is_file() and _is_image_name(entry.name))
    )


def _is_image_name(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _class_files(folder: Path, below: str, label: int, in_test: bool, left_out: list[str]) -> list[_File]:
    """The images below a class folder by name; what else is there goes to `left_out`."""
    files, others, folders = [], [], [below]
    while folders:
        at = folders.pop()
        for entry in _visible(folder / at):
            name = f"{at}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif _is_image_name(entry.name) and (entry.is_file() or _is_dangling(entry)):
                status = entry.stat()
                files.append(_File(name, label, in_test, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
            else:
                others.append(name)
    left_out += sorted(others)
    return sorted(files, key=lambda file: file.name)


def _is_dangling(entry: os.DirEntry[str]) -> bool:
    """A link to a file that is not there now: asking for its status then says so."""
    return entry.is_symlink() and not entry.is_dir()


# --- decoding


def _decode_folder(listing: _Listing, scratch: Path, image_size: int | None, on_progress: Progress) -> Decoded:
    time.sleep(seconds_to_next_stamp([file.changed_ns for file in listing.files], time.time_ns()))
    files = listing.files
    paths = [listing.folder / file.name for file in files]
    batches = [range(start, min(start + _BATCH, len(files))) for start in range(0, len(files), _BATCH)]

    def headers_of(rows: range) -> list[Header | None]:
        return [read_header(paths[row]) for row in rows]

    def decode(rows: range) -> list[bytes | None]:
        try:
            return [read_pixels(paths[row], images[row]) for row in rows]
        except OSError as error:  # the file may be there next time: what is decoded without it must not be kept
            raise _unreachable(error) from error

    pool = (
        ThreadPoolExecutor()
    )  # PIL decodes and hashlib hashes without the GIL; more processes were slower: docs/data.md
    try:
        with warnings.catch_warnings(action="ignore"):  # of PIL: of odd but readable files, one each
            headers = [header for found in pool.map(headers_of, batches) for header in found if header is not None]
            images = allocated(str(listing.folder), scratch, len(files), _shape(headers, image_size))
            digests: list[bytes | None] = []  # None where the file holds no image
            for found in pool.map(decode, batches):
                digests += found
                on_progress(len(digests), len(files))
    finally:
        pool.shutdown(cancel_futures=True)
    labels = np.array([file.label for file in files], dtype=np.int64)
    readable = np.array([digest is not None for digest in digests])
    in_test = np.array(
        [file.in_test for file in files] if listing.test_published else _in_test_by_content(files, digests)
    )
    for oddity in _oddities(listing, digests, labels[readable]):
        _log.warning("%s: %s", listing.folder, oddity)
    return Decoded(
        listing.class_names,
        images,
        labels,
        np.flatnonzero(readable & ~in_test),
        np.flatnonzero(readable & in_test),
        DataFacts(
            fingerprint_of(
                (listing.class_names[file.label], "test" if is_test else "train", digest.hex())
                for file, is_test, digest in zip(files, in_test, digests, strict=True)
                if digest is not None
            )
        ),
    )


def seconds_to_next_stamp(changed_ns: Sequence[int], now_ns: int) -> float:
    """How long to wait so that whatever is written from then on has another time than these files.

    A file system's clock moves in ticks: a file written twice within one, and to the same size, looks unchanged. Linux
    ticks every 10 ms or faster; where all times are whole seconds they are taken for FAT's, of 2 s.
    """
    tick_ns = 2 * 10**9 if all(each % 10**9 == 0 for each in changed_ns) else 10**7
    age_ns = now_ns - max(changed_ns)
    return (tick_ns - age_ns) / 1e9 if 0 <= age_ns < tick_ns else 0.0


def _shape(headers: Sequence[Header], image_size: int | None) -> tuple[int, int, int]:
    """(C, H, W) of every image of the folder."""
    sizes = {header.size for header in headers}
    square = MIXED_SIZE if image_size is None else image_size
    height, width = sizes.pop() if image_size is None and len(sizes) == 1 else (square, square)
    return (1 if all(header.grey for header in headers) else 3), height, width


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


# --- what is odd


def _oddities(listing: _Listing, digests: Sequence[bytes | None], labels: Labels) -> Iterator[str]:
    """One line each; `labels` are those of the files that hold an image."""
    if listing.left_out:
        yield f"{len(listing.left_out)} files or folders are no images or stand in no class: {_some(listing.left_out)}"
    unreadable = [file.name for file, digest in zip(listing.files, digests, strict=True) if digest is None]
    if unreadable:
        yield f"{len(unreadable)} of {len(digests)} images cannot be read and are left out: {_some(unreadable)}"
    copies: dict[bytes, list[_File]] = {}
    for file, digest in zip(listing.files, digests, strict=True):
        if digest is not None:
            copies.setdefault(digest, []).append(file)
    contradicting = [same for same in copies.values() if len({file.label for file in same}) > 1]
    if contradicting:
        yield (
            f"{len(contradicting)} images stand in more than one class, where all but one are mislabelled: "
            f"{_some(_equal(same) for same in contradicting)}"
        )
    shared = [same for same in copies.values() if len({file.in_test for file in same}) > 1]
    if shared:
        yield (
            f"{len(shared)} images of test are in train too, so that the test split flatters: "
            f"{_some(_equal(same) for same in shared)}"
        )
    counts = np.bincount(labels, minlength=len(listing.class_names))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    if counts[most] >= UNEVEN * counts[fewest] > 0:
        yield (
            f'class "{listing.class_names[most]}" has {counts[most]} images and "{listing.class_names[fewest]}" '
            f'{counts[fewest]}: accuracy counts images; metric = "balanced_accuracy" or "macro_f1" counts classes'
        )


def _some(names: Iterable[str]) -> str:
    """The first few, on one line."""
    names = list(names)
    return ", ".join(map(_printable, names[:NAMED])) + (", ..." if len(names) > NAMED else "")


def _equal(same: Sequence[_File]) -> str:
    """One file of each class and split that share a content."""
    first: dict[tuple[int, bool], str] = {}
    for file in same:
        first.setdefault((file.label, file.in_test), file.name)
    return " = ".join(first.values())


def _printable(name: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)
