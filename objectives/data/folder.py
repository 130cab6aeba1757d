"""Anyone's images: a folder with one sub-folder a class, decoded and split."""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from objectives.data.groups import read_groups
from objectives.data.image_file import (
    CROP,
    Header,
    Read,
    Surveyed,
    Unread,
    read_header,
    read_pixels,
    survey,
)
from objectives.data.labels import list_labelled
from objectives.data.listing import Listing, list_images, printable, unreachable
from objectives.data.oddities import Folder, oddities, unread_lines
from objectives.data.pixels import PixelScale, scales_of
from objectives.data.source import (
    DataFacts,
    Decoded,
    Images,
    Progress,
    Source,
    allocated,
    digest_of,
)
from objectives.data.splits import TEST_FRACTION, Belonging, Units, units_for_test, units_of
from objectives.errors import DataError

# Images of a folder that holds several sizes have sides of so many pixels.
MIXED_SIZE = 64

# A thread takes so many files at once: one by one, handing them out costs as much as decoding small
# ones.
_BATCH = 100
_log = logging.getLogger(__name__)
Found = TypeVar("Found")
# Flags have shape (N,), one a file of the listing.
Flags = NDArray[np.bool_]


def image_folder(
    folder: Path, groups: str | None = None, resize: str = CROP, labels: str | None = None
) -> Source:
    """Anyone's images: one sub-folder a class, either in FOLDER/train and FOLDER/test, or in FOLDER
    itself.

    Without `test` the test split is, of each class, the fifth of its different files with the
    smallest SHA-256; what is test in one class is test in all. So it depends on no name and no
    order, and no file has a copy on the other side. With `groups` (see groups.read_groups) no group
    stands on both sides of it either (splits.units_for_test).

    With `labels` the classes are those of a table: see labels.list_labelled. Else a class is every
    file in its sub-folder, at any depth, with one of EXTENSIONS in any case;
    hidden ones and image_listing.LITTER are passed over. Links to files are followed, and classes
    may be links; links to folders further down are not followed. How a file becomes pixels:
    image_file.read_pixels. Images are grey if every one is, else RGB. With an image_size they
    become squares of it (bilinear, antialiased), as `resize` says: see image_file.fitted. Without
    one, images that all have one size keep it, others become squares of MIXED_SIZE. Files that hold
    no image are left out. What is odd is told in a warning while it is decoded.

    Raises DataError for a folder that is missing or laid out otherwise, or groups that do not fit
    it (decoding: for too little memory), and DataUnavailable for a file or folder that the system
    will not open (decoding: for too little disk).
    """
    if labels is None:
        listing, group_of = list_images(folder), None
    else:
        listing, group_of = list_labelled(folder, labels)
    if groups is not None and group_of is not None:
        raise DataError(
            f'{folder / (labels or "")}: has a column "group", and data.groups is "{groups}"; leave'
            " one of them out"
        )
    if groups is not None:
        group_of = read_groups(groups, folder, listing.files)
    stamps = [
        (each.name, each.size_bytes, each.modified_ns, each.changed_ns) for each in listing.files
    ]
    given = [*([] if groups is None else [groups]), *([] if labels is None else [groups, labels])]
    kind = f"images-{digest_of(given)[:8]}" if given else "images"
    sides = [(listing.class_names[each.label], each.in_test) for each in listing.files]
    return Source(
        f"{kind}-{digest_of([str(folder.resolve())])[:12]}",
        digest_of([stamps, group_of, *([] if labels is None else [sides])]),
        partial(_decode_folder, listing, group_of, resize),
    )


@dataclass(frozen=True, eq=False)
class _Pixels:
    """What the files of a folder hold, in the order of the listing."""

    images: Images
    found: tuple[Read | Unread, ...]
    headers: Sequence[Header | None]
    scales: tuple[PixelScale, ...]
    contents: Sequence[bytes | None]
    units: Units
    in_test: Flags


def _decode_folder(
    listing: Listing,
    groups: Sequence[str] | None,
    resize: str,
    scratch: Path,
    image_size: int | None,
    on_progress: Progress,
) -> Decoded:
    files = listing.files
    time.sleep(seconds_to_next_stamp([file.changed_ns for file in files], time.time_ns()))
    # Pillow warns of odd but readable files, one by one.
    with _Threads() as threads, warnings.catch_warnings(action="ignore"):
        pixels = _read_all(threads, listing, groups, resize, scratch, image_size, on_progress)
    folder = Folder(
        listing,
        pixels.found,
        tuple(pixels.in_test.tolist()),
        groups,
        resize,
        (pixels.images.shape[2], pixels.images.shape[3]),
        tuple(None if header is None else header.size for header in pixels.headers),
    )
    for line in unread_lines(folder):
        _log.info("%s: %s", printable(str(listing.folder)), line)
    for line in oddities(folder):
        _log.warning("%s: %s", printable(str(listing.folder)), line)
    readable = np.array([isinstance(each, Read) for each in folder.found])
    return Decoded(
        listing.class_names,
        pixels.images,
        np.array([file.label for file in files], dtype=np.int64),
        np.flatnonzero(readable & ~pixels.in_test),
        np.flatnonzero(readable & pixels.in_test),
        DataFacts(folder.fingerprint(), pixels.scales),
        Belonging(pixels.units, _ranks(pixels.contents)),
        tuple(file.name for file in files),
    )


