"""Where files of studies lie: whether they can be kept there, how much room there is, and what is
there already.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from objectives.data.cache import cached_in
from objectives.data.published import published_in
from search.machine.findings import (
    NO_FOLDER,
    Facts,
    Finding,
    FolderFacts,
    FolderPart,
    gigabytes,
)
from search.machine.folders import FolderUnknown, Place
from storage.artifact_store import Holdings
from storage.artifacts import open_artifact_store
from storage.errors import ArtifactRootError, ArtifactsUnavailable

# CIFAR-10 has 0.2 GB, and lies there twice while it is decoded.
LITTLE_SPACE_BYTES = 1e9
# The contents of a folder are said for people, with the counts in them.
Contents = tuple[tuple[str, ...], tuple[Facts, ...]]


def folder_finding(part: FolderPart, folder: Place) -> Finding:
    """Whether files can be kept there, and what is."""
    if isinstance(folder, FolderUnknown):
        return Finding(part, NO_FOLDER, str(folder), 3)
    there = next(each for each in (folder, *folder.absolute().parents) if _exists(each))
    if (fault := _fault_of(there)) is not None:
        return Finding(part, f"{there} {fault}", f"mend that, or name another {part}", 3)
    holds, counts = CONTENTS[part](folder) if there == folder else ((), ())
    facts = FolderFacts(str(folder), there == folder, shutil.disk_usage(there).free, holds)
    what = (
        f"holds {', '.join(facts.holds) or 'nothing yet'}"
        if facts.is_there
        else "is made when it is needed"
    )
    found = f"{folder} {what}, {gigabytes(facts.free_bytes)} free"
    if facts.free_bytes < LITTLE_SPACE_BYTES:
        return Finding(part, found, f"make room, or name another {part}", 3, (facts, *counts))
    return Finding(part, found, facts=(facts, *counts))


def _fault_of(folder: Path) -> str | None:
    if not folder.is_dir():
        return "is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "cannot be written to"
    return None if os.access(folder, os.R_OK) else "cannot be read"


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


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    # The path lies in a folder that this user may not enter, or its name is too long for one.
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


CONTENTS: dict[FolderPart, Callable[[Path], Contents]] = {
    "data folder": _data_sets,
    "cache": _decoded,
    "artifact root": _artifacts,
}
