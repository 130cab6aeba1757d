"""What this machine computes with, and how it was measured to do so best."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import psutil

from objectives.processor import processor_model, usable_cores
from search.machine.division_file import BUSY_PERCENT, division_text, known_divisions
from search.machine.findings import (
    NO_FOLDER,
    Accelerator,
    Finding,
    KnownDivision,
    Processor,
    gigabytes,
)
from search.machine.folders import FolderUnknown, Place

# These variables set how OpenMP's threads wait for each other, which hypersearch leaves as it comes
# (docs/decisions/0016): GNU's, and Intel's and LLVM's.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def processor_finding(environment: Mapping[str, str]) -> Finding:
    """Cores, threads and memory, and how threads wait for each other."""
    memory = psutil.virtual_memory()
    threads = os.cpu_count() or 1
    cores, usable = psutil.cpu_count(logical=False), usable_cores()
    facts = Processor(processor_model(), cores, threads, usable, memory.total, memory.available)
    return Finding(
        "processor",
        f"{facts.model}, {facts.cores or 'unknown'} cores, {threads} threads, of which workers may"
        f" use {usable}; {gigabytes(facts.available_bytes)} of {gigabytes(facts.memory_bytes)}"
        f" memory available; {waiting_text(environment)}",
        facts=(facts,),
    )


def waiting_text(environment: Mapping[str, str]) -> str:
    """How OpenMP's threads wait for each other, as far as somebody has said it.

    >>> waiting_text({"OMP_WAIT_POLICY": "passive"}), waiting_text({})
    ('OpenMP waits as OMP_WAIT_POLICY=passive says', 'OpenMP waits as it comes')
    """
    said = [f"{name}={environment[name]}" for name in WAITING if environment.get(name)]
    if not said:
        return "OpenMP waits as it comes"
    return f"OpenMP waits as {' and '.join(said)} {'says' if len(said) == 1 else 'say'}"


def accelerator_finding() -> Finding:
    """The GPUs that PyTorch sees, or the one that it does not see though the system does."""
    try:
        import torch
    # The finding on PyTorch says why it does not load.
    except Exception:
        return Finding("accelerators", "unknown, as PyTorch does not load", "see pytorch above", 2)
    found = [
        Accelerator(f"cuda:{index}", torch.cuda.get_device_name(index), properties.total_memory)
        for index in range(torch.cuda.device_count())
        for properties in (torch.cuda.get_device_properties(index),)
    ]
    if torch.backends.mps.is_available():
        found.append(Accelerator("mps", platform.processor() or "Apple", None))
    if not found and Path("/dev/nvidia0").exists():
        mend = (
            "update the NVIDIA driver, or install the torch build that fits it:"
            " https://pytorch.org/get-started"
        )
        return Finding("accelerators", "an NVIDIA GPU is there, and PyTorch cannot use it", mend, 2)
    each = [
        f"{one.device} {one.model}"
        + (f", {gigabytes(one.memory_bytes)}" if one.memory_bytes else "")
        for one in found
    ]
    return Finding(
        "accelerators",
        "; ".join(each) or "none: workers compute on the processor",
        facts=tuple(found),
    )


def division_finding(folder: Place) -> Finding:
    """How many threads and workers this machine was measured to train best with; measures
    nothing.
    """
    cores = usable_cores()
    if cores == 1:
        return Finding("division", "one core that workers may use: there is nothing to divide")
    if isinstance(folder, FolderUnknown):
        return Finding("division", NO_FOLDER, str(folder), 3)
    known = known_divisions(folder, cores)
    if not known:
        return Finding(
            "division",
            "not measured yet: the first worker that is not told its threads does it, and keeps it"
            f" if other programs use at most {BUSY_PERCENT:.0f} % of the processor meanwhile",
        )
    return Finding(
        "division",
        " | ".join(division_text(division, file) for file, division in known),
        facts=tuple(KnownDivision(str(file), division) for file, division in known),
    )
