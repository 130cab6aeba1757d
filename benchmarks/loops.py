"""Images per second of train() beside loops written by hand for the same network, in turns in one
process.

$ python -m benchmarks.loops [--threads N] [--repeats 7] [--batch-size N]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from benchmarks.figures import machine, spread
from benchmarks.trainer import CLASSES, LEARNING_RATE, Case, ours
from objectives.data.images import LabelledImages
from objectives.device import keep_freed_memory, set_threads

BATCH_SIZES = (64, 128, 256)


def network(case: Case) -> nn.Sequential:
    """The reference tutorial's, for batches of any length."""
    batch = case.normalization == "batch"

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1),
            *[nn.BatchNorm2d(outputs)] * batch,
            nn.ReLU(),
        ]

    return nn.Sequential(
        *block(1, 16),
        *(*block(16, 32), nn.MaxPool2d(2)),
        *(*block(32, 64), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(64 * 7 * 7, 100), *[nn.BatchNorm1d(100)] * batch, nn.ReLU()),
        nn.Linear(100, CLASSES),
    )


@dataclass(frozen=True)
class Loop:
    """A loop that somebody would write who has read PyTorch's guide to tuning."""

    memory_format: torch.memory_format = torch.contiguous_format
    # So many images go through the network at a time; None: the batch.
    piece: int | None = None
    compiled: bool = False

    def suits(self, case: Case) -> bool:
        """Batch normalization is of the whole batch."""
        return self.piece is None or (case.normalization == "none" and self.piece < case.batch_size)

    def epochs(self, data: LabelledImages, case: Case) -> Iterator[float]:
        """Images per second of each."""
        model = network(case).to(memory_format=self.memory_format)
        forward: Callable[[Tensor], Tensor] = torch.compile(model) if self.compiled else model
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
        while True:
            started, count = time.perf_counter(), 0
            losses = []
            for chosen in torch.split(torch.randperm(len(data.labels)), case.batch_size):
                images, labels = data.images[chosen].float() / 255, data.labels[chosen]
                images = images.contiguous(memory_format=self.memory_format)
                optimizer.zero_grad()
                piece = self.piece or len(labels)
                for part, truth in zip(
                    torch.split(images, piece), torch.split(labels, piece), strict=True
                ):
                    loss = nn.functional.cross_entropy(forward(part), truth, reduction="sum") / len(
                        labels
                    )
                    torch.autograd.backward(loss)
                    losses.append(loss.detach())
                optimizer.step()
                count += len(labels)
            torch.stack(losses).sum().item()
            yield count / (time.perf_counter() - started)


LOOPS = {
    "plain": Loop(),
    "channels_last": Loop(torch.channels_last),
    "compiled": Loop(compiled=True),
    "compiled, channels_last": Loop(torch.channels_last, compiled=True),
    **{
        f"channels_last, pieces of {piece}": Loop(torch.channels_last, piece)
        for piece in (32, 64, 128)
    },
}


def own_name(piece: int | None) -> str:
    """Of train() with so many images at a time."""
    return "train()" if piece is None else f"train(), pieces of {piece}"


def main() -> None:
    """Prints the machine and a row for each case."""
    arguments = _parser().parse_args()
    threads = set_threads(arguments.threads)
    keep_freed_memory()
    # The compiler warns of a processor without a GPU.
    warnings.simplefilter("ignore")
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (arguments.images, 1, 28, 28), dtype=torch.uint8, generator=draw)
    data = LabelledImages(images, torch.randint(CLASSES, (arguments.images,), generator=draw))
    print(machine("torch"))
    print(
        f"{threads} threads, freed memory kept; images/s as median (min..max) of"
        f" {arguments.repeats} epochs in turns"
    )
    for batch_size, normalization in product(
        arguments.batch_size or BATCH_SIZES, ("none", "batch")
    ):
        _compare(data, Case(batch_size, normalization), arguments)


def _compare(data: LabelledImages, case: Case, arguments: argparse.Namespace) -> None:
    loops = {
        name: loop
        for name, loop in LOOPS.items()
        if loop.suits(case) and not (loop.compiled and arguments.no_compile)
    }
    sides = {name: loop.epochs(data, case) for name, loop in loops.items()}
    for piece in arguments.piece or [None]:
        sides[own_name(piece)] = ours(data, case, arguments.repeats + 1, piece)
    rounds = [
        {name: next(side) for name, side in sides.items()} for _ in range(arguments.repeats + 1)
    ][1:]
    found = {name: [each[name] for each in rounds] for name in sides}
    best = max(loops, key=lambda name: statistics.median(found[name]))
    for own in (name for name in sides if name not in loops):
        ratios = [each[own] / each[best] for each in rounds]
        print(f"{case}: {own} to the best by hand ({best}) {spread(ratios, 2)}")
    for name, rates in found.items():
        print(f"    {name}: {spread(rates, 0)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.loops", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("--threads", type=int, help="default: every core")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument(
        "--batch-size", type=int, action="append", help="repeatable; default: 64, 128, 256"
    )
    parser.add_argument(
        "--piece", type=int, action="append", help="of train(); repeatable; default: its own"
    )
    parser.add_argument(
        "--no-compile", action="store_true", help="torch.compile needs a C++ compiler, and minutes"
    )
    return parser


if __name__ == "__main__":
    main()
