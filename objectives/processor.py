"""The processor, and how much of it this process may use; no torch."""

import os
import platform
from pathlib import Path

# A core may have so many threads, and a machine at least the second number.
MOST_PER_CORE, MOST_AT_LEAST = 4, 64


def usable_cores() -> int:
    """How many cores (as the system counts them) this process may compute with."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def most_threads() -> int:
    """With more threads than that a process brings this machine down, or cannot start them."""
    return max(MOST_AT_LEAST, MOST_PER_CORE * usable_cores())


def processor_model() -> str:
    """What the system calls the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"
