"""Phase 4: the reference tutorial's loop, a loop written by hand for one GPU, and train(), in
turns.
"""

import statistics
import time
from collections.abc import Iterator

from benchmarks.figures import spread
from benchmarks.gpu import predictions
from benchmarks.gpu.anchor import HandWritten
from benchmarks.gpu.lab import Expected, Lab, Result, failure
from benchmarks.gpu.measuring import ENDLESS, PRECISIONS, lacking, made_up, take_device
from benchmarks.trainer import LEARNING_RATE, Case, tutorial
from objectives.data.images import LabelledImages, ResidentData
from objectives.hyperparameters import SGD, Hyperparameters
from objectives.run import Run
from objectives.training import train

IMAGES = 16_384
# An epoch through a DataLoader has so many, as it is some hundred times as slow.
LOADED_IMAGES = 2_048
BATCH_SIZES = (64, 256, 1024)
# One more comes before these, and warms up.
ROUNDS = 3
# A round may take so long: none begins with less left.
ROUND_SECONDS = 5.0
DATA_LOADER, BY_HAND, OURS = "DataLoader", "by hand", "train()"


def measure(lab: Lab) -> Iterator[Result]:
    """For each batch size the rates of all, and what train() comes to beside the others."""
    device = take_device(lab)
    data = made_up(64 if lab.is_quick else IMAGES, device)
    for size in (32,) if lab.is_quick else BATCH_SIZES:
        if lab.seconds_left() < (ROUNDS + 1) * ROUND_SECONDS / 2:
            yield Result(f"batch {size}", "not measured: no time was left")
            continue
        yield from _compared(data, size, lab)


def _compared(data: ResidentData, size: int, lab: Lab) -> Iterator[Result]:
    # A DataLoader's images come from the host, whatever the precision: it is measured once.
    host = LabelledImages(
        data.train.images[:LOADED_IMAGES].cpu(), data.train.labels[:LOADED_IMAGES].cpu()
    )
    sides = {DATA_LOADER: tutorial(host, Case(size, "none"), data.mean.device)}
    for precision in PRECISIONS:
        if (lack := lacking(precision, data.mean.device)) is not None:
            yield Result(precision, lack)
            continue
        sides[f"{BY_HAND} {precision}"] = by_hand(data.train, size, precision)
        sides[f"{OURS} {precision}"] = ours(data, size, precision)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(1 + (1 if lab.is_quick else ROUNDS)):
        if turn > 1 and lab.seconds_left() < ROUND_SECONDS:
            break
        for name, side in list(sides.items()):
            try:
                found = next(side)
            # One side that fails does not take the others with it.
            except Exception as error:
                yield failure(f"{name} {size}", error)
                del sides[name]
                continue
            if turn > 0:
                rates[name].append(found)
    yield from _said({name: found for name, found in rates.items() if found}, size, lab.on_cuda)


def _said(rates: dict[str, list[float]], size: int, on_cuda: bool) -> Iterator[Result]:
    loader = rates.get(DATA_LOADER, [])
    if loader:
        figures = {"images_per_second": statistics.median(loader)}
        row = predictions.IMAGES_PER_SECOND[DATA_LOADER] if on_cuda else {}
        yield Result(
            f"{DATA_LOADER} {size}", f"{spread(loader, 0)} images/s", figures, row.get(size)
        )
    for precision in PRECISIONS:
        own, hand = rates.get(f"{OURS} {precision}", []), rates.get(f"{BY_HAND} {precision}", [])
        over_loader = (
            predictions.OVER_DATALOADER[precision] if on_cuda and size == max(BATCH_SIZES) else None
        )
        yield from _ratio(f"{OURS} {precision} {size}", own, DATA_LOADER, loader, over_loader)
        over_hand = predictions.OVER_HAND_WRITTEN if on_cuda else None
        yield from _ratio(f"{OURS} {precision} {size}", own, BY_HAND, hand, over_hand)


def _ratio(
    name: str, own: list[float], other: str, theirs: list[float], expected: Expected | None
) -> Iterator[Result]:
    if not own or not theirs:
        return
    # The ratios are of rounds: what slows a machine down for a while slows both sides.
    ratios = [mine / there for mine, there in zip(own, theirs, strict=False)]
    rates = {
        "images_per_second": statistics.median(own),
        "others_images_per_second": statistics.median(theirs),
    }
    yield Result(
        f"{name} and {other}",
        f"{rates['images_per_second']:,.0f} and {rates['others_images_per_second']:,.0f} images/s, "
        f"{spread(ratios, 2)} times",
        {"times": statistics.median(ratios)} | rates,
        expected,
    )


def by_hand(data: LabelledImages, size: int, precision: str) -> Iterator[float]:
    """Images per second of each epoch of the loop written by hand."""
    loop = HandWritten(data, size, precision)
    steps = len(data.labels) // size
    while True:
        started = time.perf_counter()
        loop.epoch()
        yield steps * size / (time.perf_counter() - started)


def ours(data: ResidentData, size: int, precision: str) -> Iterator[float]:
    """Images per second of the training part of each epoch of train()."""
    options = Hyperparameters(SGD(LEARNING_RATE), batch_size=size)
    for measurement in train(Run(options, data, ENDLESS, seed=0, precision=precision)):
        yield measurement.images_per_second
