"""Phase 5: what the device does in a step, kernel by kernel."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.lab import Lab, Result
from benchmarks.gpu.measuring import ENDLESS, made_up, take_device
from objectives.hyperparameters import SGD, Hyperparameters
from objectives.run import Run
from objectives.training import train

STEPS = 20
TOP = 15
# The names are those that cuDNN and PyTorch give changes of layout. Convolutions carry their
# layouts in their names too.
TRANSFORM = re.compile(
    r"nchw\w*to\w*nhwc|nhwc\w*to\w*nchw|transpose_|permute|convertTensor", re.IGNORECASE
)
NAME_CHARACTERS = 60


@dataclass(frozen=True)
class Kernel:
    """One run of one kernel; on a CPU of one operator."""

    name: str
    start_us: float
    end_us: float


def measure(lab: Lab) -> Iterator[Result]:
    """For each batch size kernels a step, the busy share, changes of layout, what takes most; a
    trace of the first.
    """
    device = take_device(lab)
    sizes = (16,) if lab.is_quick else (64, 256)
    for size in sizes:
        trace = lab.folder / "trace.json.gz" if size == sizes[0] else None
        yield from of_epoch(profiled(device, size, 2 if lab.is_quick else STEPS, trace), size, lab)


def profiled(
    device: torch.device, size: int, steps: int, trace: Path | None
) -> tuple[list[Kernel], int]:
    """An epoch of so many steps, and the evaluation of one image; on CUDA by then its steps are
    replayed.
    """
    options = Hyperparameters(SGD(1e-3), batch_size=size)
    training = train(Run(options, made_up(size * steps, device, validation=1), ENDLESS, seed=0))
    next(training)
    next(training)
    on_cuda = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_cuda]) as profiler:
        next(training)
    if trace is not None:
        profiler.export_chrome_trace(str(trace))
    kernels = [
        Kernel(event.name, event.time_range.start, event.time_range.end)
        for event in profiler.events() or ()
        if event.device_type.name == device.type.upper()
        and not getattr(event, "is_user_annotation", False)
    ]
    return kernels, steps


def of_epoch(found: tuple[list[Kernel], int], size: int, lab: Lab) -> Iterator[Result]:
    """The lines of one epoch."""
    kernels, steps = found
    if not kernels:
        yield Result(f"batch {size}", "the profiler saw nothing of the device")
        return
    span = max(kernel.end_us for kernel in kernels) - min(kernel.start_us for kernel in kernels)
    times: defaultdict[str, float] = defaultdict(float)
    runs: Counter[str] = Counter()
    for kernel in kernels:
        times[kernel.name] += kernel.end_us - kernel.start_us
        runs[kernel.name] += 1
    busy, whole = busy_us(kernels) / span, sum(times.values())
    transforms = sum(taken for name, taken in times.items() if changes_layout(name)) / whole
    yield Result(
        f"batch {size}",
        f"{len(kernels) / steps:.1f} kernels a step, {whole / steps:.0f} us of them in"
        f" {span / steps:.0f} us a step under the profiler, busy {100 * busy:.0f} %, changes of"
        f" layout {100 * transforms:.0f} % of the kernels' time",
        {
            "kernels": len(kernels) / steps,
            "kernels_us": whole / steps,
            "step_us": span / steps,
            "busy": busy,
            "transforms": transforms,
        },
    )
    for name, taken in sorted(times.items(), key=lambda each: -each[1])[:TOP]:
        said = (
            f"{100 * taken / whole:4.1f} %, {runs[name] / steps:.1f} a step,"
            f" {taken / runs[name]:.1f} us each"
        )
        yield Result(name[:NAME_CHARACTERS], said, is_detail=True)


def changes_layout(name: str) -> bool:
    """Whether a kernel of that name does nothing but that.

    >>> changes_layout("void cudnn::engines_precompiled::nchwToNhwcKernel<float, float>")
    True
    >>> changes_layout("sm80_xmma_dgrad_implicit_gemm_f32f32_f32f32_f32_nchwkcrs_nchw_tilesize32")
    False
    """
    return TRANSFORM.search(name) is not None


def busy_us(kernels: Iterable[Kernel]) -> float:
    """How long at least one was running.

    >>> busy_us([Kernel("a", 0, 4), Kernel("b", 1, 2), Kernel("c", 3, 6), Kernel("d", 8, 9)])
    7
    """
    busy, until = 0.0, float("-inf")
    for kernel in sorted(kernels, key=lambda each: each.start_us):
        busy += max(0.0, kernel.end_us - max(kernel.start_us, until))
        until = max(until, kernel.end_us)
    return busy
