"""How fast train() is beside other programs, by the way in which OpenMP's threads wait for each
other.

$ python -m benchmarks.neighbours              # the table
$ python -m benchmarks.neighbours --pairs 20   # pairs in turns: what a setting costs when quiet
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product

from benchmarks.figures import machine, percentile

# The loop of a neighbour: it computes without a pause, and takes next to none of the memory's
# bandwidth.
BUSY_LOOP = "while True: pass"
BATCH_SIZES = (32, 64, 128, 256)
NORMALIZATIONS = ("none", "batch")
# Whoever sets one of these has chosen how long a thread spins, by any OpenMP, by GNU's, and by
# LLVM's and Intel's.
USERS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# The first steps of a measurement do not count.
STEPS_BEFORE = 2
SETTINGS: dict[str, Mapping[str, str]] = {
    "as it comes": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    **{
        f"spin {count:,}": {"GOMP_SPINCOUNT": str(count)} for count in (100, 1_000, 10_000, 100_000)
    },
}


@dataclass(frozen=True)
class Situation:
    """What else the machine does."""

    neighbours: int
    own_session: bool = False
    niced: bool = False

    def __str__(self) -> str:
        if self.neighbours == 0:
            return "quiet"
        session = "another session" if self.own_session else "the same session"
        return f"{self.neighbours} of {session}{', niced' if self.niced else ''}"

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Inside, the neighbours compute."""
        command = [*(["nice", "-n", "19"] if self.niced else []), sys.executable, "-c", BUSY_LOOP]
        processes = [
            subprocess.Popen(command, start_new_session=self.own_session)
            for _ in range(self.neighbours)
        ]
        try:
            time.sleep(0.3 if processes else 0.0)
            yield
        finally:
            for process in processes:
                process.kill()
                process.wait()


QUIET = Situation(0)
SITUATIONS = [QUIET, *(Situation(*each) for each in product((1, 2), (False, True), (False, True)))]


@dataclass(frozen=True)
class Shape:
    """What is trained: the default network on images of 28 x 28."""

    batch_size: int
    normalization: str

    def __str__(self) -> str:
        return (
            "batch"
            f" {self.batch_size}{', batch-normalized' if self.normalization == 'batch' else ''}"
        )


@dataclass(frozen=True)
class Way:
    """How a trainer computes."""

    setting: str
    threads: int

    def __str__(self) -> str:
        return f"{self.setting}, {self.threads} thread{'s' if self.threads > 1 else ''}"


SHAPES = [Shape(*each) for each in product(BATCH_SIZES, NORMALIZATIONS)]


class Trainer:
    """A process that trains when it is asked to: OpenMP reads its settings once, when PyTorch is
    loaded.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        own = {name: value for name, value in os.environ.items() if name not in USERS}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.neighbours", "--train"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**own, **settings},
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def images_per_second(self, shape: Shape, threads: int, seconds: float) -> float:
        """Of optimizer steps alone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(
            shape.batch_size,
            shape.normalization,
            threads,
            seconds,
            file=self._process.stdin,
            flush=True,
        )
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def train_when_asked() -> None:
    """The main of a Trainer's process: answers each line of its standard input."""
    import torch

    from objectives.data.images import LabelledImages, ResidentData
    from objectives.device import keep_freed_memory, set_threads
    from objectives.hyperparameters import SGD, Hyperparameters
    from objectives.run import Run
    from objectives.training import train

    class Enough(Exception):
        pass

    keep_freed_memory()
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2048, 1, 28, 28), dtype=torch.uint8, generator=draw)
    split = LabelledImages(images, torch.randint(10, (2048,), generator=draw))
    data = ResidentData(split, split, tuple("0123456789"), torch.full((1,), 0.5), torch.ones(1))
    print("ready", flush=True)
    for line in sys.stdin:
        batch_size, normalization, threads, seconds = line.split()
        set_threads(int(threads))
        times: list[float] = []

        def pulse(times: list[float] = times, seconds: float = float(seconds)) -> None:
            times.append(time.perf_counter())
            if len(times) > STEPS_BEFORE + 1 and times[-1] - times[STEPS_BEFORE] >= seconds:
                raise Enough

        options = Hyperparameters(
            SGD(1e-3), normalization=normalization, batch_size=int(batch_size)
        )
        try:
            for _ in train(Run(options, data, epochs=sys.maxsize, seed=0), pulse=pulse):
                # The pulses of its evaluation are no steps.
                times.clear()
        except Enough:
            pass
        counted = len(times) - 1 - STEPS_BEFORE
        print(counted * int(batch_size) / (times[-1] - times[STEPS_BEFORE]), flush=True)


