"""Which shares of a machine's cores are measured, which is chosen, and what it means for what was asked."""

from collections.abc import Callable

import pytest

from search.division import (
    WORKERS_AT_MOST,
    Division,
    Measured,
    NotMeasured,
    Room,
    Share,
    choose,
    fewest,
    measure_shares,
    needs_measuring,
    room_for,
    share_out,
    shares_together,
    thread_counts,
)


class Model:
    """A machine in closed form, that notes what it is asked; each measurement takes a second of its clock."""

    device = "cpu"

    def __init__(self, speed: Callable[[Share], float | None], room: Room | None = None) -> None:
        self._speed = speed
        self._room = room or Room(workers=10**6)
        self.asked: list[Share] = []
        self.started = 0

    def start(self, count: int) -> None:
        self.started = max(self.started, count)

    def images_per_second(self, share: Share) -> float | None:
        assert share.workers <= self.started
        self.asked.append(share)
        return self._speed(share)

    def room(self) -> Room:
        assert self.asked, "what a worker takes is known when one has trained"
        return self._room

    def monotonic(self) -> float:
        return float(len(self.asked))


def small_network(share: Share) -> float:
    """Eight threads are as much as it can use, and each of many is worth less; workers do not disturb each other."""
    useful = min(share.threads, 8)
    return share.workers * 1000 * useful**0.7 * 0.9 ** max(0, share.threads - 8)


def shares(*pairs: tuple[int, int]) -> list[Share]:
    return [Share(*pair) for pair in pairs]


def division(alone: int, together: Share) -> Division:
    return Division("cpu", alone, together, (), 0.0, "2026-11-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (64, [1, 2, 4, 8, 16, 32, 64]), (96, [1, 2, 4, 8, 16, 32, 64, 96])],
)
def test_thread_counts_are_powers_of_two_and_all_cores(cores: int, expected: list[int]) -> None:
    assert thread_counts(cores) == expected


@pytest.mark.parametrize(
    ("cores", "alone", "room", "expected"),
    [
        (2, 2, Room(9), [(2, 1)]),
        (2, 1, Room(1), []),  # no memory for a second
        (6, 4, Room(9), [(3, 2), (6, 1)]),
        (64, 8, Room(999), [(8, 8), (16, 4), (32, 2), (64, 1)]),
        (64, 64, Room(10), [(2, 32), (4, 16), (8, 8), (10, 1), (10, 2), (10, 4)]),
        (256, 2, Room(999), [(WORKERS_AT_MOST, 1), (WORKERS_AT_MOST, 2)]),
        (16, 2, Room(9, gpus=1), [(2, 2), (4, 2), (8, 2)]),
        (16, 4, Room(99, gpus=1), [(2, 4), (4, 4), (8, 2), (16, 1)]),
        (16, 1, Room(24, gpus=3), [(3, 1), (6, 1), (12, 1)]),
        (2, 1, Room(99, gpus=4), []),  # a worker needs a core
    ],
)
def test_several_workers_take_all_cores_of_a_processor_and_double_on_a_gpu(
    cores: int, alone: int, room: Room, expected: list[tuple[int, int]]
) -> None:
    assert shares_together(cores, alone, room) == shares(*expected)


GB = 10**9


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (room_for(2, worker_bytes=GB // 2, available_bytes=13 * GB), Room(12)),  # never less than a worker may take
        (room_for(2, worker_bytes=3 * GB, available_bytes=13 * GB), Room(6)),
        (room_for(1, worker_bytes=GB, available_bytes=0), Room(1)),
        (room_for(2, 3 * GB, 120 * GB, gpus=1, gpu_bytes=4 * GB, free_gpu_bytes=76 * GB), Room(20, 1)),
        # Never less than a worker may take there.
        (room_for(2, 3 * GB, 120 * GB, gpus=1, gpu_bytes=GB, free_gpu_bytes=76 * GB), Room(31, 1)),
        (room_for(2, 3 * GB, 120 * GB, gpus=1, gpu_bytes=GB, free_gpu_bytes=6 * GB), Room(3, 1)),
        (room_for(2, 3 * GB, 120 * GB, gpus=4, gpu_bytes=4 * GB, free_gpu_bytes=17 * GB), Room(20, 4)),
        (room_for(2, 3 * GB, 120 * GB, gpus=4, gpu_bytes=2 * GB, free_gpu_bytes=GB), Room(4, 4)),
        (room_for(2, GB, 13 * GB, gpus=1), Room(12, 1)),  # a GPU that does not say
    ],
)
def test_there_is_room_for_as_many_as_the_first_shows_in_memory_and_on_the_gpus(found: Room, expected: Room) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("speeds", "expected"),
    [
        ({(1, 1): 1000, (1, 2): 1050}, (1, 1)),
        ({(1, 1): 1000, (1, 2): 1051}, (1, 2)),
        ({(1, 4): 1000, (2, 2): 1040, (4, 1): 1049}, (1, 4)),
        ({(1, 4): 1000, (2, 2): 1200, (4, 1): 1230}, (2, 2)),
        ({(8, 2): 900, (8, 1): 880}, (8, 1)),
    ],
)
def test_more_workers_and_threads_must_be_better_by_more_than_a_twentieth(
    speeds: dict[tuple[int, int], float], expected: tuple[int, int]
) -> None:
    assert fewest(Measured(Share(*share), speed) for share, speed in speeds.items()) == Share(*expected)


