"""The command line in processes of their own that are there at once: forked of one that has loaded
PyTorch.

How a process starts by itself is shown by tests that start one: test_interrupts, test_streams,
test_wheel.
"""

import io
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

SECONDS = 300  # that a command may take


def server() -> ForkServerContext:
    """What forks: a session has one server, which loads what it is told before its first
    process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lab.soak_worker", "tests.preloaded"])
    return context


def hypersearch(
    folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """How `hypersearch ARGUMENTS` ended in that folder and with these variables beside the test's
    own.
    """
    with TemporaryDirectory() as place:
        files = [Path(place, name) for name in ("stdout", "stderr")]
        process = server().Process(
            target=_run, args=(folder, arguments, dict(os.environ) | environment, files)
        )
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        stdout, stderr = (file.read_text(encoding="utf-8") for file in files)
        return subprocess.CompletedProcess(
            ["hypersearch", *arguments], process.exitcode or 0, stdout, stderr
        )


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
