"""The loop of one worker: take a trial, train it, record it; what happens comes out as events."""

import os
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

from optuna.storages import BaseStorage, RDBStorage, get_storage

from objectives.errors import DataError, DataUnavailable, DeviceError
from search.artifacts import IncumbentArtifacts
from search.document import SpecError
from search.events import Event, StudyLeft, Waiting
from search.objective import Files, Objective
from search.spec import StudySpec
from search.study import JoinedStudy
from search.sweep import own_checkpoints, sweep_checkpoints
from search.trial import Trial, Workplace
from storage.artifacts import open_artifact_store
from storage.engine import Database, check_still_ours
from storage.errors import StudyDeleted
from storage.hosts import Host, process_start
from storage.keeper import Keeper
from storage.leases import Lease, LeaseTimes, NothingToTake, TrialLeases, Worker
from storage.records import read_epoch_seconds

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 3.0  # between looks at studies whose last trials others hold

Choose = Callable[[], Sequence[JoinedStudy]]  # studies to work on, the one to serve first first
BuildObjective = Callable[[StudySpec], Objective]


def this_worker(host: Host, device: str, threads: int) -> Worker:
    """A worker of this process as leases and attempts record it."""
    pid = os.getpid()
    return Worker(uuid.uuid4().hex, host.name, host.machine, pid, process_start(pid), device, threads)


@contextmanager
def workplace(
    database: Database, rdb: RDBStorage, me: Worker, files: Files, times: LeaseTimes | None = None
) -> Iterator[Workplace]:
    """What a worker works with; inside, its signs of life are given. Raises ArtifactRootError, ArtifactsUnavailable."""
    checkpoints = own_checkpoints(database, files.checkpoint_root)
    sweep_checkpoints(database, checkpoints)
    artifacts = IncumbentArtifacts(database, open_artifact_store(files.artifact_root))
    artifacts.claim()
    leases = TrialLeases(database, rdb, me, times)
    with Keeper(leases) as keeper:
        yield Workplace(database, leases, keeper, checkpoints, artifacts)


def work(
    place: Workplace,
    rdb: RDBStorage,
    choose: Choose,
    build: BuildObjective,
    *,
    forever: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event]:
    """Takes trials of the studies until there are none left. Closing the generator hands the trial back.

    Surplus workers wait until all trials have ended: the last ones may be left by those that hold them. A worker that
    finds the database upgraded by a newer program takes no more trials. Raises StorageUnavailable.

    >>> with closing(work(place, rdb, lambda: [joined], build)) as events:   # doctest: +SKIP
    ...     for event in events: print(event)
    """
    loop = _Loop(place, rdb, build)
    wait = FIRST_WAIT_SECONDS
    while True:
        held, waits = None, "no study has anything to do" if forever else None
        check_still_ours(place.database)
        for joined in loop.servable(choose()):
            try:
                held = loop.take(joined)
                break
            except NothingToTake as nothing:
                waits = loop.why_wait(joined, nothing) or waits
            except (StudyDeleted, DataError, DataUnavailable, DeviceError, SpecError) as error:
                yield loop.leave(joined, error)  # another machine may have what it takes
        if held is not None:
            wait = FIRST_WAIT_SECONDS
            yield from loop.train(held, joined.spec)
        elif waits is not None:
            yield Waiting(waits)
            sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT_SECONDS)
        else:
            return


class _Loop:
    """What a worker knows of the studies that it has met."""

    def __init__(self, place: Workplace, rdb: RDBStorage, build: BuildObjective) -> None:
        self._place = place
        self._rdb = rdb
        self._build = build
        self._uid: str | None = None  # of the study served last
        self._optunas: BaseStorage = rdb
        self._objective: Objective | None = None
        self._left: set[str] = set()

    def servable(self, studies: Sequence[JoinedStudy]) -> list[JoinedStudy]:
        """Without those that were left."""
        return [joined for joined in studies if joined.stored.uid not in self._left]

    def leave(self, joined: JoinedStudy, error: Exception) -> StudyLeft:
        """No more trials of that study."""
        self._left.add(joined.stored.uid)
        return StudyLeft(joined.stored.name, error)

    def why_wait(self, joined: JoinedStudy, nothing: NothingToTake) -> str | None:
        """Why a worker should wait for a study of which nothing can be taken; `None` where it should not."""
        if nothing.state == "paused":
            return f"study {joined.stored.name} is paused"
        if nothing.state == "open":  # a place may be free by now, where somebody's trial has failed
            return f"others hold the last trials of study {joined.stored.name}"
        if self._place.leases.settle(joined.stored):
            return f"others end the last trials of study {joined.stored.name}"
        sweep_checkpoints(self._place.database, self._place.checkpoint_root)
        return None

    def take(self, joined: JoinedStudy) -> Lease:
        """A trial of that study, once what trains it is ready.

        Raises:
            NothingToTake, StudyDeleted: as TrialLeases.acquire.
            DataError, DataUnavailable, DeviceError: the study cannot be served on this machine.
        """
        most = joined.spec.most_trials
        if joined.stored.uid != self._uid:
            self._place.leases.look(joined.stored, most)
            self._get_ready(joined)
        return self._place.leases.acquire(joined.stored, most)

    def _get_ready(self, joined: JoinedStudy) -> None:
        self._uid, self._objective = None, None  # the data of the study before goes first
        self._objective = self._build(joined.spec)
        self._place.leases.computes_on(self._objective.device, self._objective.threads)
        # Optuna's cache is never asked about another study: SQLite gives a deleted one's id to the next.
        self._optunas = get_storage(self._rdb)
        for seconds in read_epoch_seconds(self._place.database, joined.stored.study_id):
            self._place.keeper.epoch_took(seconds)
        self._uid = joined.stored.uid

    def train(self, held: Lease, spec: StudySpec) -> Generator[Event]:
        """Trains the trial that was taken."""
        assert self._objective is not None
        yield from Trial(self._place, self._optunas, held, spec).run(self._objective)
