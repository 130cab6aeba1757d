"""Is this machine ready to work: what is here and how much of it, each part good or with its mend.
Creates nothing.
"""

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from statistics import median
from typing import Literal

import psutil
from packaging.requirements import Requirement

from objectives.data.cache import cached_in
from objectives.data.published import published_in
from objectives.processor import processor_model, usable_cores
from search.machine.division import Division
from search.machine.division_file import BUSY_PERCENT, division_text, known_divisions
from search.machine.folders import FolderUnknown, Place
from storage.artifacts import Holdings, open_artifact_store
from storage.backends import backend, parse_url, shown, sqlite_path
from storage.engine import Database, open_database
from storage.errors import (
    ArtifactRootError,
    ArtifactsUnavailable,
    NotThereYet,
    StorageUnavailable,
    StorageURLError,
)
from storage.records import read_clock
from storage.schema import HEAD

DISTRIBUTION = "hypersearch"
TRANSACTIONS = 7
# leases are by the database's clock; further apart, times of Optuna's tables mislead
CLOCK_TOLERANCE_SECONDS = 60.0
NO_FOLDER = "not known"
LITTLE_SPACE_BYTES = 1e9  # CIFAR-10 is 0.2 GB, and lies there twice while it is decoded


@dataclass(frozen=True)
class Package:
    """An installed distribution; `version` is `None` where it is not there."""

    name: str
    version: str | None
    wanted: str
    extra: str | None = None  # of ours that brings it


@dataclass(frozen=True)
class Processor:
    """What workers compute with."""

    model: str
    cores: int | None  # `None` where the system does not say
    threads: int
    usable_threads: int  # that this process may use
    memory_bytes: int
    available_bytes: int


@dataclass(frozen=True)
class Accelerator:
    """A device beside the processor, as `--device` names it."""

    device: str
    model: str
    memory_bytes: int | None


@dataclass(frozen=True)
class KnownDivision:
    """What this machine was measured to train best with, and the file that says so."""

    file: str
    division: Division


@dataclass(frozen=True)
class StorageFacts:
    """A database that answers."""

    url: str
    schema: str
    ahead_seconds: float  # of its clock before this machine's
    transaction_seconds: float  # of a short one, median


@dataclass(frozen=True)
class Folder:
    """A place for files."""

    path: str
    is_there: bool
    free_bytes: int
    holds: tuple[str, ...]  # data sets, decoded data sets, or how many artifacts


FolderPart = Literal["data folder", "cache", "artifact root"]
Facts = Package | Processor | Accelerator | KnownDivision | StorageFacts | Folder | Holdings


