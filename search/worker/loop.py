"""The loop of one worker: take a trial, train it, record it; what happens comes out as events."""

import json
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace

from optuna.storages import BaseStorage, RDBStorage, get_storage

from objectives.checkpoint import CHECKPOINT_SECONDS
from objectives.errors import DataError, DataUnavailable, DeviceError
from search.algorithms.sight import sees_some
from search.machine.this_machine import Files
from search.machine.threads import FittingThreads
from search.spec.document import SpecError
from search.spec.study_spec import StudySpec
from search.studies.followups.stages import advance
from search.studies.joining import JoinedStudy
from search.studies.sweep import own_checkpoints, sweep_checkpoints
from search.worker.artifacts import IncumbentArtifacts
from search.worker.events import Event, StudyLeft, Waiting
from search.worker.illustrator import Illustrator
from search.worker.objective import Objective
from search.worker.trial import Trial
from search.worker.workplace import Workplace
from storage.activity import read_epoch_seconds
from storage.artifacts import open_artifact_store
from storage.engine import Database, check_still_ours
from storage.errors import SHOWN_DIGITS, OtherData, StudyDeleted
from storage.leases.keeper import Keeper
from storage.leases.lease import Lease, LeaseTimes, Worker
from storage.leases.taking import NothingToTake, TrialLeases
from storage.sampled_trials import SampledTrials
from storage.study_data import TrainingData

log = logging.getLogger(__name__)
# So long lies between looks at studies whose last trials others hold.
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 3.0

# The studies are those to work on, the one to serve first first.
Choose = Callable[[], Sequence[JoinedStudy]]
BuildObjective = Callable[[JoinedStudy], Objective]


@contextmanager
def workplace(
    database: Database,
    rdb: RDBStorage,
    me: Worker,
    files: Files,
    times: LeaseTimes | None = None,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Workplace]:
    """What a worker works with; inside, its signs of life are given. Raises ArtifactRootError,
    ArtifactsUnavailable.
    """
    checkpoints = own_checkpoints(database, files.checkpoint_root)
    sweep_checkpoints(database, checkpoints)
    store = open_artifact_store(files.artifact_root)
    leases = TrialLeases(database, rdb, me, times)
    # Its signs of life end first: what is drawn last holds no trial.
    with Illustrator(database, files.artifact_root) as illustrator, Keeper(leases) as keeper:
        artifacts = IncumbentArtifacts(database, store, illustrator.draw)
        artifacts.claim()
        yield Workplace(
            database, leases, keeper, checkpoints, artifacts, checkpoint_seconds, monotonic
        )


