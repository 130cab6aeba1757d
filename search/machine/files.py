"""Files that a user or another process reads: written whole, or left as they were."""

import errno
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

# Linux follows so many links, from one to the next.
MOST_LINKS = 40
# How a system refuses to put another file in the place of one that may be written to: the folder
# takes no other file, the owner could not be kept, or the file is mounted by itself, as into a
# container. It is then written in place.
_ONLY_IN_PLACE = (errno.EACCES, errno.EPERM, errno.EBUSY)


def write_whole(file: Path, content: bytes) -> None:
    """`file` holds `content` when this returns; where it raises, what was there is as it was, with
    nothing beside it.

    A file keeps its permissions and its owner, a link leads where it led. A pipe, a device or an
    open descriptor (`/dev/stdout`) is written to. Raises OSError.
    """
    if (descriptor := _open_descriptor(file)) is not None:
        _send(os.dup(descriptor), content)
        return
    try:
        # Neither made nor emptied by this.
        descriptor = os.open(file, os.O_WRONLY)
    except FileNotFoundError:
        _replace(Path(os.path.realpath(file)), content)
        return
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        _send(descriptor, content)
        return
    os.close(descriptor)
    try:
        _replace(Path(os.path.realpath(file)), content)
    except OSError as error:
        if error.errno not in _ONLY_IN_PLACE:
            raise
        file.write_bytes(content)


def write_new(file: Path, content: bytes) -> None:
    """Makes `file`, with `content`. Raises FileExistsError where something is there, OSError where
    it cannot.
    """
    with file.open("xb") as made:
        try:
            made.write(content)
            made.flush()
        except BaseException:
            with suppress(OSError):
                file.unlink()
            raise


def _replace(file: Path, content: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".aside-") as folder:
        aside = Path(folder) / "content"
        with aside.open("xb") as made:
            if file.exists():
                _copy_permissions(file, aside)
            made.write(content)
            made.flush()
            os.fsync(made.fileno())
        aside.replace(file)


def _copy_permissions(file: Path, aside: Path) -> None:
    # Copied before there is a content, which makes the time of the last change its own.
    found = file.stat()
    if sys.platform != "win32" and (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(aside, found.st_uid, found.st_gid)
    shutil.copystat(file, aside)


def _open_descriptor(file: Path) -> int | None:
    """The number of the open descriptor that a path like /dev/stdout, /dev/fd/3 or a link to one
    stands for.

    To open such a path anew would empty the file that the descriptor leads to, with all that others
    wrote to it.
    """
    place = file
    for _ in range(MOST_LINKS):
        folder = os.path.realpath(place.parent)
        if folder in ("/dev/fd", f"/proc/{os.getpid()}/fd") and place.name.isdecimal():
            return int(place.name)
        try:
            place = Path(folder) / (Path(folder) / place.name).readlink()
        except OSError:
            return None
    return None


def _send(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
