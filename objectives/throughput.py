"""How fast this machine trains: the main of a process that measures it, and imports PyTorch once
for all it is asked.

It says what it trains on, and how many such devices processes take in turn. Then it answers each
line "THREADS BATCH PIECE SECONDS" of its standard input, until that is closed: images per second,
and of a GPU the bytes that it takes there and those that are free beside. A step is of so many
images (BATCH), of which so many at a time (PIECE) go through the network. Several such processes,
all asked at once, measure what they train together.

    $ python -P -m objectives.throughput --device cpu
    cpu 1
    2 64 64 0.4
    3012.4 0 0
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache

import torch

from objectives.data.images import LabelledImages, ResidentData
from objectives.device import keep_freed_memory, make_current, pick_device, set_threads
from objectives.hyperparameters import SGD, Hyperparameters
from objectives.run import Run
from objectives.training import train

# An epoch has so many batches, by the kind of device: few where each takes long, and many where
# what an epoch does beside them would weigh more than they do; validation has a quarter of the
# images.
BATCHES = {"cpu": 4, "mps": 4, "cuda": 64}
CLASSES = 10
# The weights hardly move: numbers too small to compute with at full speed do not come up.
LEARNING_RATE = 1e-3
# This is an allowance, not measured, for what CUDA takes beside PyTorch's tensors.
CONTEXT_BYTES = 2**30


class SteadyTraining:
    """The default network, trained on made-up images of 28 x 28 for as long as it is asked to.

    >>> run = steady_run(torch.device("cpu"), batch=64, piece=64)                 # doctest: +SKIP
    >>> SteadyTraining(run).images_per_second(threads=2, seconds=0.4)             # doctest: +SKIP
    3012.4
    """

    def __init__(self, run: Run) -> None:
        self._images = len(run.data.train.labels)
        self._training = train(run)

    def images_per_second(
        self, threads: int, seconds: float, clock: Callable[[], float] = time.perf_counter
    ) -> float:
        """Over whole epochs, their validation included, until `seconds` have passed; one before
        that does not count.
        """
        set_threads(threads)
        next(self._training)
        started, images = clock(), 0
        while (passed := clock() - started) < seconds:
            next(self._training)
            images += self._images
        return images / passed


def steady_run(device: torch.device, batch: int, piece: int) -> Run:
    """A training without an end in batches of so many images, of which so many at a time go through
    the network.

    On a GPU as many do as everywhere.
    """
    hyperparameters = Hyperparameters(SGD(LEARNING_RATE), batch_size=batch)
    data = _made_up(BATCHES[device.type] * batch, device)
    return Run(
        hyperparameters,
        data,
        epochs=sys.maxsize,
        seed=0,
        piece=piece if device.type == "cpu" else None,
    )


def _made_up(training_images: int, device: torch.device) -> ResidentData:
    draw = torch.Generator().manual_seed(0)

    def split(count: int) -> LabelledImages:
        images = torch.randint(256, (count, 1, 28, 28), dtype=torch.uint8, generator=draw)
        labels = torch.randint(CLASSES, (count,), generator=draw)
        return LabelledImages(images.to(device), labels.to(device))

    moments = torch.full((1,), 0.5, device=device)
    return ResidentData(
        split(training_images), split(training_images // 4), tuple("0123456789"), moments, moments
    )


def _device_bytes(device: torch.device) -> tuple[int, int]:
    """(taken by this process at most so far, free) on a GPU that says so; (0, 0) of others."""
    if device.type != "cuda":
        return 0, 0
    free, _ = torch.cuda.mem_get_info(device)
    return torch.cuda.max_memory_reserved(device) + CONTEXT_BYTES, free


def main() -> None:
    """Answers on standard output until standard input is closed. Raises DeviceError."""
    parser = argparse.ArgumentParser(description="How fast this machine trains.")
    parser.add_argument(
        "--device", default="auto", help="as the command line of hypersearch takes it"
    )
    parser.add_argument(
        "--process", type=int, default=0, help="of several, from 0: they take the GPUs in turn"
    )
    arguments = parser.parse_args()
    device = pick_device(arguments.device, arguments.process)
    make_current(device)
    in_turn = device.type == "cuda" and arguments.device in ("auto", "cuda")
    keep_freed_memory()

    @cache
    def training(batch: int, piece: int) -> SteadyTraining:
        return SteadyTraining(steady_run(device, batch, piece))

    print(device, torch.cuda.device_count() if in_turn else 1, flush=True)
    for line in sys.stdin:
        threads, batch, piece, seconds = line.split()
        speed = training(int(batch), int(piece)).images_per_second(int(threads), float(seconds))
        print(speed, *_device_bytes(device), flush=True)


if __name__ == "__main__":
    main()
