"""What stands in a folder of images: its classes, their files, and what is none; no image is
opened.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from objectives.data.image_file import EXTENSIONS
from objectives.errors import DataError, DataUnavailable

# So many of what is odd are named.
NAMED = 3
# Systems and file servers put these beside images, and into class folders, in lower case:
# thumbnails, copies and snapshots of Synology, QNAP, macOS, Windows and Jupyter. What begins with a
# dot is passed over anyway.
LITTER = (
    "@eadir",
    "#recycle",
    "#snapshot",
    "@recently-snapshot",
    "@recycle",
    "@tmp",
    "$recycle.bin",
    "__macosx",
    "desktop.ini",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "lost+found",
    "system volume information",
    "thumbs.db",
)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that is an image by its name and place."""

    # The name is the path below the folder, with /.
    name: str
    label: int
    in_test: bool
    size_bytes: int
    modified_ns: int
    # The file system says it, and no program sets it.
    changed_ns: int


@dataclass(frozen=True)
class Listing:
    """A folder of images."""

    folder: Path
    class_names: tuple[str, ...]
    # The files are in the order of split, class and name.
    files: tuple[ImageFile, ...]
    test_published: bool
    # These stand where images do and are none by their name or place.
    left_out: tuple[str, ...]


def list_images(folder: Path) -> Listing:
    """Raises DataError for a folder that is missing or laid out otherwise, DataUnavailable for one
    that is closed.
    """
    try:
        return _listed(folder)
    except OSError as error:
        raise unreachable(error) from error


def unreachable(error: OSError) -> DataUnavailable:
    """Of a file or folder that the system will not open."""
    name = printable(str(error.filename))
    return DataUnavailable(
        f"{name}: cannot be read ({error.strerror}); make it readable or remove it"
    )


def printable(name: str) -> str:
    """The name on one line, whatever it holds."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in name
    )


def some(names: Iterable[str]) -> str:
    """The first few, on one line."""
    names = list(names)
    return ", ".join(map(printable, names[:NAMED])) + (", ..." if len(names) > NAMED else "")


def _listed(folder: Path) -> Listing:
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder; give one that holds a sub-folder of images for each class"
        )
    test_published = bool(_subfolders(folder / "train"))
    train = "train/" if test_published else ""
    names = _subfolders(folder / train)
    if len(names) < 2:
        tables = sorted(entry.name for entry in _visible(folder) if _is_table(entry))
        table = f', or say data.labels = "{printable(tables[0])}"' if tables else ""
        raise DataError(
            f"{folder / train}: {len(names)} sub-folders; give each of two or more classes a"
            f" sub-folder of images{table}"
        )
    files, left_out = [], _beside(folder, ("train", "test") if test_published else names)
    for label, name in enumerate(names):
        found = _class_files(folder, f"{train}{name}", label, False, left_out)
        if not found:
            raise DataError(
                f"{folder / train / name}: no image in this class; add some"
                f" ({' '.join(EXTENSIONS)}) or remove it"
            )
        files += found
    if test_published:
        for name in _test_classes(folder, names):
            files += _class_files(folder, f"test/{name}", names.index(name), True, left_out)
    return Listing(folder, tuple(names), tuple(files), test_published, tuple(left_out))


def _test_classes(folder: Path, names: Sequence[str]) -> list[str]:
    train, test = folder / "train", folder / "test"
    if not (test_names := _subfolders(test)):
        raise DataError(
            f"{folder}: train without test; add {test}, or give {train}, which is then split"
        )
    if unknown := [name for name in test_names if name not in names]:
        raise DataError(
            f"{test / unknown[0]}: no such class in {train}; add it there or remove it here"
        )
    return test_names


def _is_table(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(".csv") and entry.is_file()


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [each for each in entries if not is_passed_over(each.name)]


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of that name is never looked at."""
    return name.startswith(".") or name.lower() in LITTER


def _subfolders(folder: Path) -> list[str]:
    names = (
        sorted(entry.name for entry in _visible(folder) if entry.is_dir())
        if folder.is_dir()
        else []
    )
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = printable(str(folder / name))
            raise DataError(
                f"{shown}: the name of this class is not in UTF-8; rename the folder"
            ) from None
    return names


def _beside(folder: Path, known: Sequence[str]) -> list[str]:
    """What would be images, or classes, one floor lower: files by their extension, and other
    folders.
    """
    return sorted(
        entry.name
        for entry in _visible(folder)
        if (entry.is_dir() and entry.name not in known)
        or (entry.is_file() and is_image_name(entry.name))
    )


def is_image_name(name: str) -> bool:
    """Whether a file of that name is taken for an image."""
    return name.lower().endswith(EXTENSIONS)


def _class_files(
    folder: Path, below: str, label: int, in_test: bool, left_out: list[str]
) -> list[ImageFile]:
    """The images below a class folder by name; what else is there goes to `left_out`."""
    files, others, folders = [], [], [below]
    while folders:
        at = folders.pop()
        for entry in _visible(folder / at):
            name = f"{at}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif is_image_name(entry.name) and (entry.is_file() or _is_dangling(entry)):
                status = entry.stat()
                files.append(
                    ImageFile(
                        name, label, in_test, status.st_size, status.st_mtime_ns, status.st_ctime_ns
                    )
                )
            else:
                others.append(name)
    left_out += sorted(others)
    return sorted(files, key=lambda file: file.name)


def _is_dangling(entry: os.DirEntry[str]) -> bool:
    """A link to a file that is not there now: asking for its status then says so."""
    return entry.is_symlink() and not entry.is_dir()
