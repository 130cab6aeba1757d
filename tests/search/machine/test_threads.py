"""A worker has fewer threads while other programs take its cores, more when they stop, and looks
seldom.
"""

from collections.abc import Callable
from itertools import pairwise

import pytest

from search.machine.division import Room, Share
from search.machine.measuring import USUAL_STEPS, Steps
from search.machine.other_programs import OtherPrograms, ProcessorSeconds
from search.machine.threads import APART_SECONDS, LEAST_SECONDS, FittingThreads


class Machine:
    """Cores of which other programs take some, and a worker that trains its trials one after
    another.
    """

    device = "cpu"

    def __init__(
        self,
        threads: int,
        *,
        most: int = 2,
        cores: int = 2,
        workers: int = 1,
        busy_at_start: float = -1.0,
    ) -> None:
        self.now = 1000.0
        self.cores = cores
        self.rates: Callable[[int], float | None] = lambda threads: 1000.0 * threads
        self.looks = 0
        self.said: list[str] = []
        self._theirs = 0.0
        self._worker = FittingThreads(
            threads,
            most=most,
            cores=cores,
            workers=workers,
            looks_first=busy_at_start >= 0.0,
            say=self.said.append,
            others=lambda: OtherPrograms(lambda: 0.0, self._read),
            open_measuring=lambda: self,
            monotonic=lambda: self.now,
            sleep=lambda seconds: self._pass(seconds, busy_at_start),
        )

    def _pass(self, seconds: float, busy_cores: float) -> None:
        self.now += seconds
        self._theirs += busy_cores * seconds

    def at_start(self) -> int:
        """The threads of the first trial."""
        return self._worker.for_next_trial()

    def trial(self, busy_cores: float, seconds: float = 60.0) -> int:
        """The threads of the trial after one that takes so long beside programs that take so
        much.
        """
        with self._worker.trial():
            self._pass(seconds, busy_cores)
        return self._worker.for_next_trial()

    def _read(self) -> ProcessorSeconds:
        return ProcessorSeconds(self.now * self.cores, self._theirs)

    def __enter__(self) -> "Machine":
        self.looks += 1
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def start(self, count: int) -> None:
        assert count == 1

    def images_per_second(self, share: Share, steps: Steps = USUAL_STEPS) -> float | None:
        assert (share.workers, steps) == (1, USUAL_STEPS)
        self.now += 0.5
        return self.rates(share.threads)

    def room(self) -> Room:
        return Room(workers=1)


def crowded(threads: int) -> float:
    """A thread alone trains best."""
    return 500.0 / threads


@pytest.mark.parametrize(
    ("threads", "cores", "busy_cores", "looks"),
    [
        (2, 2, 0.0, 0),
        # Other programs use a quarter of the cores.
        (2, 2, 0.5, 0),
        (2, 2, 0.51, 1),
        (2, 2, 2.0, 1),
        # There are no fewer threads than one.
        (1, 1, 1.0, 0),
        # Two cores are free.
        (2, 8, 6.0, 0),
        (2, 8, 6.6, 1),
        (8, 8, 3.0, 1),
    ],
)
def test_it_looks_again_where_other_programs_take_more_than_a_quarter_of_its_cores(
    threads: int, cores: int, busy_cores: float, looks: int
) -> None:
    machine = Machine(threads, most=threads, cores=cores)
    machine.rates = crowded
    assert machine.trial(busy_cores) == (1 if looks else threads)
    assert machine.looks == looks


@pytest.mark.parametrize(("busy_cores", "threads"), [(0.0, 3), (1.5, 3), (1.6, 1)])
def test_the_workers_of_a_crew_have_their_share_of_what_is_free_and_no_more_than_they_were_given(
    busy_cores: float, threads: int
) -> None:
    machine = Machine(3, most=3, cores=6, workers=2)
    machine.rates = crowded
    assert machine.trial(busy_cores) == threads
    machine.rates = lambda threads: 900.0 * threads
    machine.now += APART_SECONDS
    assert machine.trial(busy_cores=0.0) == 3


def test_it_goes_down_and_comes_back_when_quiet_returns() -> None:
    machine = Machine(2)
    machine.rates = crowded
    assert machine.trial(busy_cores=1.4) == 1
    machine.rates = lambda threads: 900.0 * threads
    machine.now += APART_SECONDS
    # Two threads would still not have their cores.
    assert machine.trial(busy_cores=1.0) == 1
    assert machine.trial(busy_cores=0.1) == 2
    assert machine.looks == 2
    assert machine.said == [
        "other programs use 70 % of the processor: this worker goes on with 1 thread (was: 2)",
        "other programs use 5 % of the processor: this worker goes on with 2 threads (was: 1)",
    ]


def test_looks_are_minutes_apart_however_busy_it_is_and_what_changes_nothing_is_not_said() -> None:
    machine = Machine(2)
    looked = []
    for _ in range(100):
        before = machine.looks
        # Two threads train best all the same.
        assert machine.trial(busy_cores=1.9, seconds=30.0) == 2
        looked += [machine.now] * (machine.looks - before)
    assert len(looked) > 5
    assert min(later - earlier for earlier, later in pairwise(looked)) >= APART_SECONDS
    assert machine.said == []


@pytest.mark.parametrize(
    ("busy_cores", "threads", "looks"), [(-1.0, 2, 0), (0.0, 2, 0), (1.0, 1, 1)]
)
def test_a_worker_that_starts_beside_other_programs_has_fewer_threads_from_its_first_trial_on(
    busy_cores: float, threads: int, looks: int
) -> None:
    machine = Machine(2, busy_at_start=busy_cores)
    machine.rates = crowded
    started = machine.now
    assert (machine.at_start(), machine.at_start(), machine.looks) == (threads, threads, looks)
    if not looks:
        assert machine.now - started < 1.0


def test_short_trials_are_taken_together() -> None:
    machine = Machine(2)
    machine.rates = crowded
    assert [machine.trial(1.9, seconds=LEAST_SECONDS / 4) for _ in range(4)] == [2, 2, 2, 1]


def test_a_burst_that_is_over_does_not_count_for_ever() -> None:
    machine = Machine(2)
    assert machine.trial(busy_cores=1.9) == 2
    machine.now += APART_SECONDS
    assert [machine.trial(busy_cores=0.0) for _ in range(10)] == [2] * 10
    assert machine.looks == 1


def test_more_threads_than_pay_on_a_quiet_machine_are_not_tried() -> None:
    machine = Machine(1, most=1, cores=8)
    assert machine.trial(busy_cores=0.0) == 1
    assert machine.looks == 0
    # The machine is unmeasured, or was measured while it was busy.
    machine = Machine(1, most=4, cores=8)
    assert machine.trial(busy_cores=0.0) == 4


def test_where_nothing_can_be_measured_it_goes_on_as_it_was() -> None:
    machine = Machine(2)
    machine.rates = lambda threads: None
    assert machine.trial(busy_cores=2.0) == 2
    assert machine.trial(busy_cores=2.0) == 2
    assert (machine.looks, machine.said) == (1, [])
