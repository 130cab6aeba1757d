"""Phase 0: what this machine is, and how fast it copies and multiplies."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import psutil
import torch

from benchmarks.gpu import predictions
from benchmarks.gpu.lab import Lab, Result
from benchmarks.gpu.measuring import take_device
from objectives.device import float32_products
from objectives.processor import processor_model

PACKAGES = (
    "torch",
    "torchvision",
    "triton",
    "numpy",
    "optuna",
    "sqlalchemy",
    "typer",
    "pytest",
    "hypersearch",
)
REPEATS = 10


def measure(lab: Lab) -> Iterator[Result]:
    """The GPU, the versions, the host; a copy on the device; products of two square matrices in
    each precision.
    """
    device = take_device(lab)
    yield Result("device", _named(device))
    yield Result(
        "versions", f"Python {platform.python_version()}, " + ", ".join(map(_version, PACKAGES))
    )
    memory = psutil.virtual_memory()
    yield Result(
        "host",
        f"{processor_model()}, {os.cpu_count()} cores, {memory.total / 1e9:.0f} GB of memory, "
        f"{torch.get_num_threads()} threads",
    )
    yield lab.attempt("copy", partial(_copy, lab, device))
    side = 128 if lab.is_quick else 8192
    for precision in ("float32", "tf32", "bf16"):
        yield lab.attempt(f"product {precision}", partial(_product, lab, device, precision, side))


def _named(device: torch.device) -> str:
    if device.type != "cuda":
        return processor_model()
    found = torch.cuda.get_device_properties(device)
    driver = "driver unknown"
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = (
            "driver "
            + subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        )
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return (
        f"{found.name}, {found.total_memory / 1e9:.0f} GB, {found.multi_processor_count}"
        f" multiprocessors, CUDA {torch.version.cuda}, cuDNN {cudnn}, {driver}"
    )


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} is not there"


def _copy(lab: Lab, device: torch.device) -> Result:
    source = torch.randint(
        256, (10**6 if lab.is_quick else 4 * 10**9,), dtype=torch.uint8, device=device
    )
    target = torch.empty_like(source)
    seconds = _seconds(lambda: target.copy_(source), device)
    speed = 2 * source.numel() / seconds / 1e12
    expected = predictions.COPY_TB_PER_SECOND if lab.on_cuda else None
    return Result("copy", f"{speed:.2f} TB/s, read and written", {"tb_per_second": speed}, expected)


def _product(lab: Lab, device: torch.device, precision: str, side: int) -> Result:
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.rand(2, side, side, device=device).to(kind)
    with float32_products("tf32" if precision == "tf32" else "ieee"):
        seconds = _seconds(lambda: left @ right, device)
    speed = 2 * side**3 / seconds / 1e12
    expected = predictions.PRODUCT_TFLOP_PER_SECOND.get(precision) if lab.on_cuda else None
    name = f"product {precision} of {side} x {side}"
    return Result(name, f"{speed:.1f} TFLOP/s", {"tflop_per_second": speed}, expected)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of one time, over several after one that warms up."""
    work()
    wait_for(device)
    started = time.perf_counter()
    for _ in range(REPEATS):
        work()
    wait_for(device)
    return (time.perf_counter() - started) / REPEATS


def wait_for(device: torch.device) -> None:
    """Until all that was asked of the device is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