@dataclass(frozen=True)
class Finding:
    """One part of the machine: what was found and, where that is not good, the mend."""

    part: str
    found: str
    mend: str | None = None
    exit_code: int = 0  # of the contract, where it is not good
    facts: tuple[Facts, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing needs mending."""
        return self.mend is None


def examine(
    storage_url: str,
    data_root: Place,
    cache_root: Place,
    division_root: Place,
    artifact_root: str | Place | None,
) -> Iterator[Finding]:
    """Looks at every part, one after another; without an artifact root (it goes by the storage's
    URL) at all others.
    """
    yield python_finding()
    yield from package_findings()
    yield processor_finding()
    yield accelerator_finding()
    yield division_finding(division_root)
    yield storage_finding(storage_url)
    yield folder_finding("data folder", data_root)
    yield folder_finding("cache", cache_root)
    if isinstance(artifact_root, str):
        yield artifacts_finding(artifact_root)
    elif artifact_root is not None:
        yield folder_finding("artifact root", artifact_root)


def worst_exit_code(findings: Sequence[Finding]) -> int:
    """0 where all is good; 3 where something is out of reach, else 2."""
    return max((finding.exit_code for finding in findings), default=0)


def python_finding() -> Finding:
    """The interpreter; an older one than the oldest supported fails to import this."""
    system = f"{platform.system()} {platform.machine()}"
    return Finding(
        "python", f"{platform.python_version()} ({platform.python_implementation()}, {system})"
    )


def package_findings() -> Iterator[Finding]:
    """What the installed distribution requires, then the drivers of its extras, then whether
    PyTorch loads.
    """
    try:
        required = [Requirement(text) for text in requires(DISTRIBUTION) or ()]
        extras = [
            extra
            for extra in metadata(DISTRIBUTION).get_all("Provides-Extra") or ()
            if extra != "dev"
        ]
    except PackageNotFoundError:
        mend = "pip install it, as a worker started elsewhere would not find it"
        yield Finding("packages", f"{DISTRIBUTION} is not installed", mend, 2)
        return
    needed = [
        _package(each)
        for each in required
        if each.marker is None or each.marker.evaluate({"extra": ""})
    ]
    wrong = [each for each in needed if not _fits(each)]
    yield Finding(
        "packages",
        ", ".join(f"{each.name} {each.version or 'is not there'}" for each in needed),
        (
            f"pip install {' '.join(repr(each.name + each.wanted) for each in wrong)}"
            if wrong
            else None
        ),
        2 if wrong else 0,
        tuple(needed),
    )
    optional = [
        _package(each, extra)
        for extra in extras
        for each in required
        if each.marker is not None and each.marker.evaluate({"extra": extra})
    ]
    yield Finding(
        "extras",
        ", ".join(
            f"{each.name}"
            f" {each.version or f'is not there (pip install {DISTRIBUTION}[{each.extra}])'}"
            for each in optional
        ),
        facts=tuple(optional),
    )
    yield torch_finding()


def _package(requirement: Requirement, extra: str | None = None) -> Package:
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        found = None
    return Package(requirement.name, found, str(requirement.specifier), extra)


def _fits(package: Package) -> bool:
    wanted = Requirement(f"{package.name}{package.wanted}").specifier
    return package.version is not None and wanted.contains(package.version, prereleases=True)


def torch_finding() -> Finding:
    """Whether PyTorch and torchvision load beside each other."""
    try:
        import torch
        import torchvision
    except Exception as error:  # a library that is missing, two builds that do not fit: anything
        said = str(error).strip().partition("\n")[0]
        mend = (
            "install torch and torchvision together, from one index:"
            " https://pytorch.org/get-started"
        )
        return Finding("pytorch", f"does not load ({type(error).__name__}: {said})", mend, 2)
    build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return Finding(
        "pytorch",
        f"loads: torch {torch.__version__} {build}, torchvision {torchvision.__version__}",
    )


def processor_finding() -> Finding:
    """Cores, threads and memory."""
    memory = psutil.virtual_memory()
    threads = os.cpu_count() or 1
    cores, usable = psutil.cpu_count(logical=False), usable_cores()
    facts = Processor(processor_model(), cores, threads, usable, memory.total, memory.available)
    return Finding(
        "processor",
        f"{facts.model}, {facts.cores or 'unknown'} cores, {threads} threads, of which workers may"
        f" use {usable}; {_gigabytes(facts.available_bytes)} of {_gigabytes(facts.memory_bytes)}"
        " memory available",
        facts=(facts,),
    )


def accelerator_finding() -> Finding:
    """The GPUs that PyTorch sees, or the one that it does not see though the system does."""
    try:
        import torch
    except Exception:  # torch_finding says it
        return Finding("accelerators", "unknown, as PyTorch does not load", "see pytorch above", 2)
    found = [
        Accelerator(f"cuda:{index}", torch.cuda.get_device_name(index), properties.total_memory)
        for index in range(torch.cuda.device_count())
        for properties in (torch.cuda.get_device_properties(index),)
    ]
    if torch.backends.mps.is_available():
        found.append(Accelerator("mps", platform.processor() or "Apple", None))
    if not found and Path("/dev/nvidia0").exists():
        mend = (
            "update the NVIDIA driver, or install the torch build that fits it:"
            " https://pytorch.org/get-started"
        )
        return Finding("accelerators", "an NVIDIA GPU is there, and PyTorch cannot use it", mend, 2)
    each = [
        f"{one.device} {one.model}"
        + (f", {_gigabytes(one.memory_bytes)}" if one.memory_bytes else "")
        for one in found
    ]
    return Finding(
        "accelerators",
        "; ".join(each) or "none: workers compute on the processor",
        facts=tuple(found),
    )


def division_finding(folder: Place) -> Finding:
    """How many threads and workers this machine was measured to train best with; measures
    nothing.
    """
    cores = usable_cores()
    if cores == 1:
        return Finding("division", "one core that workers may use: there is nothing to divide")
    if isinstance(folder, FolderUnknown):
        return Finding("division", NO_FOLDER, str(folder), 3)
    known = known_divisions(folder, cores)
    if not known:
        return Finding(
            "division",
            "not measured yet: the first worker that is not told its threads does it, and keeps it"
            f" if other programs use at most {BUSY_PERCENT:.0f} % of the processor meanwhile",
        )
    return Finding(
        "division",
        " | ".join(division_text(division, file) for file, division in known),
        facts=tuple(KnownDivision(str(file), division) for file, division in known),
    )


def storage_finding(
    storage_url: str,
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.perf_counter,
) -> Finding:
    """Whether the database answers, with which schema, how fast, and whether it is as late as this
    machine.
    """
    try:
        with open_database(storage_url) as database:
            facts = _measure(database, wall, monotonic)
        backend(database.url).check(database.url, create=False, write=True)
    except NotThereYet:
        return _not_there_yet(storage_url)
    except StorageURLError as error:
        return Finding("storage", "not usable", str(error), 2)
    except StorageUnavailable as error:
        return Finding("storage", "not usable", str(error), 3)
    found = (
        f"{facts.url}: schema {facts.schema}, a short transaction takes"
        f" {facts.transaction_seconds * 1000:.1f} ms (median of {TRANSACTIONS}), its clock is"
        f" {abs(facts.ahead_seconds):.1f} s {'ahead of' if facts.ahead_seconds >= 0 else 'behind'}"
        " this machine's"
    )
    if abs(facts.ahead_seconds) > CLOCK_TOLERANCE_SECONDS:
        return Finding(
            "storage", found, "set both clocks (NTP): recorded times mislead", 2, (facts,)
        )
    return Finding("storage", found, facts=(facts,))


def _measure(
    database: Database, wall: Callable[[], float], monotonic: Callable[[], float]
) -> StorageFacts:
    took, ahead = [], []
    for _ in range(TRANSACTIONS):
        started, at = monotonic(), wall()
        clock_ms = read_clock(database)
        took.append(monotonic() - started)
        ahead.append(clock_ms / 1000 - (at + wall()) / 2)  # it was read in between
    return StorageFacts(shown(database.url), HEAD, median(ahead), median(took))


def _not_there_yet(storage_url: str) -> Finding:
    url = parse_url(storage_url)
    found = f"{shown(url)}: nothing there yet; 'hypersearch run' or 'create' makes it"
    if url.get_backend_name() == "sqlite" and not os.access(
        folder := sqlite_path(url).parent, os.W_OK
    ):
        return Finding(
            "storage", found, f"make {folder} writable, or name another file with --storage", 3
        )
    return Finding("storage", found)


def folder_finding(part: FolderPart, folder: Place) -> Finding:
    """Whether files can be kept there, and what is."""
    if isinstance(folder, FolderUnknown):
        return Finding(part, NO_FOLDER, str(folder), 3)
    there = next(each for each in (folder, *folder.absolute().parents) if _exists(each))
    if (fault := _fault_of(there)) is not None:
        return Finding(part, f"{there} {fault}", f"mend that, or name another {part}", 3)
    holds, counts = CONTENTS[part](folder) if there == folder else ((), ())
    facts = Folder(str(folder), there == folder, shutil.disk_usage(there).free, holds)
    what = (
        f"holds {', '.join(facts.holds) or 'nothing yet'}"
        if facts.is_there
        else "is made when it is needed"
    )
    found = f"{folder} {what}, {_gigabytes(facts.free_bytes)} free"
    if facts.free_bytes < LITTLE_SPACE_BYTES:
        return Finding(part, found, f"make room, or name another {part}", 3, (facts, *counts))
    return Finding(part, found, facts=(facts, *counts))


def _fault_of(folder: Path) -> str | None:
    if not folder.is_dir():
        return "is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "cannot be written to"
    return None if os.access(folder, os.R_OK) else "cannot be read"


# What a folder holds, for people, and the counts in it.
Contents = tuple[tuple[str, ...], tuple[Facts, ...]]


def _data_sets(folder: Path) -> Contents:
    """Data sets by their names in a spec, and whatever else has a folder there."""
    published = published_in(folder)
    of_published = {each.folder for each in published}
    others = [
        each.name for each in folder.iterdir() if each.is_dir() and each.name not in of_published
    ]
    named = [each.name if each.is_whole else f"{each.name} in part" for each in published]
    return tuple(sorted(named + [name for name in others if not name.startswith(".")])), ()


def _decoded(folder: Path) -> Contents:
    return cached_in(folder), ()


def _artifacts(folder: Path) -> Contents:
    holdings = open_artifact_store(str(folder)).holdings()
    return ((_holdings_text(holdings),) if holdings.artifacts else ()), (holdings,)


def _holdings_text(holdings: Holdings) -> str:
    at_least = "" if holdings.is_all else "at least "
    noun = "artifact" if holdings.artifacts == 1 else "artifacts"
    return f"{at_least}{holdings.artifacts:,} {noun} ({_size(holdings.size_bytes)})"


CONTENTS: dict[FolderPart, Callable[[Path], Contents]] = {
    "data folder": _data_sets,
    "cache": _decoded,
    "artifact root": _artifacts,
}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    # it lies in a folder that this user may not enter, or its name is too long for one
    except OSError:
        return False


def artifacts_finding(root: str) -> Finding:
    """Whether the artifacts of incumbents can be kept there, of a bucket whether it can be read;
    and how many are.
    """
    if "://" not in root:
        return folder_finding("artifact root", Path(root))
    try:
        store = open_artifact_store(root)
        holdings = store.holdings()
    except ArtifactRootError as error:
        return Finding("artifact root", "not usable", str(error), 2)
    except ArtifactsUnavailable as error:
        return Finding(
            "artifact root",
            "not usable",
            f"{error}: see the bucket, its endpoint and credentials",
            3,
        )
    what = _holdings_text(holdings) if holdings.artifacts else "nothing yet"
    return Finding("artifact root", f"{store.root} answers and holds {what}", facts=(holdings,))


def _size(size_bytes: int) -> str:
    """In the largest unit that is no more than it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
