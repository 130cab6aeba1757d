"""The division that this machine was measured to train best with: kept in a file, found by every
later process.
"""

import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from objectives.processor import processor_model, usable_cores
from search.machine.division import (
    PIECE,
    WORKER_BYTES,
    WORKERS_AT_MOST,
    Division,
    Measured,
    Share,
    best_threads,
    choose,
    is_gpu,
    needs_measuring,
    share_out,
)
from search.machine.files import write_whole
from search.machine.folders import FolderUnknown, Place, needed
from search.machine.measuring import Measuring, NotMeasured, measure_piece, measure_shares
from search.machine.other_programs import OtherPrograms
from search.machine.trainers import Trainers, available_bytes

# The version is that of measuring and keeping: under another number everything is measured again.
VERSION = 4
# Measuring cannot take so long: whoever still holds the lock then is frozen.
LOCK_SECONDS = 300.0
# Linux names GPUs so in /dev: NVIDIA's, AMD's, and either under Windows' WSL.
GPU_NODES = ("nvidia[0-9]*", "kfd", "dxg")
# Other programs use so much of the processor at most: what is measured beside more misleads, and is
# not kept.
BUSY_PERCENT = 20.0
# So many looks wait for other programs to use less: workers that were started together load
# PyTorch.
LOOKS, LOOK_SECONDS = 10, 0.3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conditions:
    """All that a division depends on, as far as it can be told without PyTorch."""

    processor: str
    cores: int
    # The device is as it was asked for.
    device: str
    gpus: tuple[str, ...]
    torch: str
    version: int = VERSION


@dataclass(frozen=True)
class FreshDivision:
    """What was measured just now."""

    division: Division
    # The doubt says why the division holds for this process alone, and is not kept.
    doubt: str | None = None


def busy_percent_now() -> float:
    """What other programs use of the processor, as one look tells."""
    others = OtherPrograms()
    with others.counted():
        time.sleep(LOOK_SECONDS)
    return others.percent


def divide(
    workers: int | None,
    threads: int | None,
    *,
    device: str,
    folder: Place,
    say: Callable[[str], None],
    trains: bool = True,
) -> Share:
    """How many workers, with how many threads each, for what was asked for (`None`: what trains
    best here).

    If that depends on a measurement which `folder` does not hold, it is made, and `say` is told;
    but not where no network `trains`. Raises FolderUnknown where one would be made.
    """
    cores = usable_cores()
    device = conditions(device, cores, torch_version(), os.environ).device
    division = None
    if trains and needs_measuring(workers, threads, cores, device):
        division = machine_division(device, cores, needed(folder), say)
    return share_out(
        workers,
        threads,
        cores,
        available_bytes() // WORKER_BYTES,
        division,
        device if trains else "cpu",
    )


class Trainable(Measuring, Protocol):
    """What measures shares, and sees what else runs meanwhile."""

    def busy_percent(self) -> float: ...


def machine_division(
    device: str,
    cores: int,
    folder: Path,
    say: Callable[[str], None],
    *,
    look: Callable[[], float] = busy_percent_now,
    trainers: Callable[[str], AbstractContextManager[Trainable]] = Trainers,
) -> Division | None:
    """That of this machine, measured if it is not known; `None`, with a warning, where nothing
    trains.
    """
    known = conditions(device, cores, torch_version(), os.environ)

    def measure(waited: bool) -> FreshDivision:
        if waited and (busy_percent := look()) > BUSY_PERCENT:
            fresh = _unmeasured(known, busy_percent)
            say(
                f"not measured: {fresh.doubt}; each worker has one thread this time, and --threads"
                " N says how many"
            )
            return fresh
        say(
            "measuring how many threads and workers this machine trains best with, once: it takes"
            " some seconds"
        )
        if not waited:
            _await_quiet(look)
        with trainers(device) as opened:
            fresh = _measured(opened, cores)
        say(f"measured: {fresh_text(fresh, division_file(folder, known))}")
        return fresh

    try:
        return find_division(folder, known, measure)
    except NotMeasured as error:
        _log.warning("how many threads and workers train best is not known: %s", error)
        return None


def _await_quiet(look: Callable[[], float]) -> None:
    # It looks a few times; whether it was quiet, what is measured next will show.
    for _ in range(LOOKS):
        if look() <= BUSY_PERCENT:
            return


def _measured(trainers: Trainable, cores: int) -> FreshDivision:
    # Raises NotMeasured.
    found = measure_shares(cores, trainers)
    piece = PIECE if is_gpu(trainers.device) else measure_piece(best_threads(found.table), trainers)
    busy_percent = trainers.busy_percent()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    division = choose(trainers.device, found.table, busy_percent, at, piece)
    doubts = []
    if busy_percent > BUSY_PERCENT:
        doubts.append(
            f"measured beside other programs that used {busy_percent:.0f} % of the processor"
        )
    if found.contradiction is not None:
        doubts.append(
            f"{found.contradiction}, which cannot be, so that the best round of each counts"
        )
    return FreshDivision(division, "; ".join(doubts) or None)


def _unmeasured(known: Conditions, busy_percent: float) -> FreshDivision:
    # Others have just measured in vain, and train by now: a thread each wastes nothing, and waits
    # for nobody.
    together = Share(
        1 if known.gpus or is_gpu(known.device) else min(known.cores, WORKERS_AT_MOST), 1
    )
    doubt = (
        f"other programs use {busy_percent:.0f} % of the processor, and another process was"
        " measuring until now"
    )
    return FreshDivision(Division(known.device, 1, together, (), busy_percent, ""), doubt)


def fresh_text(fresh: FreshDivision, file: Path) -> str:
    """What was chosen, and what becomes of it, in one line."""
    if fresh.doubt is None:
        return division_text(fresh.division, file)
    again = "not kept, the next start measures again, and --threads N measures nothing"
    return f"{_table_text(fresh.division)}; {fresh.doubt}: {again}"


