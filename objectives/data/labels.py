"""A folder of images whose classes stand in a table beside them: data.labels."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from objectives.data.listing import (
    ImageFile,
    Listing,
    is_image_name,
    is_passed_over,
    printable,
    some,
    unreachable,
)
from objectives.data.table import below, leaves, read_rows
from objectives.errors import DataError

COLUMNS = ("path", "class", "split", "group")
SPLITS = {"train": False, "training": False, "test": True}


@dataclass(frozen=True)
class Row:
    """What a table says of one image."""

    path: str
    label: str
    # The split is one of SPLITS; None: the table has no such column.
    split: str | None
    group: str | None


def list_labelled(folder: Path, labels: str) -> tuple[Listing, tuple[str, ...] | None]:
    """The images that a table names, and the group of each where it has that column.

    The CSV lies in `folder` unless its path is absolute. Its first row names its columns: path
    (below `folder`) and class, and as it likes split (train or test in each row; without it a test
    split is made as for any folder) and group (see groups.read_groups). One class an image.

    Raises DataError for a table that is not there or not so, or names what is not there;
    DataUnavailable for a file that the system will not open.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one that the paths of {labels} are in")
    table = folder / labels
    rows = _read(table)
    try:
        files = _files(folder, table, rows)
        others = _not_named(folder, {file.name for file in files})
    except OSError as error:
        raise unreachable(error) from error
    names = sorted({row.label for row in rows})
    order = sorted(range(len(rows)), key=lambda at: (files[at].in_test, files[at].label, at))
    listing = Listing(
        folder,
        tuple(names),
        tuple(files[at] for at in order),
        rows[0].split is not None,
        others,
    )
    groups = tuple(group for at in order if (group := rows[at].group) is not None)
    return listing, groups or None


def _read(table: Path) -> list[Row]:
    """One row a path, by path. Raises DataError."""
    rows = read_rows(table, "data.labels")
    header = [name.lower() for name in rows[0][1]] if rows else []
    _check_header(table, header)
    found: dict[str, tuple[int, Row]] = {}
    for number, cells in rows[1:]:
        row = _row(table, number, header, cells)
        first, same = found.setdefault(row.path, (number, row))
        if same.label != row.label:
            raise DataError(
                f'{table}: "{printable(row.path)}" is "{printable(same.label)}" in row {first} and'
                f' "{printable(row.label)}" in row {number}: an image has one class (several labels'
                " an image are out of scope); leave one out"
            )
        if same != row:
            raise DataError(
                f'{table}: "{printable(row.path)}" has another split or group in row {first} than'
                f" in row {number}; leave one out"
            )
    by_path = [row for _, (_, row) in sorted(found.items())]
    _check_classes(table, by_path)
    return by_path


def _check_header(table: Path, header: Sequence[str]) -> None:
    for name in header:
        if name not in COLUMNS:
            nearest = get_close_matches(name, COLUMNS, n=1)
            mend = f'did you mean "{nearest[0]}"?' if nearest else "rename it or leave it out"
            raise DataError(
                f'{table}: unknown column "{printable(name)}"; known are {", ".join(COLUMNS)}:'
                f" {mend}"
            )
        if header.count(name) > 1:
            raise DataError(f'{table}: has two columns "{name}"; leave one out')
    if missing := [name for name in COLUMNS[:2] if name not in header]:
        raise DataError(
            f'{table}: has no column "{missing[0]}"; its first row names its columns: path, class,'
            " and if you like split and group"
        )


def _row(table: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(header):
        raise DataError(
            f"{table}: row {number} has {len(cells)} columns and the first {len(header)}; write as"
            " many in each"
        )
    values = dict(zip(header, cells, strict=True))
    for name, value in values.items():
        if not value:
            raise DataError(f"{table}: row {number} has no {name}; write one in each row")
    path = below(values["path"])
    if leaves(path):
        raise DataError(
            f'{table}: row {number}: "{printable(path)}" is not below {table.parent}; write paths'
            " below the folder of the images"
        )
    split = values.get("split", "train").lower()
    if split not in SPLITS:
        raise DataError(
            f'{table}: row {number}: split "{printable(split)}" is neither train nor test;'
            " validation images are drawn from train (data.validation_fraction)"
        )
    return Row(path, values["class"], split if "split" in values else None, values.get("group"))


def _check_classes(table: Path, rows: Sequence[Row]) -> None:
    names = {row.label for row in rows}
    if len(names) < 2:
        raise DataError(f"{table}: {len(names)} classes; name images of two or more")
    if rows[0].split is None:
        return
    training = {row.label for row in rows if not SPLITS[row.split or "train"]}
    if without := sorted(names - training):
        raise DataError(
            f'{table}: class "{printable(without[0])}" has no image in train; add some or leave it'
            " out"
        )
    if not any(SPLITS[row.split or "train"] for row in rows):
        raise DataError(
            f"{table}: no row is of test; name some, or leave the column split out, and a test"
            " split is made"
        )


def _files(folder: Path, table: Path, rows: Sequence[Row]) -> list[ImageFile]:
    """Raises DataError for rows that name no file, OSError for what cannot be looked at."""
    labels = {name: label for label, name in enumerate(sorted({row.label for row in rows}))}
    files, missing = [], []
    for row in rows:
        name = next((each for each in _spellings(row.path) if _is_there(folder / each)), None)
        if name is None:
            missing.append(row.path)
            continue
        status = (folder / name).stat()
        files.append(
            ImageFile(
                name,
                labels[row.label],
                SPLITS[row.split or "train"],
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
        )
    if missing:
        raise DataError(
            f"{table}: {len(missing)} of {len(rows)} rows name no file below {folder}:"
            f" {some(missing)}; mend their paths or leave them out"
        )
    return files


def _spellings(path: str) -> list[str]:
    """As it is written, and with accents joined to their letters or apart from them, as macOS names
    files.
    """
    return [path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD"))]


def _is_there(path: Path) -> bool:
    # A link to nowhere is there, too.
    return path.is_file() or path.is_symlink()


def _not_named(folder: Path, named: set[str]) -> tuple[str, ...]:
    """Images below the folder that stand in no row."""
    found = []
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_passed_over(name))
        inside = Path(at).relative_to(folder).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        images = (prefix + name for name in files if is_image_name(name))
        found += [name for name in images if name not in named and not is_passed_over(name)]
    return tuple(sorted(found))
