"""Trainings whose speed is measured: on made-up images, under every precision, layout and way of taking steps."""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import torch

from benchmarks.gpu.lab import Lab
from benchmarks.gpu.layouts import trainer
from objectives import names
from objectives.captured import Capture, CUDAGraphs
from objectives.data import LabelledImages, ResidentData
from objectives.device import check_precision, keep_freed_memory, make_current, pick_device, set_threads
from objectives.errors import DeviceError
from objectives.training import Run

CLASSES = 10
SIDE = 28
PRECISIONS = ("float32", "tf32", "bf16")
ENDLESS = sys.maxsize  # epochs


def take_device(lab: Lab) -> torch.device:
    """The phase's device, made this process's. Raises DeviceError."""
    device = pick_device(lab.device)
    make_current(device)
    keep_freed_memory()
    if lab.is_quick:
        set_threads(1)
    return device


def made_up(count: int, device: torch.device, validation: int = 64) -> ResidentData:
    """Images of ten blurred patterns under noise: a network learns them within some hundreds of steps."""
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


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Inside, CUDA multiplies float32 as such, or for "tf32" rounded to 10 of 23 bits."""
    settings = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.fp32_precision = value


@contextmanager
def cudnn_benchmark(is_on: bool) -> Iterator[None]:
    """Inside, cuDNN tries its algorithms for each new shape and keeps the fastest, or takes what it thinks best."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = is_on
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class Uncaptured(CUDAGraphs):
    """The optimizers and streams of a capture, and every step operator by operator: as if there were no memory."""

    def record(self, *work: object, **options: object) -> NoReturn:
        """Refuses, in the one way that a training goes on from."""
        raise torch.OutOfMemoryError("out of memory, it says, to be compared with captured steps")


@dataclass(frozen=True)
class Speed:
    """What a training came to."""

    images_per_second: float
    path: str


def speed_of(
    run: Run, seconds: float, capture: Capture | None = None, least_epochs: int = 2, layout: str | None = None
) -> Speed:
    """The median over the epochs that are trained within so many seconds, after one that warms up."""
    training = trainer(layout)(run, capture=capture)
    next(training)
    rates: list[float] = []
    started = time.perf_counter()
    while len(rates) < least_epochs or time.perf_counter() - started < seconds:
        rates.append(next(training).images_per_second)
    return Speed(statistics.median(rates), training.path)