def division_text(division: Division, file: Path) -> str:
    """What was chosen, what it was chosen from, and where it is kept, in one line."""
    return f"{_table_text(division)}; delete {file} to measure again"


def _table_text(division: Division) -> str:
    table = ", ".join(f"{row.share}: {row.images_per_second:,.0f}" for row in division.table)
    piece = "" if is_gpu(division.device) else f", {division.piece} images at a time"
    return (
        f"workers x threads on {division.device}: one worker 1 x {division.alone}, auto "
        f"{division.together}{piece}; images/s {table}; at {division.measured_at}"
    )


# --- what it depends on, and where it is kept


def conditions(
    device: str, cores: int, torch_version: str, environment: Mapping[str, str]
) -> Conditions:
    """Those of this machine for a device as it is asked for; auto is the processor where no GPU is
    to be seen.
    """
    gpus = _gpus(environment)
    if device == "auto" and not gpus and sys.platform == "linux":
        device = "cpu"
    return Conditions(
        processor_model(), cores, device, () if device == "cpu" else gpus, torch_version
    )


def torch_version() -> str:
    """Of the installed distribution, which is not loaded."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return "none"


def _gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    nodes = sorted(path.name for pattern in GPU_NODES for path in Path("/dev").glob(pattern))
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = [
        line
        for file in files
        for line in file.read_text().splitlines()
        if line.startswith("Model:")
    ]
    chosen = [
        f"{name}={environment[name]}"
        for name in ("CUDA_VISIBLE_DEVICES",)
        if nodes and name in environment
    ]
    return (*nodes, *models, *chosen)


def division_file(folder: Path, known: Conditions) -> Path:
    """Where the division under these conditions is kept: a folder may serve many machines."""
    return folder / f"{_digest(asdict(known))[:16]}.json"


def read_division(folder: Path, known: Conditions) -> Division | None:
    """What was measured under these conditions; `None` where nothing was, or the file is damaged or
    another's.
    """
    kept = _read(division_file(folder, known))
    return None if kept is None or kept[0] != known else kept[1]


def kept_division(device: str, folder: Place) -> Division | None:
    """What is kept for this machine and a device as it is asked for; `None` where nothing is, or
    nobody may look.
    """
    if isinstance(folder, FolderUnknown):
        return None
    return read_division(folder, conditions(device, usable_cores(), torch_version(), os.environ))


def known_divisions(folder: Path, cores: int) -> list[tuple[Path, Division]]:
    """Those that hold for this machine, of whichever device, with their files; none where nobody
    may look.
    """
    try:
        found = [(file, _read(file)) for file in sorted(folder.glob("*.json"))]
    except OSError:
        return []
    return [
        (file, kept[1])
        for file, kept in found
        if kept is not None
        and kept[0] == conditions(kept[0].device, cores, torch_version(), os.environ)
    ]


def _read(file: Path) -> tuple[Conditions, Division] | None:
    try:
        document = json.loads(file.read_bytes())
        content = document["content"]
        if document["sha256"] != _digest(content):
            return None
        known, kept = content["conditions"], content["division"]
        table = tuple(
            Measured(Share(**row["share"]), row["images_per_second"]) for row in kept["table"]
        )
        return (
            Conditions(**known | {"gpus": tuple(known["gpus"])}),
            Division(**kept | {"together": Share(**kept["together"]), "table": table}),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def write_division(folder: Path, known: Conditions, division: Division) -> None:
    """No half of it is ever read. Raises OSError."""
    content = {"conditions": asdict(known), "division": asdict(division)}
    document = json.dumps({"content": content, "sha256": _digest(content)}, indent=1)
    write_whole(division_file(folder, known), f"{document}\n".encode())


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# What is in doubt, or could not be kept, by the folder where it would be: this process measures it
# no second time, whatever studies it works on.
_of_this_process: dict[tuple[Path, Conditions], Division] = {}


def find_division(
    folder: Path, known: Conditions, measure: Callable[[bool], FreshDivision]
) -> Division:
    """That of this machine, measured by the first process that asks for it; what is in doubt is not
    kept.

    `measure` is told whether this process has waited for another one that measured, and kept
    nothing. A folder that cannot be written to costs every process the measuring, and is warned of.
    """
    if (found := read_division(folder, known) or _of_this_process.get((folder, known))) is not None:
        return found
    found = _measured_or_awaited(folder, known, measure)
    if read_division(folder, known) is None:
        _of_this_process[folder, known] = found
    return found


def _measured_or_awaited(
    folder: Path, known: Conditions, measure: Callable[[bool], FreshDivision]
) -> Division:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(division_file(folder, known).with_suffix(".lock"), timeout=LOCK_SECONDS)
        waited = _acquired_late(lock)
    except OSError as error:
        return _unkept(folder, error, measure(isinstance(error, Timeout)).division)
    try:
        # Another process may have been first.
        if (found := read_division(folder, known)) is not None:
            return found
        fresh = measure(waited)
        try:
            if fresh.doubt is None:
                write_division(folder, known, fresh.division)
        except OSError as error:
            return _unkept(folder, error, fresh.division)
        return fresh.division
    finally:
        lock.release()


def _acquired_late(lock: FileLock) -> bool:
    # Whether it was another's before. Raises OSError.
    try:
        lock.acquire(timeout=0)
    except Timeout:
        lock.acquire()
        return True
    return False


def _unkept(folder: Path, error: OSError, division: Division) -> Division:
    _log.warning(
        "%s: what was measured cannot be kept there (%s), and is measured again by each process:"
        " make it writable, or pin --threads",
        folder,
        error.strerror or error,
    )
    return division
