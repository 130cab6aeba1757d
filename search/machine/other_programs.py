"""How much of the processor other programs than ours use, of the cores that this process may
use.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class ProcessorSeconds:
    """Of all usable cores together, since some moment of the past."""

    passed: float
    # Other containers count as busy and, on a virtual machine, what others took from it.
    busy: float


def processor_seconds() -> ProcessorSeconds:
    """As the system counts them so far."""
    cores = psutil.cpu_times(percpu=True)
    usable = (
        sorted(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else list(range(len(cores)))
    )
    # If it is not so, a core is switched off, and nobody says which.
    if usable[-1] < len(cores):
        cores = [cores[each] for each in usable]
    passed = idle = 0.0
    for core in cores:
        times: dict[str, float] = core._asdict()
        # A guest's time is in that of the user as well.
        passed += sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
        idle += times["idle"] + times.get("iowait", 0.0)
    return ProcessorSeconds(passed, passed - idle)


def seconds_of(pid: int) -> float:
    """The processor time of one process so far, without that of its children; 0 of one that is
    gone.
    """
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def own_seconds() -> float:
    """The processor time of this process so far."""
    return seconds_of(os.getpid())


def seconds_of_children(pid: int) -> float:
    """The processor time so far of the processes that one process has started and that are alive,
    each by itself.
    """
    try:
        children = psutil.Process(pid).children()
    except psutil.Error:
        return 0.0
    return sum(seconds_of(child.pid) for child in children)


class OtherPrograms:
    """What they use of the processor while it is counted; `ours` is the processor time of our
    processes so far.

    >>> others = OtherPrograms()
    >>> with others.counted():         # doctest: +SKIP
    ...     train()
    >>> others.percent                 # doctest: +SKIP
    3.4
    """

    def __init__(
        self,
        ours: Callable[[], float] = own_seconds,
        read: Callable[[], ProcessorSeconds] = processor_seconds,
    ) -> None:
        self._ours = ours
        self._read = read
        self._passed = self._theirs = 0.0

    @property
    def core_seconds(self) -> float:
        """For how long it was counted, times the usable cores."""
        return self._passed

    @property
    def percent(self) -> float:
        """Of all that was counted; 0 where nothing was."""
        return 100.0 * max(0.0, self._theirs) / self._passed if self._passed > 0 else 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Inside, what they use counts."""
        before, ours = self._read(), self._ours()
        yield
        now = self._read()
        self._passed += now.passed - before.passed
        self._theirs += now.busy - before.busy - (self._ours() - ours)
