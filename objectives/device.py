"""Which device, how many threads, and where randomness comes from."""

import ctypes
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor

from objectives.device_name import check_device_name
from objectives.errors import DeviceError, ProcessSpent
from objectives.processor import usable_cores

# Held by whoever has changed what threads share, PyTorch's global generator and its precisions,
# until it is put back.
SHARED = threading.RLock()


def pick_device(name: str, process: int = 0) -> torch.device:
    """The device called `name`: auto (CUDA, else MPS, else CPU), cpu, cuda, cuda:1, mps.

    Where auto or cuda finds several GPUs, the processes of one machine, counted from 0, take them
    in turn.

    Raises DeviceError for another name, or where this machine has no such device.
    """
    if name == "auto":
        present = (
            kind
            for kind, exists in (("cuda", torch.cuda.is_available()), ("mps", _has_mps()))
            if exists
        )
        return _in_turn(torch.device(next(present, "cpu")), process)
    check_device_name(name)
    kind, _, index = name.partition(":")
    if kind == "mps" and not _has_mps():
        raise DeviceError('device "mps": PyTorch finds no Apple GPU here; choose cpu or auto')
    if kind == "cuda" and (count := torch.cuda.device_count()) <= int(index or 0):
        raise DeviceError(
            f'device "{name}": PyTorch finds {count} CUDA devices here; choose cpu or auto'
        )
    return _in_turn(torch.device(name), process)


def make_current(device: torch.device) -> None:
    """Has CUDA work on that GPU where no device is named: it would take memory on the first one for
    each process.
    """
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def _in_turn(device: torch.device, process: int) -> torch.device:
    if (
        device.type != "cuda"
        or device.index is not None
        or (count := torch.cuda.device_count()) == 1
    ):
        return device
    return torch.device("cuda", process % count)


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def check_answers(device: torch.device) -> None:
    """Raises ProcessSpent where a CUDA GPU fails whatever this process asks of it, as it does after
    some errors.

    After an illegal access or an assertion of a kernel the process's context is lost; after an
    error of another kind, out of memory for instance, the GPU goes on.
    """
    if device.type != "cuda":
        return
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        raise ProcessSpent.device_lost(str(device), error) from error


def check_precision(name: str, device: torch.device) -> None:
    """Raises DeviceError where `device` does not compute in that precision, or not fast enough to
    be of use.

    tf32 and bf16 need a CUDA GPU that has them, NVIDIA's from Ampere (2020) on: elsewhere tf32
    would be float32, and bf16 is emulated, slower than float32.
    """
    if name != "float32" and not (device.type == "cuda" and _HAS[name]()):
        raise DeviceError(
            f'precision "{name}": {device} does not have it; take a GPU that has, or float32'
        )


# Each function says whether the current CUDA GPU computes in the precision.
_HAS: dict[str, Callable[[], bool]] = {
    "tf32": lambda: torch.cuda.is_tf32_supported(),
    "bf16": lambda: torch.cuda.is_bf16_supported(including_emulation=False),
}


def set_threads(count: int | None) -> int:
    """Lets torch compute with `count` threads, `None`: one on each core this process may use.
    Returns the count.

    Raises DeviceError for less than one.
    """
    if count is None:
        count = usable_cores()
    if count < 1:
        raise DeviceError(f"threads {count}: give 1 or more")
    torch.set_num_threads(count)
    return count


@contextmanager
def settings_put_back() -> Iterator[None]:
    """After it, torch computes with as many threads as before it, and the current GPU is the one
    that it was.
    """
    threads = torch.get_num_threads()
    # A process that has not touched a GPU has the first one as its current one.
    gpu = torch.cuda.current_device() if _has_used_cuda() else 0
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if _has_used_cuda():
            torch.cuda.set_device(gpu)


def _has_used_cuda() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def keep_freed_memory() -> bool:
    """Keeps freed memory in this process, for the next batch, until it ends; False where the C
    library is not glibc.

    There is no way back, and the C library does not say what was set before: it is for processes of
    our own.

    glibc gives blocks above 32 MiB, and smaller ones at the end of its heap, back to the system at
    once, and the next batch pays for their pages again. Training with batch normalization on 28 x
    28, 2 threads of an EPYC, torch 2.15, median of 7: 3,030 images/s for 1,660 at batch 256, 3,130
    for 2,770 at 64; memory 1.26 GB for 1.18.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    return bool(
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30) and libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    )


# The numbers are those of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def full_float32() -> AbstractContextManager[None]:
    """Inside, a CUDA GPU multiplies float32 as such: PyTorch lets convolutions round it to TF32, 10
    bits of 23.
    """
    return float32_products("ieee")


@contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """Inside, a CUDA GPU multiplies float32 in matrix products and convolutions as such, "ieee", or
    rounded, "tf32".

    These settings are the process's: threads are inside one at a time, and they are the caller's
    again after it. A CPU is not concerned. PyTorch has older names for them,
    `torch.backends.cudnn.allow_tf32`, `torch.backends.cuda.matmul.allow_tf32` and
    `torch.get_float32_matmul_precision()`, and raises RuntimeError where one of those is read
    inside: read `fp32_precision`, as here.
    """
    settings = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    with SHARED:
        callers = [setting.fp32_precision for setting in settings]
        try:
            for setting in settings:
                setting.fp32_precision = precision
            yield
        finally:
            for setting, precision in zip(settings, callers, strict=True):
                setting.fp32_precision = precision


def sent(values: Tensor, device: torch.device) -> Tensor:
    """`values`, which are on the CPU, on `device`; a CUDA GPU is not waited for."""
    return (
        values.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda"
        else values.to(device)
    )


def derived_seed(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, from the one integer that a trial is repeated by; 63
    bits.
    """
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, device: torch.device) -> torch.Generator:
    """A torch generator on `device`, seeded by `derived_seed`."""
    return torch.Generator(device).manual_seed(derived_seed(seed, purpose))


@contextmanager
def global_random(generator: torch.Generator) -> Iterator[None]:
    """Inside, what draws from torch's global generator of the CPU draws from `generator`, of one,
    in its stead.

    Initializers can draw from nothing else. After it the global one is the caller's again. It is
    the process's: threads are inside one at a time, and no other code should draw from it
    meanwhile.

    >>> with global_random(torch.Generator().manual_seed(0)):
    ...     first = torch.rand(3)  # whatever others draw before and after; they see no trace of it
    """
    with SHARED:
        callers = torch.get_rng_state()
        torch.set_rng_state(generator.get_state())
        try:
            yield
            generator.set_state(torch.get_rng_state())
        finally:
            torch.set_rng_state(callers)
