"""Phase 8: what each precision costs in accuracy."""

import statistics
from collections.abc import Iterator
from functools import partial

from benchmarks.figures import spread
from benchmarks.gpu.lab import Lab, Result
from benchmarks.gpu.measuring import PRECISIONS, lacking, made_up, take_device
from benchmarks.peers.contest import searched
from objectives.data.images import ResidentData
from objectives.hyperparameters import Adam, Hyperparameters
from objectives.run import Run
from objectives.training import train

EPOCHS = 8
SEEDS = 3
OPTIONS = Hyperparameters(Adam(1e-3), batch_size=64)


def measure(lab: Lab) -> Iterator[Result]:
    """The accuracy on mnist-5k's validation split after the last epoch, by precision, over the same
    seeds.
    """
    device = take_device(lab)
    data = made_up(64, device) if lab.is_quick else searched(device)
    epochs, seeds = (1, 2) if lab.is_quick else (EPOCHS, SEEDS)
    for precision in PRECISIONS:
        if (lack := lacking(precision, device)) is not None:
            yield Result(precision, lack)
            continue
        yield lab.attempt(precision, partial(_accuracy, data, precision, epochs, seeds))


def _accuracy(data: ResidentData, precision: str, epochs: int, seeds: int) -> Result:
    found = []
    for seed in range(seeds):
        last = [
            each.validation_accuracy
            for each in train(Run(OPTIONS, data, epochs, seed, precision=precision))
        ][-1]
        found.append(last)
    said = f"{spread(found, 4)} after {epochs} epochs, {seeds} seeds"
    return Result(precision, said, {"accuracy": statistics.median(found)})