def work(
    place: Workplace,
    rdb: RDBStorage,
    choose: Choose,
    build: BuildObjective,
    *,
    forever: bool = False,
    accept_data: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event]:
    """Takes trials of the studies until there are none left. Closing the generator hands the trial
    back.

    Surplus workers wait until all trials have ended: the last ones may be left by those that hold
    them. A worker that finds the database upgraded by a newer program takes no more trials. With
    `accept_data` studies go on with the data that `build` finds, whatever they had before. Raises
    StorageUnavailable.

    >>> with closing(work(place, rdb, lambda: [joined], build)) as events:   # doctest: +SKIP
    ...     for event in events: print(event)
    """
    loop = _Loop(place, rdb, build, accept_data)
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
            except (
                StudyDeleted,
                DataError,
                DataUnavailable,
                OtherData,
                DeviceError,
                SpecError,
            ) as error:
                # Another machine may have what it takes.
                yield loop.leave(joined, error)
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

    def __init__(
        self, place: Workplace, rdb: RDBStorage, build: BuildObjective, accept_data: bool
    ) -> None:
        self._place = place
        self._rdb = rdb
        self._build = build
        self._accept_data = accept_data
        # The uid is that of the study served last.
        self._uid: str | None = None
        self._optunas: BaseStorage = rdb
        self._objective: Objective | None = None
        self._sampled: SampledTrials | None = None
        # The threads are the same for all studies: they are fitted to the machine.
        self._fitting: FittingThreads | None = None
        self._data: TrainingData | None = None
        self._left: set[str] = set()

    def servable(self, studies: Sequence[JoinedStudy]) -> list[JoinedStudy]:
        """Without those that were left."""
        return [joined for joined in studies if joined.stored.uid not in self._left]

    def leave(self, joined: JoinedStudy, error: Exception) -> StudyLeft:
        """No more trials of that study."""
        self._left.add(joined.stored.uid)
        return StudyLeft(joined.stored.name, error)

    def why_wait(self, joined: JoinedStudy, nothing: NothingToTake) -> str | None:
        """Why a worker should wait for a study of which nothing can be taken; `None` where it
        should not.
        """
        if nothing.state == "paused":
            return f"study {joined.stored.name} is paused"
        # A place may be free by now, where somebody's trial has failed.
        if nothing.state == "open":
            return f"others hold the last trials of study {joined.stored.name}"
        if self._place.leases.settle(joined.stored):
            return f"others end the last trials of study {joined.stored.name}"
        sweep_checkpoints(self._place.database, self._place.checkpoint_root)
        self._place.artifacts.see_to_all(joined.stored)
        return None

    def take(self, joined: JoinedStudy) -> Lease:
        """A trial of that study, once what trains it is ready; of a follow-up whose stage is done,
        one of the next.

        Raises:
            NothingToTake, StudyDeleted: as TrialLeases.acquire.
            DataError, DataUnavailable, OtherData, DeviceError: the study cannot be served on this
                machine.
        """
        try:
            return self._take(joined)
        except NothingToTake as nothing:
            is_stage_over = nothing.state == "open" and not nothing.leased
            if joined.stored.follow_up is None or not is_stage_over:
                raise
            if not advance(self._place.database, joined.stored):
                raise
        return self._take(joined)

    def _take(self, joined: JoinedStudy) -> Lease:
        most = joined.spec.most_trials
        if joined.stored.uid != self._uid:
            self._place.leases.look(joined.stored, most)
            self._get_ready(joined)
        self._fit_threads()
        held = self._place.leases.acquire(joined.stored, most, self._data)
        if held.data_change is not None and self._data is not None:
            log.warning("%s", data_notice(held, self._data))
        return held

    def _get_ready(self, joined: JoinedStudy) -> None:
        # The data of the study before goes first.
        self._uid, self._objective = None, None
        self._objective = self._build(joined)
        self._fitting = self._fitting or self._objective.fitting
        self._data = self._training_data(joined, self._objective)
        self._place.leases.computes_on(self._objective.device, self._objective.computing)
        # Optuna's cache is never asked about another study: SQLite gives a deleted one's id to the
        # next.
        self._optunas = get_storage(self._rdb)
        self._sampled = _sampled_trials(self._place.database, joined)
        for seconds in read_epoch_seconds(self._place.database, joined.stored.study_id):
            self._place.keeper.epoch_took(seconds)
        self._uid = joined.stored.uid

    def _fit_threads(self) -> None:
        # The threads are of a new trial; one that is taken over keeps its own.
        if self._objective is None or self._fitting is None or self._objective.fitting is None:
            return
        computing = replace(self._objective.computing, threads=self._fitting.for_next_trial())
        if computing != self._objective.computing:
            self._objective = replace(self._objective, computing=computing)
            self._place.leases.computes_on(self._objective.device, computing)

    def _training_data(self, joined: JoinedStudy, objective: Objective) -> TrainingData | None:
        if objective.data is None:
            return None
        return TrainingData(
            joined.spec.data.dataset,
            objective.data.fingerprint,
            json.dumps([asdict(scale) for scale in objective.data.pixel_scales]),
            instead_of=joined.stored.data_fingerprint if self._accept_data else None,
        )

    def train(self, held: Lease, spec: StudySpec) -> Generator[Event]:
        """Trains the trial that was taken."""
        assert self._objective is not None
        with nullcontext() if self._fitting is None else self._fitting.trial():
            trial = Trial(self._place, self._optunas, held, spec, self._sampled)
            yield from trial.run(self._objective)


def _sampled_trials(database: Database, joined: JoinedStudy) -> SampledTrials | None:
    """What the sampler looks at where the study is large; `None` where that is all of it."""
    if not sees_some(joined.spec):
        return None
    # All costs are better where they are lower.
    maximized = [joined.spec.direction.is_up, *(False for _ in joined.spec.minimize)]
    return SampledTrials(database, joined.stored.study_id, maximized)


def data_notice(held: Lease, data: TrainingData) -> str:
    """What the user should know where this trial is the first on other data than those before, or
    may be.
    """
    assert held.data_change is not None
    name, before, since = (
        held.stored.name,
        held.data_change.before,
        f"from its trial {held.number} on",
    )
    what = f"{data.name} (fingerprint {data.fingerprint[:SHOWN_DIGITS]})"
    if before is not None:
        return (
            f"study {name!r} goes on with other data, {what}, not {before[:SHOWN_DIGITS]}, {since}:"
            f" 'hypersearch compare {name}' says which trials had which"
        )
    notice = f"study {name!r} is on {what} {since}; what its earlier trials had is not recorded"
    if data.has_pixel_scales:
        notice += (
            ", and they were trained on pictures that were read in another way: their values do not"
            " compare"
        )
    return notice
