"""In which rounds the shares of a machine's cores are measured, when that is enough, and what is
never believed.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping

import pytest

from search.machine.division import Measured, Room, Share, choose, thread_counts
from search.machine.measuring import (
    ENOUGH_PIECE_SECONDS,
    ENOUGH_SECONDS,
    PIECE_BATCH,
    USUAL_STEPS,
    Contradiction,
    Measurements,
    NotMeasured,
    Steps,
    contradictions,
    measure_piece,
    measure_shares,
    spread,
)


class Model:
    """A machine in closed form, that notes what it is asked; each measurement takes a quarter of a
    second.
    """

    device = "cpu"

    def __init__(
        self,
        speed: Callable[[Share], float | None],
        room: Room | None = None,
        *,
        by_piece: Callable[[int], float | None] = lambda piece: 1000.0,
    ) -> None:
        self._speed = speed
        self._by_piece = by_piece
        self.pieces: list[int] = []
        self._room = room or Room(workers=10**6)
        self.asked: list[Share] = []
        self.started = 0

    def start(self, count: int) -> None:
        self.started = max(self.started, count)

    def images_per_second(self, share: Share, steps: Steps = USUAL_STEPS) -> float | None:
        assert share.workers <= self.started
        self.asked.append(share)
        if steps == USUAL_STEPS:
            return self._speed(share)
        assert steps.batch == PIECE_BATCH
        self.pieces.append(steps.piece)
        return self._by_piece(steps.piece)

    def room(self) -> Room:
        assert self.asked, "what a worker takes is known when one has trained"
        return self._room

    def monotonic(self) -> float:
        return len(self.asked) * 0.25


def small_network(share: Share) -> float:
    """Eight threads are as much as it can use, and each of many is worth less; workers do not
    disturb each other.
    """
    useful = min(share.threads, 8)
    return share.workers * 1000 * useful**0.7 * 0.9 ** max(0, share.threads - 8)


def shares(*pairs: tuple[int, int]) -> list[Share]:
    return [Share(*pair) for pair in pairs]


def noisy(rates: Mapping[tuple[int, int], Iterable[float]], room: Room | None = None) -> Model:
    """A machine that measures these rates, one after another."""
    each = {Share(*pair): iter(of) for pair, of in rates.items()}
    return Model(lambda share: next(each[share]), room)


def test_a_large_machine_is_measured_in_few_steps_and_its_bad_shares_twice() -> None:
    machine = Model(small_network)
    table = measure_shares(64, machine, machine.monotonic).table
    found = choose("cpu", table, 0.0, "now")
    assert (found.alone, found.together) == (8, Share(64, 1))
    alone = [(1, threads) for threads in thread_counts(64)]
    together = [(8, 8), (16, 4), (32, 2), (64, 1)]
    # The best of one worker and of all are measured again.
    near = [(1, 8), (32, 2), (64, 1)]
    assert machine.asked == shares(*alone, *together, *alone, *together, *near)
    assert machine.started == 64


@pytest.mark.parametrize(
    ("gpus", "room", "expected"), [(1, 99, (4, 1)), (1, 3, (2, 1)), (2, 99, (8, 1))]
)
def test_workers_of_a_gpu_are_as_many_as_keep_it_busy_or_fit(
    gpus: int, room: int, expected: tuple[int, int]
) -> None:
    machine = Model(lambda share: 5000.0 * min(share.workers, 4 * gpus), Room(room, gpus))
    found = choose("cuda", measure_shares(16, machine, machine.monotonic).table, 0.0, "now")
    assert (found.alone, found.together) == (1, Share(*expected))


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        # A second worker gains nothing.
        (1, [(1, 1), (2, 1)]),
        (2, [(1, 1), (2, 1), (2, 1), (4, 1)]),
        (4, [(1, 1), (2, 1), (2, 1), (4, 1), (4, 1), (8, 1)]),
    ],
)
def test_on_a_gpu_more_and_more_workers_of_a_thread_are_measured_until_they_gain_nothing(
    busy: int, expected: list[tuple[int, int]]
) -> None:
    machine = Model(lambda share: 5000.0 * min(share.workers, busy), Room(99, gpus=1))
    table = measure_shares(16, machine, lambda: 0.0).table
    steps = [expected[place : place + 2] * 3 for place in range(0, len(expected), 2)]
    assert machine.asked == shares((1, 1), *(share for step in steps for share in step))
    assert machine.started == max(2, *(workers for workers, _ in expected))
    assert choose("cuda", table, 0.0, "now").together == Share(busy, 1)


def test_on_a_gpu_a_gain_within_the_tie_is_none_and_one_beyond_it_is_taken() -> None:
    for gain, workers in ((1.049, 1), (1.06, 2)):
        speeds = {1: 1000.0, 2: 1000.0 * gain, 4: 1000.0 * gain}
        machine = Model(lambda share, speeds=speeds: speeds[share.workers], Room(4, gpus=1))  # type: ignore[misc]
        table = measure_shares(16, machine, lambda: 0.0).table
        assert choose("cuda", table, 0.0, "now").together == Share(workers, 1)


def test_on_a_gpu_no_step_begins_after_long_and_what_does_not_start_ends_it() -> None:
    slow = Model(lambda share: 5000.0 * share.workers, Room(99, gpus=1))
    measure_shares(16, slow, lambda: 3.0 * len(slow.asked))
    assert max(slow.asked) == Share(2, 1)
    crowded = Model(
        lambda share: 5000.0 * share.workers if share.workers < 4 else None, Room(99, gpus=1)
    )
    table = measure_shares(16, crowded, lambda: 0.0).table
    assert choose("cuda", table, 0.0, "now").together == Share(2, 1)
    assert Share(8, 1) not in crowded.asked
    with pytest.raises(NotMeasured):
        measure_shares(16, Model(lambda share: None, Room(99, gpus=1)))


def test_rounds_are_interleaved_and_the_median_counts() -> None:
    machine = noisy({(1, 1): [2080, 1960, 2000], (1, 2): [2500, 2900, 3000]}, Room(workers=1))
    expected = (Measured(Share(1, 1), 2000), Measured(Share(1, 2), 2900))
    assert measure_shares(2, machine, lambda: 0.0) == Measurements(expected)
    assert machine.asked == shares((1, 1), (1, 2)) * 3


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([100.0], 0.0),
        ([100.0, 90.0, 102.0, 101.0, 40.0], 0.02),
        ([100.0, 50.0, 75.0], 1 / 3),
        ([1.0, 1.0], 0.0),
    ],
)
def test_half_of_the_rounds_lie_within_the_spread_of_their_median(
    rates: list[float], expected: float
) -> None:
    assert spread(rates) == expected


def test_what_may_be_the_best_is_measured_until_it_has_settled() -> None:
    # The third round is disturbed: of 1 x 2 half of three rounds lie within 20 %, of four within 10
    # %, of five near it.
    machine = noisy(
        {(1, 1): [2000] * 9, (1, 2): [3000, 2400, 1800, 3000, 3000, 0]}, Room(workers=1)
    )
    expected = (Measured(Share(1, 1), 2000), Measured(Share(1, 2), 3000))
    assert measure_shares(2, machine, lambda: 0.0) == Measurements(expected)
    assert machine.asked.count(Share(1, 2)) == 5


def test_what_never_settles_is_measured_for_so_long_and_no_longer() -> None:
    swings = [1000.0, 2000.0, 3000.0] * 100
    machine = noisy({(1, 1): swings, (1, 2): swings[1:]}, Room(workers=1))
    assert measure_shares(2, machine, machine.monotonic).contradiction is None
    assert ENOUGH_SECONDS <= machine.monotonic() <= ENOUGH_SECONDS + 2 * 0.25


def test_a_share_that_was_disturbed_in_its_first_round_is_not_given_up() -> None:
    # 1 x 4 is the best of one worker, and so (2, 4) is one of the shares, whatever the first round
    # says.
    disturbed = iter([50.0])
    machine = Model(
        lambda share: next(disturbed, 3000.0) if share == Share(1, 4) else small_network(share)
    )
    found = choose("cpu", measure_shares(8, machine, machine.monotonic).table, 0.0, "now")
    assert found.alone in (4, 8)
    assert Share(2, 4) in machine.asked


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({(1, 1): 273, (1, 2): 1116}, [((1, 1), (1, 2))]),
        # Workers are doubted as threads are.
        ({(1, 1): 273, (2, 1): 1116}, [((1, 1), (2, 1))]),
        # The ratio lies within the tolerance.
        ({(1, 1): 1000, (1, 2): 2400}, []),
        ({(1, 1): 1000, (1, 2): 2410}, [((1, 1), (1, 2))]),
        # The shares have as many cores, which one may use better than the other.
        ({(1, 1): 1000, (1, 2): 300, (2, 1): 1900}, []),
        # The share 1 x 4 is judged by what 1 x 2 does.
        ({(1, 1): 100, (1, 2): 1000, (1, 4): 1900}, [((1, 1), (1, 2))]),
        ({(1, 1): 100, (1, 2): 190, (1, 4): 1900, (4, 1): 390}, [((1, 1), (1, 4))]),
        ({(1, 1): 0.0, (1, 2): 5.0}, [((1, 1), (1, 2))]),
        ({(1, 4): 100}, []),
    ],
)
def test_no_share_trains_more_than_its_cores_can(
    rates: dict[tuple[int, int], float], expected: list[tuple[tuple[int, int], tuple[int, int]]]
) -> None:
    table = [Measured(Share(*pair), rate) for pair, rate in rates.items()]
    assert contradictions(table) == [
        Contradiction(Share(*small), Share(*large)) for small, large in expected
    ]


def test_shares_that_contradict_each_other_are_measured_again_until_they_do_not() -> None:
    # A neighbour had a core for itself in the first rounds of 1 x 1.
    machine = noisy(
        {(1, 1): [273.0, 270.0, 280.0, *[650.0] * 9], (1, 2): [1116.0] * 9}, Room(workers=1)
    )
    assert measure_shares(2, machine, machine.monotonic) == Measurements(
        (Measured(Share(1, 1), 650.0), Measured(Share(1, 2), 1116.0))
    )


def test_where_the_contradiction_stays_the_best_rounds_count_and_it_is_told() -> None:
    machine = noisy({(1, 1): [273.0, 500.0, *[280.0] * 99], (1, 2): [1116.0] * 99}, Room(workers=1))
    found = measure_shares(2, machine, machine.monotonic)
    contradiction = Contradiction(Share(1, 1), Share(1, 2))
    assert found == Measurements(
        (Measured(Share(1, 1), 500.0), Measured(Share(1, 2), 1116.0)), contradiction
    )
    assert str(contradiction) == "1 x 2 trained more than 2 times what 1 x 1 did"
    assert (
        str(Contradiction(Share(1, 2), Share(3, 1)))
        == "3 x 1 trained more than 1.5 times what 1 x 2 did"
    )
    assert machine.monotonic() >= ENOUGH_SECONDS


def test_workers_of_a_gpu_do_not_contradict_each_other_either() -> None:
    machine = noisy({(1, 1): [100.0, 105.0, *[900.0] * 9], (2, 1): [1500.0] * 9}, Room(2, gpus=1))
    assert measure_shares(16, machine, machine.monotonic) == Measurements(
        (Measured(Share(1, 1), 900.0), Measured(Share(2, 1), 1500.0))
    )


def test_no_further_round_begins_on_a_slow_machine() -> None:
    machine = Model(small_network)
    measure_shares(2, machine, lambda: 20.0 * len(machine.asked))
    assert machine.asked == shares((1, 1), (1, 2), (2, 1))


def test_what_dies_is_left_out_and_a_machine_on_which_nothing_trains_is_told_of() -> None:
    crowded = Model(lambda share: None if share.workers > 2 else small_network(share))
    assert choose(
        "cpu", measure_shares(4, crowded, crowded.monotonic).table, 0.0, "now"
    ).together == Share(2, 2)
    with pytest.raises(NotMeasured):
        measure_shares(4, Model(lambda share: None))


def measured_pieces(by_piece: Callable[[int], float | None]) -> Model:
    machine = Model(small_network, by_piece=by_piece)
    machine.start(1)
    return machine


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        # All pieces lie within the tie.
        ({64: 3000.0, 128: 3100.0, 256: 3149.0}, 64),
        ({64: 3000.0, 128: 3400.0, 256: 3500.0}, 128),
        ({64: 3000.0, 128: 3400.0, 256: 3600.0}, 256),
        ({64: 3480.0, 128: 2270.0, 256: 2070.0}, 64),
    ],
)
def test_the_smallest_piece_within_the_tie_is_taken(rates: dict[int, float], expected: int) -> None:
    machine = measured_pieces(lambda piece: rates[piece])
    assert measure_piece(2, machine, machine.monotonic) == expected
    assert machine.pieces == [64, 128, 256] * 3
    assert set(machine.asked) == {Share(1, 2)}


def test_pieces_are_measured_until_they_have_settled_or_for_so_long() -> None:
    disturbed = iter([3000.0, 2400.0, 1800.0])
    machine = measured_pieces(lambda piece: next(disturbed, 3000.0) if piece == 128 else 2000.0)
    assert measure_piece(1, machine, lambda: 0.0) == 128
    assert machine.pieces == [64, 128, 256] * 5
    swings = itertools.cycle([1000.0, 2000.0, 3000.0, 4000.0])
    machine = measured_pieces(lambda piece: next(swings))
    measure_piece(1, machine, machine.monotonic)
    assert ENOUGH_PIECE_SECONDS <= machine.monotonic() <= ENOUGH_PIECE_SECONDS + 3 * 0.25


def test_where_the_process_dies_the_piece_is_the_usual_one() -> None:
    machine = measured_pieces(lambda piece: None if piece == 256 else 100.0 * piece)
    assert measure_piece(2, machine, machine.monotonic) == 64
