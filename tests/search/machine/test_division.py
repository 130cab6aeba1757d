"""Which shares a machine's cores have, which is chosen, and what it means for what was asked."""

import pytest

from search.machine.division import (
    WORKERS_AT_MOST,
    Division,
    Measured,
    Room,
    Share,
    fewest,
    needs_measuring,
    room_for,
    share_out,
    shares_together,
    thread_counts,
)


def shares(*pairs: tuple[int, int]) -> list[Share]:
    return [Share(*pair) for pair in pairs]


def division(alone: int, together: Share) -> Division:
    return Division("cpu", alone, together, (), 0.0, "2026-11-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, [1]),
        (2, [1, 2]),
        (6, [1, 2, 4, 6]),
        (64, [1, 2, 4, 8, 16, 32, 64]),
        (96, [1, 2, 4, 8, 16, 32, 64, 96]),
    ],
)
def test_thread_counts_are_powers_of_two_and_all_cores(cores: int, expected: list[int]) -> None:
    assert thread_counts(cores) == expected


@pytest.mark.parametrize(
    ("cores", "alone", "room", "expected"),
    [
        (2, 2, Room(9), [(2, 1)]),
        # There is no memory for a second worker.
        (2, 1, Room(1), []),
        (6, 4, Room(9), [(3, 2), (6, 1)]),
        (64, 8, Room(999), [(8, 8), (16, 4), (32, 2), (64, 1)]),
        (64, 64, Room(10), [(2, 32), (4, 16), (8, 8), (10, 1), (10, 2), (10, 4)]),
        (256, 2, Room(999), [(WORKERS_AT_MOST, 1), (WORKERS_AT_MOST, 2)]),
        (16, 2, Room(9, gpus=1), [(2, 2), (4, 2), (8, 2)]),
        (16, 4, Room(99, gpus=1), [(2, 4), (4, 4), (8, 2), (16, 1)]),
        (16, 1, Room(24, gpus=3), [(3, 1), (6, 1), (12, 1)]),
        # A worker needs a core.
        (2, 1, Room(99, gpus=4), []),
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
        # A worker is never taken to need less than this.
        (room_for(2, worker_bytes=GB // 2, available_bytes=13 * GB), Room(12)),
        (room_for(2, worker_bytes=3 * GB, available_bytes=13 * GB), Room(6)),
        (room_for(1, worker_bytes=GB, available_bytes=0), Room(1)),
        (
            room_for(2, 3 * GB, 120 * GB, gpus=1, gpu_bytes=4 * GB, free_gpu_bytes=76 * GB),
            Room(20, 1),
        ),
        # Never less than a worker may take there.
        (room_for(2, 3 * GB, 120 * GB, gpus=1, gpu_bytes=GB, free_gpu_bytes=76 * GB), Room(31, 1)),
        (room_for(2, 3 * GB, 120 * GB, gpus=1, gpu_bytes=GB, free_gpu_bytes=6 * GB), Room(3, 1)),
        (
            room_for(2, 3 * GB, 120 * GB, gpus=4, gpu_bytes=4 * GB, free_gpu_bytes=17 * GB),
            Room(20, 4),
        ),
        (room_for(2, 3 * GB, 120 * GB, gpus=4, gpu_bytes=2 * GB, free_gpu_bytes=GB), Room(4, 4)),
        # The GPU does not say how much it has.
        (room_for(2, GB, 13 * GB, gpus=1), Room(12, 1)),
    ],
)
def test_there_is_room_for_as_many_as_the_first_shows_in_memory_and_on_the_gpus(
    found: Room, expected: Room
) -> None:
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
    assert fewest(Measured(Share(*share), speed) for share, speed in speeds.items()) == Share(
        *expected
    )


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "expected"),
    [
        (None, None, 2, True),
        (1, None, 2, True),
        # Each of the two has a core, whatever is measured.
        (2, None, 2, False),
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
    [
        (None, None, 16, True),
        (None, 2, 16, True),
        (1, None, 16, False),
        (4, None, 16, False),
        (None, None, 1, False),
    ],
)
def test_on_a_gpu_only_the_number_of_workers_is_measured(
    device: str, workers: int | None, threads: int | None, cores: int, expected: bool
) -> None:
    assert needs_measuring(workers, threads, cores, device) is expected


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "expected"),
    [
        (None, None, 16, True),
        (None, 2, 16, True),
        (1, None, 16, True),
        (16, None, 16, False),
        (2, 2, 16, False),
    ],
)
def test_on_what_may_be_a_gpu_whatever_depends_on_either_is_measured(
    workers: int | None, threads: int | None, cores: int, expected: bool
) -> None:
    assert needs_measuring(workers, threads, cores, "auto") is expected


# The machine has 16 cores.
MEASURED = division(alone=4, together=Share(8, 2))


@pytest.mark.parametrize(
    ("workers", "threads", "room", "known", "expected"),
    [
        (1, None, 99, MEASURED, (1, 4)),
        # The measured 8 would be too many: more do not pay.
        (2, None, 99, MEASURED, (2, 4)),
        (8, None, 99, MEASURED, (8, 2)),
        # Whoever asks for so many has them.
        (99, None, 9, MEASURED, (99, 1)),
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
    workers: int | None,
    threads: int | None,
    room: int,
    known: Division | None,
    expected: tuple[int, int],
) -> None:
    assert share_out(workers, threads, 16, room, known) == Share(*expected)


ON_A_GPU = Division("cuda:0", 1, Share(4, 1), (), 0.0, "2026-11-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("workers", "threads", "room", "known", "expected"),
    [
        (None, None, 99, ON_A_GPU, (4, 1)),
        # The cores are not shared out among the threads.
        (None, 2, 99, ON_A_GPU, (4, 2)),
        (None, None, 3, ON_A_GPU, (3, 1)),
        (None, None, 0, ON_A_GPU, (1, 1)),
        (8, None, 99, ON_A_GPU, (8, 1)),
        (8, None, 99, None, (8, 1)),
        (1, None, 99, None, (1, 1)),
        # Nobody could measure it.
        (None, None, 99, None, (1, 1)),
    ],
)
def test_workers_of_a_gpu_are_those_that_pay_and_have_a_thread_each(
    workers: int | None,
    threads: int | None,
    room: int,
    known: Division | None,
    expected: tuple[int, int],
) -> None:
    assert share_out(workers, threads, 16, room, known, "cuda") == Share(*expected)


def test_one_core_is_one_worker_with_one_thread() -> None:
    assert share_out(None, None, 1, 99, None) == Share(1, 1)
