"""Phase 3: how fast one process trains, by batch size, precision, layout, and way of taking
steps.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch

from benchmarks.figures import spread
from benchmarks.gpu import predictions
from benchmarks.gpu.lab import Lab, Result, rate
from benchmarks.gpu.measuring import (
    AS_THEY_COME,
    ENDLESS,
    PRECISIONS,
    Speed,
    lacking,
    made_up,
    speed_of,
    take_device,
)
from objectives.convolutions import Convolutions
from objectives.data.images import LabelledImages, ResidentData
from objectives.hyperparameters import SGD, Augmentation, Hyperparameters, RAdam
from objectives.names import AUGMENTATIONS
from objectives.run import Run
from objectives.training import train

IMAGES = 16_384
BATCH_SIZES = (64, 256, 1024)
# Each training takes so long, and at least two epochs.
SECONDS = 0.4
# mnist-5k leaves so many for training.
SHORT_IMAGES = 4_000
SHORT_EPOCHS = 4
# So many trainings begin; the first of a process is among them.
BEGINNINGS = 7
# A case begins with at least so many left.
CASE_SECONDS = 6.0
LAYOUTS = {"channels_last": torch.channels_last, "plain": torch.contiguous_format}
PLAIN = Hyperparameters(SGD(1e-3))


@dataclass(frozen=True)
class Case:
    """One training, as train() chooses its layout."""

    name: str
    options: Hyperparameters
    precision: str = "float32"
    captured: bool = True

    def __str__(self) -> str:
        return f"{self.name} {self.precision} {self.options.batch_size}"


@dataclass(frozen=True)
class Comparison:
    """The same training in each layout, with cuDNN's benchmark off and, on CUDA, on."""

    options: Hyperparameters
    precision: str

    def __str__(self) -> str:
        return f"layouts {self.precision} {self.options.batch_size}"


@dataclass(frozen=True)
class Beginning:
    """Trainings as short as those of a study: what their first epoch costs beyond the others."""

    options: Hyperparameters
    captured: bool
    precision: str = "float32"

    def __str__(self) -> str:
        return f"beginning {'captured' if self.captured else 'eager'} {self.options.batch_size}"


def wanted(batch_sizes: tuple[int, ...]) -> list[Case | Comparison | Beginning]:
    """What decides most comes first."""
    sized = [replace(PLAIN, batch_size=size) for size in batch_sizes]
    small = sized[0]
    return [
        *(Case("train()", options, precision) for precision in PRECISIONS for options in sized),
        *(
            Comparison(options, precision)
            for options in reversed(sized)
            for precision in PRECISIONS
        ),
        Case("radam", replace(small, optimizer=RAdam(1e-3))),
        Case("every augmentation", replace(small, augmentation=Augmentation(AUGMENTATIONS, 0.5))),
        Case("batch normalization", replace(small, normalization="batch")),
        *(Case("eager", options, captured=False) for options in sized),
        *(Beginning(small, captured) for captured in (True, False)),
    ]


def measure(lab: Lab) -> Iterator[Result]:
    """A line for each that is wanted."""
    device = take_device(lab)
    data = made_up(64 if lab.is_quick else IMAGES, device)
    todo = wanted((32,) if lab.is_quick else BATCH_SIZES)
    # What cannot be done here is said once.
    told: set[str] = set()
    for at, case in enumerate(todo):
        if lab.seconds_left() < CASE_SECONDS:
            yield Result(
                "not measured",
                f"no time was left for {len(todo) - at} cases: {case} and what follows",
            )
            return
        lack = lacking(case.precision, device)
        if lack is None:
            yield lab.attempt(str(case), partial(_of, case, data, lab))
        elif lack not in told:
            yield Result(str(case), lack)
            told.add(lack)


def _of(case: Case | Comparison | Beginning, data: ResidentData, lab: Lab) -> Result:
    match case:
        case Case():
            return _measured(case, data, lab)
        case Comparison():
            return _compared(case, data, lab)
        case Beginning():
            return _begun(case, data, lab)


def _begun(case: Beginning, data: ResidentData, lab: Lab) -> Result:
    count = 64 if lab.is_quick else SHORT_IMAGES
    short = replace(
        data, train=LabelledImages(data.train.images[:count], data.train.labels[:count])
    )
    firsts: list[float] = []
    others: list[float] = []
    for seed in range(1 if lab.is_quick else BEGINNINGS):
        started = time.perf_counter()
        training = train(
            Run(case.options, short, ENDLESS, seed=seed, precision=case.precision),
            captures=case.captured,
        )
        for epoch in range(SHORT_EPOCHS):
            next(training)
            ended = time.perf_counter()
            (others if epoch else firsts).append(1000 * (ended - started))
            started = ended
    return Result(
        str(case),
        f"{spread(firsts, 0)} ms for the first epoch of {count:,} images,"
        f" {spread(others, 0)} ms for each other",
        {"first_ms": statistics.median(firsts), "other_ms": statistics.median(others)},
    )


def _measured(case: Case, data: ResidentData, lab: Lab) -> Result:
    found = _speed(case.options, case.precision, data, lab, captures=case.captured)
    row = "eager" if not case.captured else case.precision if case.name == "train()" else None
    size = case.options.batch_size
    expected = predictions.IMAGES_PER_SECOND[row].get(size) if lab.on_cuda and row else None
    return rate(str(case), found.images_per_second, size, found.path.partition(": ")[0], expected)


def _compared(case: Comparison, data: ResidentData, lab: Lab) -> Result:
    rates: dict[str, float] = {}
    for name, layout in LAYOUTS.items():
        for benchmark in (False, True) if lab.on_cuda else (False,):
            found = _speed(
                case.options,
                case.precision,
                data,
                lab,
                convolutions=Convolutions(layout, benchmark),
            )
            rates[f"{name} with benchmark" if benchmark else name] = found.images_per_second
    best = max(rates, key=lambda name: rates[name])
    said = ", ".join(f"{name} {found:,.0f}" for name, found in rates.items())
    return Result(str(case), f"{said} images/s; most {best}", rates)


def _speed(
    options: Hyperparameters,
    precision: str,
    data: ResidentData,
    lab: Lab,
    *,
    captures: bool = True,
    convolutions: Convolutions = AS_THEY_COME,
) -> Speed:
    run = Run(options, data, ENDLESS, seed=0, precision=precision)
    seconds, epochs = (0.0, 1) if lab.is_quick else (SECONDS, 2)
    return speed_of(run, seconds, epochs, captures=captures, convolutions=convolutions)
