"""Trainings whose speed is measured: on made-up images, under every precision, layout and way of
taking steps.
"""

import statistics
import sys
import time
from dataclasses import dataclass

import torch

from benchmarks.gpu.lab import Lab
from objectives import names
from objectives.convolutions import Convolutions
from objectives.data.images import LabelledImages, ResidentData
from objectives.device import (
    check_precision,
    keep_freed_memory,
    make_current,
    pick_device,
    set_threads,
)
from objectives.errors import DeviceError
from objectives.run import Run
from objectives.training import train

CLASSES = 10
SIDE = 28
PRECISIONS = ("float32", "tf32", "bf16")
# So many epochs never end.
ENDLESS = sys.maxsize
AS_THEY_COME = Convolutions()


def take_device(lab: Lab) -> torch.device:
    """The phase's device, made this process's. Raises DeviceError."""
    device = pick_device(lab.device)
    make_current(device)
    keep_freed_memory()
    if lab.is_quick:
        set_threads(1)
    return device


def made_up(count: int, device: torch.device, validation: int = 64) -> ResidentData:
    """Images of ten blurred patterns under noise: a network learns them within some hundreds of
    steps.
    """
    draw = torch.Generator().manual_seed(0)
    coarse = torch.randint(256, (CLASSES, 1, 7, 7), generator=draw)
    patterns = coarse.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)

    def split(size: int) -> LabelledImages:
        labels = torch.randint(CLASSES, (size,), generator=draw)
        noise = torch.randint(256, (size, 1, SIDE, SIDE), generator=draw)
        images = ((patterns[labels] + noise) // 2).to(torch.uint8)
        return LabelledImages(images.to(device), labels.to(device))

    moments = torch.full((1,), 0.5, device=device)
    return ResidentData(split(count), split(validation), tuple("0123456789"), moments, moments)


def lacking(precision: str, device: torch.device) -> str | None:
    """Why nothing can be trained in that precision here, or None."""
    if precision not in names.PRECISIONS:
        return f"skipped: this version has no precision {precision!r}"
    try:
        check_precision(precision, device)
    except DeviceError as error:
        return f"skipped: {error}"
    return None


@dataclass(frozen=True)
class Speed:
    """What a training came to."""

    images_per_second: float
    path: str


def speed_of(
    run: Run,
    seconds: float,
    least_epochs: int = 2,
    *,
    captures: bool = True,
    convolutions: Convolutions = AS_THEY_COME,
) -> Speed:
    """The median over the epochs that are trained within so many seconds, after one that warms
    up.
    """
    training = train(run, captures=captures, convolutions=convolutions)
    next(training)
    rates: list[float] = []
    started = time.perf_counter()
    while len(rates) < least_epochs or time.perf_counter() - started < seconds:
        rates.append(next(training).images_per_second)
    return Speed(statistics.median(rates), training.path)