def test_a_large_machine_is_measured_in_few_steps_and_its_bad_shares_once() -> None:
    machine = Model(small_network)
    table = measure_shares(64, machine, machine.monotonic)
    found = choose("cpu", table, 0.0, "now")
    assert (found.alone, found.together) == (8, Share(64, 1))
    first = [(1, threads) for threads in thread_counts(64)] + [(8, 8), (16, 4), (32, 2), (64, 1)]
    assert machine.asked[: len(first)] == shares(*first)
    again = machine.asked[len(first) :]
    assert set(again) == {Share(1, 8), Share(32, 2), Share(64, 1)}  # of one, and of all: near the best
    assert machine.started == 64


@pytest.mark.parametrize(("gpus", "room", "expected"), [(1, 99, (4, 1)), (1, 3, (2, 1)), (2, 99, (8, 1))])
def test_workers_of_a_gpu_are_as_many_as_keep_it_busy_or_fit(gpus: int, room: int, expected: tuple[int, int]) -> None:
    machine = Model(lambda share: 5000.0 * min(share.workers, 4 * gpus), Room(room, gpus))
    found = choose("cuda", measure_shares(16, machine, machine.monotonic), 0.0, "now")
    assert (found.alone, found.together) == (1, Share(*expected))


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        (1, [(2, 1), (1, 1)]),  # a second gains nothing
        (2, [(2, 1), (1, 1), (4, 1), (2, 1)]),
        (4, [(2, 1), (1, 1), (4, 1), (2, 1), (8, 1), (4, 1)]),
    ],
)
def test_on_a_gpu_more_and_more_workers_of_a_thread_are_measured_until_they_gain_nothing(
    busy: int, expected: list[tuple[int, int]]
) -> None:
    machine = Model(lambda share: 5000.0 * min(share.workers, busy), Room(99, gpus=1))
    table = measure_shares(16, machine, lambda: 0.0)
    steps = [expected[place : place + 2] * 3 for place in range(0, len(expected), 2)]
    assert machine.asked == shares((1, 1), *(share for step in steps for share in step))
    assert machine.started == max(2, *(workers for workers, _ in expected))
    assert choose("cuda", table, 0.0, "now").together == Share(busy, 1)


def test_on_a_gpu_a_gain_within_the_tie_is_none_and_one_beyond_it_is_taken() -> None:
    for gain, workers in ((1.049, 1), (1.06, 2)):
        speeds = {1: 1000.0, 2: 1000.0 * gain, 4: 1000.0 * gain}
        machine = Model(lambda share, speeds=speeds: speeds[share.workers], Room(4, gpus=1))  # type: ignore[misc]
        table = measure_shares(16, machine, lambda: 0.0)
        assert choose("cuda", table, 0.0, "now").together == Share(workers, 1)


def test_on_a_gpu_no_further_step_begins_when_it_has_taken_long_and_what_does_not_start_ends_it() -> None:
    slow = Model(lambda share: 5000.0 * share.workers, Room(99, gpus=1))
    measure_shares(16, slow, lambda: 3.0 * len(slow.asked))
    assert max(slow.asked) == Share(2, 1)
    crowded = Model(lambda share: 5000.0 * share.workers if share.workers < 4 else None, Room(99, gpus=1))
    table = measure_shares(16, crowded, lambda: 0.0)
    assert choose("cuda", table, 0.0, "now").together == Share(2, 1)
    assert Share(8, 1) not in crowded.asked
    with pytest.raises(NotMeasured):
        measure_shares(16, Model(lambda share: None, Room(99, gpus=1)))


