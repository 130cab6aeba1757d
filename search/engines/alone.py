"""Studies worked on by this process itself."""

import logging
from collections.abc import Iterable
from contextlib import closing

from optuna.storages import RDBStorage

from objectives.errors import ProcessSpent
from search.machine.this_machine import Machine
from search.studies.joining import JoinedStudy
from search.studies.this_worker import this_worker
from search.worker.events import Decoding, Event, Said, StudyLeft, Tell
from search.worker.loop import Choose, work, workplace
from search.worker.objective import Objective, build_objective
from storage.artifacts import open_artifact_store
from storage.engine import Database
from storage.hosts import Host

log = logging.getLogger(__name__)


def check_machine(machine: Machine) -> None:
    """Raises DeviceError, ArtifactRootError."""
    # Every machine has these devices.
    if machine.device not in ("auto", "cpu"):
        from objectives.device import pick_device

        pick_device(machine.device)
    open_artifact_store(machine.files.artifact_root)


def work_alone(
    database: Database,
    rdb: RDBStorage,
    choose: Choose,
    machine: Machine,
    host: Host,
    tell: Tell,
    *,
    several: bool,
    forever: bool = False,
) -> None:
    def show(done: int, total: int) -> None:
        # One study was prepared before, and its progress is what the terminal shows.
        if several:
            tell(Decoding(done, total))

    def say(line: str) -> None:
        tell(Said(line))

    def build(joined: JoinedStudy) -> Objective:
        return build_objective(joined.spec, machine, show, say, joined.stored)

    with (
        workplace(
            database,
            rdb,
            this_worker(host, "-", 0),
            machine.files,
            checkpoint_seconds=machine.checkpoint_seconds,
        ) as place,
        closing(
            work(place, rdb, choose, build, forever=forever, accept_data=machine.accept_data)
        ) as events,
    ):
        try:
            served, refused = _relay(events, tell, several=several)
        except ProcessSpent as spent:
            log.warning("%s; its trial was handed back: another process goes on", spent)
            raise
    if refused is not None and not served:
        raise refused
    if several and not served:
        tell(Said("no study is open: there is nothing to do"))


def _relay(events: Iterable[Event], tell: Tell, *, several: bool) -> tuple[bool, Exception | None]:
    """Tells the events; returns whether a study was served, and why the last one was left. The only
    one that is worked on raises that.
    """
    served, refused = False, None
    for event in events:
        if isinstance(event, StudyLeft) and not several:
            raise event.error
        tell(event)
        if isinstance(event, StudyLeft):
            refused = event.error
        else:
            served = True
    return served, refused
