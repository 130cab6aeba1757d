"""Workers on a Ray cluster, hired through a process of its own: nothing that Ray prints, sets or
catches is this one's.
"""

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO

from search.engines.cluster.messages import Answer, Hello, Orders, read_answer, written
from search.engines.cluster.placement import (
    ClusterRefused,
    check_address,
    check_installed,
)
from search.engines.processes import STOP_SECONDS, TOLD_WHY
from search.worker.events import Said, Tell

# Beyond what the workers have to hand back their trials: Ray's own end.
GRACE_SECONDS = 15.0
LOOK_SECONDS = 0.5


class RemoteCrew:
    """Workers that Ray places, as `search.engines.processes.Crew` has them on this machine.

    They end when this process does, also when it is killed: the pipe to the one that speaks with
    Ray closes, and that one ends them in order.

    >>> crew.connect()                             # doctest: +SKIP
    >>> with crew.working("mnist-5k"):             # doctest: +SKIP
    ...     while crew.is_working(): time.sleep(1)
    """

    def __init__(self, hello: Hello, orders: Orders, tell: Tell) -> None:
        self._hello = hello
        self._orders = orders
        self._tell = tell
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._over = False
        self.last_words = ""
        self.exit_codes: list[int] = []

    def connect(self) -> None:
        """Finds the cluster. Raises ClusterRefused."""
        check_installed()
        if self._hello.address is not None:
            check_address(self._hello.address)
        # The option -P keeps the working folder from being searched for modules, whatever it holds.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "search.engines.cluster.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # Ctrl-C comes to this process, which tells it.
            start_new_session=True,
        )
        threading.Thread(
            target=_read, args=(self._process.stdout, self._answers), daemon=True
        ).start()
        try:
            self._write(written(self._hello))
            found = self._answers.get()
        except BaseException:
            self.close()
            raise
        if found is None:
            self.close()
            raise ClusterRefused.by_ray(self._hello.address, "its process has died at the start")
        if found.refused is not None:
            self.close()
            raise ClusterRefused(found.refused, found.exit_code)
        self._tell(Said(found.ready or ""))

    @contextmanager
    def working(self, *studies: str) -> Iterator[None]:
        """Inside, the workers work on these studies, or on all. Leaving stops them: each hands its
        trial back.
        """
        if self._process is None:
            self.connect()
        try:
            self._write(written(replace(self._orders, studies=studies)))
            yield
        finally:
            self.close()

    def is_working(self) -> bool:
        """Whether any worker is there, or is to come."""
        while not self._over:
            try:
                found = self._answers.get_nowait()
            except queue.Empty:
                break
            if found is None:
                self.last_words = "the process that speaks with Ray has died"
                self.exit_codes = self.exit_codes or [1]
                self._over = True
            elif found.said is not None:
                self._tell(Said(found.said))
            elif found.over is not None:
                self.last_words, self.exit_codes = found.over, list(found.exit_codes)
                self._over = True
        return not self._over

    @property
    def told(self) -> int | None:
        """The exit code with which each worker has said why it cannot work; `None` where they did
        not agree on one.
        """
        codes = set(self.exit_codes)
        return codes.pop() if len(codes) == 1 and codes <= set(TOLD_WHY) else None

    def wait(self) -> None:
        """Until no worker is left."""
        while self.is_working():
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """Ends the workers in order, and leaves the cluster."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS + GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _write(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # Where it has died, reading from it tells.
        with suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()


def _read(stream: IO[str], answers: "queue.SimpleQueue[Answer | None]") -> None:
    for line in stream:
        answers.put(read_answer(line))
    answers.put(None)
