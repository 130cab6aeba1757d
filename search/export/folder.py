"""A folder that appears whole or not at all, whatever ends the process that writes it; no torch."""

import ctypes
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from search.export.errors import ExportRefused
from search.export.formats import FILES

# What lies aside for longer than this is of a process that died.
ABANDONED_SECONDS = 3600.0
# The numbers are those of fcntl.h and linux/fs.h.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def check_place(folder: Path, *, replace: bool) -> None:
    """Raises ExportRefused where the folder cannot be written: something is there, and it is not to
    be replaced, or is no exported folder, or nothing may be written there.
    """
    try:
        if not os.path.lexists(folder):
            above = next(each for each in folder.absolute().parents if os.path.lexists(each))
            if above.is_dir() and not os.access(above, os.W_OK | os.X_OK):
                raise ExportRefused.not_written(folder, f"{above} is not yours to write in")
            return
        if not replace:
            raise ExportRefused.is_there(folder)
        if not folder.is_dir():
            raise ExportRefused.holds_more(folder.parent, folder.name)
        for entry in sorted(folder.iterdir()):
            if entry.name not in FILES or not entry.is_file():
                raise ExportRefused.holds_more(folder, entry.name)
    except OSError as error:
        raise ExportRefused.not_written(folder, error.strerror or str(error)) from error


def write_folder(
    folder: Path, files: Mapping[str, bytes], check: Callable[[Path], None], *, replace: bool
) -> None:
    """Writes the files aside, has them checked there, and gives them their name in one step.

    What a process leaves that dies before is hidden beside the folder, and swept by a later export.

    Raises ExportRefused, and whatever `check` raises: then nothing is left.
    """
    check_place(folder, replace=replace)
    # A link to a folder goes on leading there.
    place = Path(os.path.realpath(folder))
    prefix = f".{place.name}.aside-"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place.parent, prefix)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=prefix) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            for name, content in files.items():
                _write(made / name, content)
            _sync(made)
            check(made)
            check_place(folder, replace=replace)
            _give_name(made, place)
            _sync(place.parent)
    except OSError as error:
        raise ExportRefused.not_written(folder, error.strerror or str(error)) from error


def _write(file: Path, content: bytes) -> None:
    with file.open("xb") as made:
        made.write(content)
        made.flush()
        os.fsync(made.fileno())


def _sync(folder: Path) -> None:
    # The folder is synced so that names last as long as contents; Windows opens no folder.
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _give_name(made: Path, place: Path) -> None:
    if not place.exists():
        made.rename(place)
        return
    # What was there lies aside then, and goes with the rest of it.
    if not _exchange(made, place):
        place.rename(made.with_name("before"))
        made.rename(place)


def _exchange(one: Path, other: Path) -> bool:
    """Swaps two names in one step; False where the system cannot: then there is a moment in which
    the second one is not there.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "renameat2"):
        return False
    names = os.fsencode(one), os.fsencode(other)
    failed = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    return not failed


def _sweep(parent: Path, prefix: str) -> None:
    """Removes what exports to this folder left aside that died long ago."""
    for entry in parent.glob(f"{_escaped(prefix)}*"):
        with suppress(OSError):
            if time.time() - entry.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)


def _escaped(name: str) -> str:
    import glob

    return glob.escape(name)