def _read_all(
    threads: "_Threads",
    listing: Listing,
    groups: Sequence[str] | None,
    resize: str,
    scratch: Path,
    image_size: int | None,
    on_progress: Progress,
) -> _Pixels:
    paths = [listing.folder / file.name for file in listing.files]
    every = range(len(paths))
    found: dict[int, Read | Unread] = {}

    def decode(rows: Sequence[int], scales: Sequence[PixelScale]) -> None:
        by_kind = {scale.kind: scale for scale in scales}
        for row, each in threads.each(
            rows, lambda row: read_pixels(paths[row], images[row], by_kind, resize)
        ):
            found[row] = each
            if len(found) % _BATCH == 0 or len(found) == len(paths):
                on_progress(len(found), len(paths))

    headers = [header for _, header in threads.each(every, lambda row: read_header(paths[row]))]
    images = allocated(str(listing.folder), scratch, len(paths), _shape(headers, image_size))
    # The scale of pixels that are not of 8 bits is that of the training part, which depends on
    # every content.
    wide = [
        row for row, header in enumerate(headers) if header is not None and header.kind is not None
    ]
    decode(sorted(set(every) - set(wide)), ())
    surveyed = dict(threads.each(wide, lambda row: survey(paths[row])))
    contents = [
        None if isinstance(each, Unread) else each.digest
        for each in (surveyed.get(row) or found[row] for row in every)
    ]
    units, in_test = _sides(listing, contents, groups)
    training = (each for row, each in surveyed.items() if not in_test[row])
    scales = scales_of(each.extent for each in training if isinstance(each, Surveyed))
    decode(wide, scales)
    return _Pixels(
        images, tuple(found[row] for row in every), headers, scales, contents, units, in_test
    )


class _Threads:
    """Reads files by several threads: Pillow decodes and hashlib hashes without the GIL.

    More processes were slower: docs/data.md.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def each(
        self, rows: Sequence[int], read: Callable[[int], Found]
    ) -> Iterator[tuple[int, Found]]:
        """(row, read(row)) in order.

        Raises DataUnavailable for a file that cannot be opened: it may be there next time, and what
        is decoded without it must not be kept.
        """

        def batch(few: Sequence[int]) -> list[Found]:
            try:
                return [read(row) for row in few]
            except OSError as error:
                raise unreachable(error) from error

        batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
        for few, found in zip(batches, self._pool.map(batch, batches), strict=True):
            yield from zip(few, found, strict=True)


def seconds_to_next_stamp(changed_ns: Sequence[int], now_ns: int) -> float:
    """How long to wait so that whatever is written from then on has another time than these files.

    A file system's clock moves in ticks: a file written twice within one, and to the same size,
    looks unchanged. Linux ticks every 10 ms or faster; where all times are whole seconds they are
    taken for FAT's, of 2 s.
    """
    tick_ns = 2 * 10**9 if all(each % 10**9 == 0 for each in changed_ns) else 10**7
    age_ns = now_ns - max(changed_ns)
    return (tick_ns - age_ns) / 1e9 if 0 <= age_ns < tick_ns else 0.0


def _shape(found: Sequence[Header | None], image_size: int | None) -> tuple[int, int, int]:
    """(C, H, W) of every image of the folder."""
    headers = [header for header in found if header is not None]
    sizes = {header.size for header in headers}
    square = MIXED_SIZE if image_size is None else image_size
    height, width = sizes.pop() if image_size is None and len(sizes) == 1 else (square, square)
    return (1 if all(header.grey for header in headers) else 3), height, width


def _sides(
    listing: Listing, contents: Sequence[bytes | None], groups: Sequence[str] | None
) -> tuple[Units, Flags]:
    """The unit of each file, -1 of those that hold no image, and which files are test.

    Raises DataError for a class whose images outside the test split are one group.
    """
    files = listing.files
    rows = [row for row, content in enumerate(contents) if content is not None]
    kept = [content for content in contents if content is not None]
    units = np.full(len(files), -1, dtype=np.int64)
    units[rows] = units_of(kept, *(() if groups is None else ([groups[row] for row in rows],)))
    in_test = np.zeros(len(files), dtype=bool)
    labels = np.array([files[row].label for row in rows], dtype=np.int64)
    if listing.test_published:
        in_test[:] = [file.in_test for file in files]
    elif groups is None:
        in_test[rows] = _test_by_content(labels.tolist(), kept)
    else:
        in_test[rows] = units_for_test(labels, units[rows], kept)
    if groups is not None:
        _check_groups(listing, [row for row in rows if not in_test[row]], groups)
    return units, in_test


def _ranks(contents: Sequence[bytes | None]) -> NDArray[np.int64]:
    """The place of each content among all, -1 of a file that holds no image."""
    places = {
        content: place
        for place, content in enumerate(sorted({each for each in contents if each is not None}))
    }
    return np.array(
        [-1 if content is None else places[content] for content in contents], dtype=np.int64
    )


def _test_by_content(labels: Sequence[int], contents: Sequence[bytes]) -> list[bool]:
    """See image_folder: the smallest fifth of each class's different contents, in whichever class
    they stand.
    """
    of_class: dict[int, set[bytes]] = {}
    for label, content in zip(labels, contents, strict=True):
        of_class.setdefault(label, set()).add(content)
    chosen: set[bytes] = set()
    for different in of_class.values():
        chosen.update(sorted(different)[: round(TEST_FRACTION * len(different))])
    return [content in chosen for content in contents]


def _check_groups(listing: Listing, rows: Sequence[int], groups: Sequence[str]) -> None:
    of_class: dict[int, set[str]] = {}
    for row in rows:
        of_class.setdefault(listing.files[row].label, set()).add(groups[row])
    for label, names in sorted(of_class.items()):
        if len(names) == 1:
            raise DataError(
                f'{listing.folder}: all images of class "{listing.class_names[label]}" are of one'
                f' group, "{printable(names.pop())}": none can be set aside for validation; add'
                " images of another group"
            )
