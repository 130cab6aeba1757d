"""Every open study worked on, one after another."""

from collections.abc import Sequence

from optuna import logging as optuna_logging

from search.engines.alone import check_machine, work_alone
from search.engines.teams import share_of
from search.machine.division import Share
from search.machine.this_machine import Machine
from search.spec.definition import stored_spec
from search.studies.joining import JoinedStudy
from search.worker.events import Tell, nobody
from search.worker.loop import Choose
from storage.engine import Database, open_for_work
from storage.hosts import Host
from storage.studies import StoredStudy, find_study, read_workable


def serve_studies(
    storage_url: str,
    machine: Machine,
    *,
    names: Sequence[str],
    forever: bool,
    host: Host,
    tell: Tell = nobody,
) -> None:
    """Works on every open study, or on those of `names`, until nothing is left; `forever` waits for
    new ones.

    Raises:
        StudyNotFound, ForeignStudy: of the names; StorageURLError: bad input.
        StorageUnavailable: out of reach.
        DataError, DataUnavailable, OtherData, DeviceError, SpecError: no study could be served
            here, this is why for the last one.
        ProcessSpent: this process can train no more.
    """
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    check_machine(machine)
    database, rdb = open_for_work(storage_url, create=not names)
    with database:
        for name in names:
            find_study(database, name)
        studies = _open(database, names, forever)
        work_alone(database, rdb, studies, machine, host, tell, several=True, forever=forever)


def check_service(storage_url: str, *, names: Sequence[str]) -> None:
    """Whether the studies can be served from elsewhere.

    Raises:
        StudyNotFound, ForeignStudy: of the names; StorageURLError: bad input.
        StorageUnavailable: out of reach.
    """
    database, _ = open_for_work(storage_url, create=not names)
    with database:
        for name in names:
            find_study(database, name)


def share_for_service(
    storage_url: str,
    machine: Machine,
    workers: int | None,
    *,
    names: Sequence[str],
    forever: bool,
    tell: Tell = nobody,
) -> Share:
    """With how many workers and threads to serve_studies; measured if a network is, or may yet be,
    trained.

    What no worker could work with is refused here, once.

    Raises:
        StudyNotFound, ForeignStudy: of the names; StorageURLError, DeviceError, ArtifactRootError:
            bad input.
        StorageUnavailable: out of reach.
    """
    check_machine(machine)
    database, _ = open_for_work(storage_url, create=not names)
    with database:
        for name in names:
            find_study(database, name)
        return share_of(
            machine, workers, None if forever else _open(database, names, forever)(), tell
        )


def _open(database: Database, names: Sequence[str], forever: bool) -> Choose:
    """Those of the highest priority first, of these the one that the fewest workers are on."""

    def choose() -> list[JoinedStudy]:
        found = [
            (stored, held)
            for stored, held in read_workable(database)
            # Whoever waits for a paused study was asked to.
            if (not names or stored.name in names or _parent_of(stored) in names)
            and (stored.state != "paused" or names or forever)
        ]
        found.sort(key=lambda pair: (-pair[0].priority, pair[1], pair[0].study_id))
        return [JoinedStudy(stored, stored_spec(stored)) for stored, _ in found]

    return choose


def _parent_of(stored: StoredStudy) -> str | None:
    return None if stored.follow_up is None else stored.follow_up.parent_name
