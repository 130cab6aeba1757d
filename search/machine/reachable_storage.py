"""Whether the database answers, how fast, and by which clock."""

import os
import time
from collections.abc import Callable
from statistics import median

from search.machine.findings import Finding, StorageFacts
from storage.backends.kinds import backend
from storage.engine import Database, open_database
from storage.errors import NotThereYet, StorageUnavailable, StorageURLError
from storage.records import read_clock
from storage.schema import HEAD
from storage.urls import parse_url, shown_url, sqlite_path

TRANSACTIONS = 7
# Leases go by the database's clock; where clocks are further apart, times of Optuna's tables
# mislead.
CLOCK_TOLERANCE_SECONDS = 60.0


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
        # The clock was read halfway between the two looks at this machine's.
        ahead.append(clock_ms / 1000 - (at + wall()) / 2)
    return StorageFacts(shown_url(database.url), HEAD, median(ahead), median(took))


def _not_there_yet(storage_url: str) -> Finding:
    url = parse_url(storage_url)
    found = f"{shown_url(url)}: nothing there yet; 'hypersearch run' or 'create' makes it"
    if url.get_backend_name() == "sqlite" and not os.access(
        folder := sqlite_path(url).parent, os.W_OK
    ):
        return Finding(
            "storage", found, f"make {folder} writable, or name another file with --storage", 3
        )
    return Finding("storage", found)