Rates = dict[tuple[Situation, Shape, Way], list[float]]


@contextmanager
def trainers(names: Sequence[str]) -> Iterator[dict[str, Trainer]]:
    """One of each setting."""
    with ExitStack() as stack:
        started = {}
        for name in names:
            started[name] = Trainer(SETTINGS[name])
            stack.callback(started[name].close)
        yield started


def measure(
    situations: Sequence[Situation],
    shapes: Sequence[Shape],
    ways: Sequence[Way],
    rounds: int,
    seconds: float,
) -> Rates:
    """Every situation in each round; in a situation every way, by turns in an order that is drawn
    anew.
    """
    rates: Rates = {}
    order = random.Random(0)
    with trainers(sorted({way.setting for way in ways})) as started:
        for _ in range(rounds):
            for situation in situations:
                with situation.under_way():
                    for shape in shapes:
                        for way in order.sample(ways, len(ways)):
                            rate = started[way.setting].images_per_second(
                                shape, way.threads, seconds
                            )
                            rates.setdefault((situation, shape, way), []).append(rate)
    return rates


def table(rates: Rates, shapes: Sequence[Shape], ways: Sequence[Way]) -> Iterator[str]:
    """A row a situation: of each way the median over the shapes, and their range, in percent of the
    quiet rate of as many threads as there are, as they come.
    """
    most = max(way.threads for way in ways)
    yield f"| beside | {' | '.join(map(str, ways))} |"
    yield f"| --- |{' --- |' * len(ways)}"
    for situation in dict.fromkeys(situation for situation, _, _ in rates):
        cells = []
        for way in ways:
            shares = [
                100
                * statistics.median(rates[situation, shape, way])
                / statistics.median(rates[QUIET, shape, Way("as it comes", most)])
                for shape in shapes
            ]
            cells.append(f"{statistics.median(shares):.0f} ({min(shares):.0f}..{max(shares):.0f})")
        yield f"| {situation} | {' | '.join(cells)} |"


def quiet_pairs(
    setting: str, shapes: Sequence[Shape], threads: int, pairs: int, seconds: float
) -> Iterator[str]:
    """What a setting costs a quiet machine: ratios of pairs in turns, by shape."""
    from scipy.stats import quantile_test

    names = ["as it comes", setting]
    with trainers(names) as started:
        for shape in shapes:
            ratios = []
            for number in range(pairs):
                rates = {
                    name: started[name].images_per_second(shape, threads, seconds)
                    for name in (names if number % 2 == 0 else reversed(names))
                }
                ratios.append(rates[setting] / rates["as it comes"])
            bound = (
                quantile_test(ratios, q=1.0, p=0.5, alternative="greater")
                .confidence_interval(0.95)
                .low
            )
            yield (
                f"{shape}: {setting} to as it comes {statistics.median(ratios):.3f}, quartiles"
                f" {percentile(ratios, 25):.3f}..{percentile(ratios, 75):.3f}, lower 95 % bound of"
                f" the median {bound:.3f}"
            )


def main(say: Callable[[str], None] = print) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.neighbours", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument(
        "--pairs", type=int, default=0, help="in turns on a quiet machine, instead of the table"
    )
    parser.add_argument(
        "--setting", choices=sorted(SETTINGS), action="append", help="these alone; repeatable"
    )
    parser.add_argument("--quick", action="store_true", help="few shapes and situations, one round")
    arguments = parser.parse_args()
    if arguments.train:
        train_when_asked()
        return
    cores = len(os.sched_getaffinity(0))
    say(machine("torch"))
    if arguments.pairs:
        for setting in arguments.setting or ["passive", "spin 1,000", "spin 10,000"]:
            for line in quiet_pairs(setting, SHAPES, cores, arguments.pairs, arguments.seconds):
                say(line)
        return
    shapes = [Shape(64, "none")] if arguments.quick else SHAPES
    situations = [QUIET, Situation(1, own_session=True)] if arguments.quick else SITUATIONS
    settings = list(dict.fromkeys(["as it comes", *(arguments.setting or SETTINGS)]))
    ways = (
        [Way("as it comes", 1), *(Way(setting, cores) for setting in settings)] if cores > 1 else []
    )
    rates = measure(
        situations, shapes, ways, 1 if arguments.quick else arguments.rounds, arguments.seconds
    )
    for line in table(rates, shapes, ways):
        say(line)
    say("quiet, images/s, as they come:")
    for shape in shapes:
        rate = statistics.median(rates[QUIET, shape, Way("as it comes", cores)])
        say(f"  {shape}, {cores} threads: {rate:,.0f}")


if __name__ == "__main__":
    main()
