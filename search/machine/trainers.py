"""Processes that train at the same time, to find out how fast; they import PyTorch, this one does
not.
"""

import subprocess
import sys
import threading
from contextlib import suppress
from types import TracebackType

import psutil

from search.machine.division import Room, Share, room_for
from search.machine.measuring import USUAL_STEPS, Steps
from search.machine.other_programs import OtherPrograms, own_seconds, seconds_of

# So much training is counted each time: many short rounds tell more than few long ones.
SECONDS = 0.25
# Trainers are ended after so long, whatever they do.
LONGEST_SECONDS = 180.0


def available_bytes() -> int:
    """Memory that processes can have."""
    return psutil.virtual_memory().available


class Trainers:
    """So many processes of `python -m objectives.throughput` as were asked for; inside its `with`.

    >>> with Trainers("cpu") as trainers:               # doctest: +SKIP
    ...     trainers.images_per_second(Share(workers=2, threads=1))
    3540.2
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._children: list[_Child] = []
        self._others = OtherPrograms(self._processor_seconds)
        self._is_over = False
        self._watch = threading.Timer(LONGEST_SECONDS, self._kill)

    def __enter__(self) -> "Trainers":
        self._watch.daemon = True
        self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.cancel()
        self._watch.join()
        self._kill()
        for child in self._children:
            child.close()

    def start(self, count: int) -> None:
        """Until there are so many; fewer where they do not start."""
        known = len(self._children)
        if self._is_over:
            return
        # The system may allow no more processes.
        with suppress(OSError):
            for number in range(known, count):
                self._children.append(_Child(self._device, number))
        for child in self._children[known:]:
            child.await_start()
        self._bury()

    def images_per_second(self, share: Share, steps: Steps = USUAL_STEPS) -> float | None:
        """Of so many of them at once, together; `None` where there are not so many, or one died."""
        chosen = self._children[: share.workers]
        if len(chosen) < share.workers:
            return None
        with self._others.counted():
            for child in chosen:
                child.ask(share.threads, steps)
            speeds = [child.answer() for child in chosen]
        self._bury()
        return None if None in speeds else sum(speed for speed in speeds if speed is not None)

    def room(self) -> Room:
        """For how many workers, by what the first has taken; it has trained."""
        if not self._children:
            return Room(1)
        first = self._children[0]
        return room_for(
            len(self._children),
            first.memory_bytes(),
            available_bytes(),
            0 if first.device == "cpu" else first.devices,
            first.device_bytes,
            first.free_device_bytes,
        )

    @property
    def device(self) -> str:
        """What they train on, as PyTorch calls it."""
        return self._children[0].device if self._children else self._device

    def busy_percent(self) -> float:
        """What other programs used of the processor while these trained."""
        return self._others.percent

    def _processor_seconds(self) -> float:
        return own_seconds() + sum(seconds_of(child.process.pid) for child in self._children)

    def _bury(self) -> None:
        for child in self._children:
            if child.is_dead:
                child.close()
        self._children = [child for child in self._children if not child.is_dead]

    def _kill(self) -> None:
        self._is_over = True
        for child in list(self._children):
            child.process.kill()


class _Child:
    def __init__(self, device: str, number: int) -> None:
        # The option -P keeps the working folder from being searched for modules, whatever it holds.
        command = [
            sys.executable,
            "-P",
            "-m",
            "objectives.throughput",
            "--device",
            device,
            "--process",
            str(number),
        ]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ctrl-C comes to this process alone, which ends them.
            start_new_session=True,
        )
        self.is_dead = False
        self.device, self.devices = device, 1
        self.device_bytes, self.free_device_bytes = 0, 0

    def await_start(self) -> None:
        if words := self._read():
            self.device, self.devices = words[0], int(words[1])

    def ask(self, threads: int, steps: Steps) -> None:
        assert self.process.stdin is not None
        try:
            print(threads, steps.batch, steps.piece, SECONDS, file=self.process.stdin, flush=True)
        except OSError:
            self.is_dead = True

    def answer(self) -> float | None:
        if not (words := self._read()):
            return None
        self.device_bytes, self.free_device_bytes = int(words[1]), int(words[2])
        return float(words[0])

    def _read(self) -> list[str]:
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        self.is_dead = not words
        return words

    def memory_bytes(self) -> int:
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def close(self) -> None:
        self.process.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        # What the process was asked last may still be in the buffer.
        with suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