def test_rounds_are_interleaved_and_the_median_counts() -> None:
    noise = {Share(1, 1): iter([2100.0, 1900.0, 2000.0]), Share(1, 2): iter([2500.0, 2900.0, 3000.0])}
    machine = Model(lambda share: next(noise[share]), Room(workers=1))
    assert measure_shares(2, machine, lambda: 0.0) == (Measured(Share(1, 1), 2000), Measured(Share(1, 2), 2900))
    assert machine.asked == shares((1, 1), (1, 2)) * 3


def test_no_further_round_begins_on_a_slow_machine() -> None:
    machine = Model(small_network)
    measure_shares(2, machine, lambda: 20.0 * len(machine.asked))
    assert machine.asked == shares((1, 1), (1, 2), (2, 1))


def test_what_dies_is_left_out_and_a_machine_on_which_nothing_trains_is_told_of() -> None:
    crowded = Model(lambda share: None if share.workers > 2 else small_network(share))
    assert choose("cpu", measure_shares(4, crowded, crowded.monotonic), 0.0, "now").together == Share(2, 2)
    with pytest.raises(NotMeasured):
        measure_shares(4, Model(lambda share: None))


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "expected"),
    [
        (None, None, 2, True),
        (1, None, 2, True),
        (2, None, 2, False),  # a core each, whatever is measured
        (3, None, 8, True),
        (None, 1, 8, False),
        (4, 2, 8, False),
        (None, None, 1, False),
        (9, None, 8, False),
    ],
)
def test_only_what_depends_on_it_is_measured(
    workers: int | None, threads: int | None, cores: int, expected: bool
) -> None:
    assert needs_measuring(workers, threads, cores, "cpu") is expected


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
@pytest.mark.parametrize(
    ("workers", "threads", "cores", "expected"),
    [(None, None, 16, True), (None, 2, 16, True), (1, None, 16, False), (4, None, 16, False), (None, None, 1, False)],
)
def test_on_a_gpu_only_the_number_of_workers_is_measured(
    device: str, workers: int | None, threads: int | None, cores: int, expected: bool
) -> None:
    assert needs_measuring(workers, threads, cores, device) is expected


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "expected"),
    [(None, None, 16, True), (None, 2, 16, True), (1, None, 16, True), (16, None, 16, False), (2, 2, 16, False)],
)
def test_on_what_may_be_a_gpu_whatever_depends_on_either_is_measured(
    workers: int | None, threads: int | None, cores: int, expected: bool
) -> None:
    assert needs_measuring(workers, threads, cores, "auto") is expected


MEASURED = division(alone=4, together=Share(8, 2))  # of 16 cores


@pytest.mark.parametrize(
    ("workers", "threads", "room", "known", "expected"),
    [
        (1, None, 99, MEASURED, (1, 4)),
        (2, None, 99, MEASURED, (2, 4)),  # not 8: more do not pay
        (8, None, 99, MEASURED, (8, 2)),
        (99, None, 9, MEASURED, (99, 1)),  # who asks for them has them
        (None, None, 99, MEASURED, (8, 2)),
        (None, None, 5, MEASURED, (5, 3)),
        (None, None, 0, MEASURED, (1, 4)),
        (None, 4, 99, None, (4, 4)),
        (None, 4, 3, None, (3, 4)),
        (None, 32, 99, None, (1, 32)),
        (3, 7, 1, None, (3, 7)),
        (None, None, 99, None, (8, 2)),
        (16, None, 99, None, (16, 1)),
    ],
)
def test_what_is_pinned_stays_and_the_rest_follows(
    workers: int | None, threads: int | None, room: int, known: Division | None, expected: tuple[int, int]
) -> None:
    assert share_out(workers, threads, 16, room, known) == Share(*expected)


ON_A_GPU = Division("cuda:0", 1, Share(4, 1), (), 0.0, "2026-11-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("workers", "threads", "room", "known", "expected"),
    [
        (None, None, 99, ON_A_GPU, (4, 1)),
        (None, 2, 99, ON_A_GPU, (4, 2)),  # not as many as there are cores for
        (None, None, 3, ON_A_GPU, (3, 1)),
        (None, None, 0, ON_A_GPU, (1, 1)),
        (8, None, 99, ON_A_GPU, (8, 1)),
        (8, None, 99, None, (8, 1)),
        (1, None, 99, None, (1, 1)),
        (None, None, 99, None, (1, 1)),  # what nobody could measure
    ],
)
def test_workers_of_a_gpu_are_those_that_pay_and_have_a_thread_each(
    workers: int | None, threads: int | None, room: int, known: Division | None, expected: tuple[int, int]
) -> None:
    assert share_out(workers, threads, 16, room, known, "cuda") == Share(*expected)


def test_one_core_is_one_worker_with_one_thread() -> None:
    assert share_out(None, None, 1, 99, None) == Share(1, 1)
