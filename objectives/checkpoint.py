"""Files of checkpoints: what a crash, a full disk or a slower worker leaves is never taken for one.
No torch.
"""

import hashlib
import os
import re
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FILE = re.compile(r"(?P<attempt>[0-9]{1,9})-(?P<epoch>[0-9]{1,9})\.ckpt(?P<aside>\.aside)?")


# Between two checkpoints that are written lie so many seconds of training at least. A file and its
# name are synced to the disk: 30 to 60 ms, where an epoch of a small network takes a GPU 12 to 15.
CHECKPOINT_SECONDS = 10.0
# A checkpoint is written so often where others take its folder away.
TRIES = 5


@dataclass(frozen=True)
class SavedCheckpoint:
    """What to keep of a checkpoint, in a database, to find it again and to know it."""

    # The checkpoint was saved after this epoch.
    epoch: int
    # The name is <attempt>-<epoch>.ckpt.
    name: str
    # The hash is that of the content, hexadecimal.
    sha256: str


class CheckpointFolder:
    """The checkpoints of one trial, in the hands of one attempt at it.

    Nothing here locks: a worker that has lost its trial may still write. So an attempt names its
    files by its number, and touches none of a higher one. Methods pass OSError on unless they say
    otherwise.

    >>> checkpoints = CheckpointFolder(root / "7", attempt=2)
    >>> saved = checkpoints.save(5, training.checkpoint())  # SavedCheckpoint(5, "2-5.ckpt", ...)
    >>> checkpoints.load(saved.name, saved.sha256)  # the bytes, or None
    """

    def __init__(self, folder: Path, attempt: int) -> None:
        self._folder = folder
        self._attempt = attempt

    def save(self, epoch: int, content: bytes) -> SavedCheckpoint:
        """Writes the checkpoint after `epoch`, on the disk when this returns. Nothing half-written
        has its name.
        """
        name = f"{self._attempt}-{epoch}.ckpt"
        for left in reversed(range(TRIES)):
            try:
                self._write(name, content)
                break
            # Whoever sweeps, or ends an earlier attempt, takes empty folders away.
            except FileNotFoundError:
                if left == 0:
                    raise
        return SavedCheckpoint(epoch, name, hashlib.sha256(content).hexdigest())

    def _write(self, name: str, content: bytes) -> None:
        aside = self._folder / f"{name}.aside"
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._folder / name)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
        _sync_names(self._folder)

    def load(self, name: str, sha256: str) -> bytes | None:
        """What any attempt saved under `name`; None where it cannot be read or has another hash.

        None too for a name that is no checkpoint's: a database may say anything, and no other file
        is opened for it.
        """
        parts = _FILE.fullmatch(name)
        if parts is None or parts["aside"]:
            return None
        try:
            content = (self._folder / name).read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None

    def keep(self, names: Collection[str]) -> None:
        """Removes what this attempt and earlier ones left, but for the checkpoints of these
        names.
        """
        self._remove(kept=names)

    def remove(self) -> None:
        """Removes all that this attempt and earlier ones left, and the folder if nothing else is in
        it.
        """
        self._remove(kept=())
        # A later attempt's file may be in it, or it is gone.
        with suppress(OSError):
            self._folder.rmdir()

    def discard(self, saved: SavedCheckpoint) -> None:
        """Removes one that no database names."""
        (self._folder / saved.name).unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def _remove(self, kept: Collection[str]) -> None:
        try:
            paths = list(self._folder.iterdir())
        except FileNotFoundError:
            return
        for path in paths:
            parts = _FILE.fullmatch(path.name)
            if parts is None or int(parts["attempt"]) > self._attempt:
                continue
            if path.name not in kept:
                path.unlink(missing_ok=True)


def _sync_names(folder: Path) -> None:
    # A rename is on the disk only when its folder is. Windows opens no folders, and NTFS keeps a
    # journal of names.
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
