"""The command line in processes of their own that are there at once: forked of one that has loaded
PyTorch.

How a process starts by itself is shown by tests that start one: test_interrupts, test_streams,
test_wheel.
"""

import io
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

# A command may take so long.
SECONDS = 300


def server() -> ForkServerContext:
    """What forks: a session has one server, which loads what it is told before its first
    process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lab.soak_worker", "tests.preloaded"])
    return context


class Started:
    """A command that runs, with the methods of subprocess.Popen that tests use.

    >>> process = Started(folder, "worker", "--forever")   # doctest: +SKIP
    >>> process.send_signal(signal.SIGTERM)
    >>> process.communicate(timeout=60)
    ('', '')
    """

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self._place = TemporaryDirectory()
        self._files = [Path(self._place.name, name) for name in ("stdout", "stderr")]
        variables = dict(os.environ) | environment
        self._process = server().Process(
            target=_run, args=(folder, arguments, variables, self._files)
        )
        self._process.start()
        self._said: tuple[str, str] | None = None

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = SECONDS) -> tuple[str, str]:
        """Standard output and error, once it has ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("hypersearch", timeout)
        if self._said is None:
            stdout, stderr = (file.read_text(encoding="utf-8") for file in self._files)
            self._said = (stdout, stderr)
            self._place.cleanup()
        return self._said


def hypersearch(
    folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """How `hypersearch ARGUMENTS` ended in that folder and with these variables beside the test's
    own.
    """
    process = Started(folder, *arguments, **environment)
    try:
        said = process.communicate()
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()
    return subprocess.CompletedProcess(["hypersearch", *arguments], process.returncode or 0, *said)


def _run(
    folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str], files: list[Path]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    opened = [
        os.open(os.devnull, os.O_RDONLY),
        *(os.open(file, os.O_WRONLY | os.O_CREAT) for file in files),
    ]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), encoding="utf-8", line_buffering=True
    )
    sys.argv = ["hypersearch", *arguments]
    from search.cli.main import main

    main()
