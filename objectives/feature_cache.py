"""Features of images kept on the disk: what took a machine minutes is there for its other workers,
for the one that takes over from one that died, and for the next confirmation.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from objectives.protocol import Pulse

# Those that were asked for last are kept, two of a confirmation, or two of each of its folds.
MOST_KEPT = 24
# So long a worker waits for another one's features between two signs of life.
WAIT_SECONDS = 1.0


def kept_features(
    folder: Path | None,
    names: tuple[str, ...],
    compute: Callable[[], Tensor],
    pulse: Pulse,
    wait_seconds: float = WAIT_SECONDS,
) -> Tensor:
    """What `compute` gives, (N, F) float32 on the CPU or a GPU: from the folder, where a process of
    this machine has computed it. `names` tell apart all that it depends on.

    One process computes, and the others wait, with pulses. A folder that cannot be written to costs
    the time alone; without one nothing is kept.
    """
    if folder is None:
        return compute()
    file = folder / f"{hashlib.sha256(repr((torch.__version__, *names)).encode()).hexdigest()}.npy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "features.lock")
        _acquire(lock, pulse, wait_seconds)
    except OSError:
        return compute()
    try:
        if (found := _load(file)) is None:
            found = compute().cpu()
            with suppress(OSError):
                _save(file, found)
        return found
    finally:
        lock.release()


def _acquire(lock: FileLock, pulse: Pulse, wait_seconds: float) -> None:
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=wait_seconds)
            return
        pulse()


def _load(file: Path) -> Tensor | None:
    try:
        found = torch.from_numpy(np.load(file))
        os.utime(file)
    # It is not there, or it was damaged.
    except (OSError, ValueError, EOFError):
        return None
    return found


def _save(file: Path, features: Tensor) -> None:
    """Written aside and renamed: what has the name is whole."""
    aside = file.with_suffix(".aside")
    with aside.open("wb") as opened:
        np.save(opened, features.numpy())
        opened.flush()
        os.fsync(opened.fileno())
    aside.replace(file)
    by_age = sorted(file.parent.glob("*.npy"), key=lambda each: each.stat().st_mtime)
    for outdated in by_age[:-MOST_KEPT]:
        outdated.unlink(missing_ok=True)
