"""Phase 7: several processes that train on one device at the same time."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from benchmarks.gpu.lab import Lab, Result
from benchmarks.gpu.starting import context_of

COUNTS = (1, 2, 4, 8)
IMAGES = 4096
BATCH_SIZE = 64
# Each measurement takes so long.
SECONDS = 2.0


def measure(lab: Lab) -> Iterator[Result]:
    """Images per second of all together; those that are not asked hold their memory and do
    nothing.
    """
    counts, seconds = ((1, 2), 0.0) if lab.is_quick else (COUNTS, SECONDS)
    with ExitStack() as stack:
        crew = [stack.enter_context(Trainer(lab)) for _ in range(max(counts))]
        for trainer in crew:
            trainer.answer(lab)
        alone = 0.0
        for count in counts:
            found = together(crew[:count], seconds, lab)
            alone = alone or found
            said = f"{found:,.0f} images/s, {found / alone:.2f} times one"
            yield Result(
                f"{count} process" + "es" * (count > 1),
                said,
                {"images_per_second": found, "times": found / alone},
            )


def together(crew: "Sequence[Trainer]", seconds: float, lab: Lab) -> float:
    """What they train a second when all are asked at once."""
    for trainer in crew:
        trainer.orders.send(seconds)
    return sum(trainer.answer(lab) for trainer in crew)


class Trainer:
    """A process that trains for as long as it is asked to; it ends with its `with`."""

    def __init__(self, lab: Lab) -> None:
        context = context_of(lab.device)
        self.orders, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_answer, args=(lab, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self.orders.close()

    def answer(self, lab: Lab) -> float:
        """What it says next. Raises TimeoutError, and ChildProcessError where it has died."""
        if not self.orders.poll(max(lab.seconds_left() - 1.0, 0.0)):
            raise TimeoutError("a process that trains has said nothing until the end of the phase")
        try:
            return float(self.orders.recv())
        except EOFError:
            raise ChildProcessError("a process that trains has died: all.log says why") from None


def _answer(lab: Lab, orders: Connection) -> None:
    from benchmarks.gpu.measuring import ENDLESS, made_up, take_device
    from objectives.hyperparameters import SGD, Hyperparameters
    from objectives.run import Run
    from objectives.training import train

    count, size = (32, 16) if lab.is_quick else (IMAGES, BATCH_SIZE)
    data = made_up(count, take_device(lab))
    training = train(Run(Hyperparameters(SGD(1e-3), batch_size=size), data, ENDLESS, seed=0))
    # Steps are captured by the end of the first epoch.
    next(training)
    orders.send(0.0)
    while True:
        seconds, images, started = orders.recv(), 0, time.perf_counter()
        while images == 0 or time.perf_counter() - started < seconds:
            next(training)
            images += count
        orders.send(images / (time.perf_counter() - started))
