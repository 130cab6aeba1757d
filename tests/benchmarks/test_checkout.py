"""Benchmarks measure the checkout that they stand in, on the device that they are told, with what
is beside it.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks import curves, default_study, refusals, wall_time
from benchmarks.peers import __main__ as peers
from benchmarks.peers import ours
from lab.checkout import ROOT, environment

# Each of these starts a process of Python.
Started = Callable[[], object]


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Started], tuple[str, list[str]]]:
    """`told(start)`: PYTHONPATH and the arguments of the process that `start` starts, which does
    nothing.
    """
    script, file = tmp_path / "python", tmp_path / "told"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$@" >"{file}"\nexit 9\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))

    def run(start: Started) -> tuple[str, list[str]]:
        with pytest.raises(
            (subprocess.CalledProcessError, RuntimeError),
            match=r"exit (code|status) 9|not refused: 9",
        ):
            start()
        path, *arguments = file.read_text().splitlines()
        return path, arguments

    return run


def starts(folder: Path) -> dict[str, Started]:
    """Each way in which a benchmark starts Python."""
    return {
        "wall_time": partial(wall_time.run_once, folder / "a.toml", 1, "1", "cuda:1", folder),
        "ours": partial(ours.search, 0, 1, None, "cuda:1", "1", "auto"),
        "peers": partial(peers.run, "optuna-example", 0, 1, None, "cuda:1"),
        "default_study": partial(default_study.study, 0, folder, "synthetic", 1, 1, []),
        "curves": partial(curves.record, folder, 1, 1, 1, folder / "curves"),
        "refusals": partial(refusals.refusal_seconds, b"", []),
    }


@pytest.mark.parametrize("name", starts(Path()))
def test_what_pythonpath_names_is_found_by_the_processes_of_a_benchmark_too(
    name: str,
    told: Callable[[Started], tuple[str, list[str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the checkout: it may be all that a machine has of the packages that the checkout
    needs.
    """
    monkeypatch.setenv("PYTHONPATH", "/packages:/more")
    path, _ = told(starts(tmp_path)[name])
    assert path == f"{ROOT}:/packages:/more"


@pytest.mark.parametrize("name", ["wall_time", "ours", "peers"])
def test_a_search_is_told_its_device(
    name: str, told: Callable[[Started], tuple[str, list[str]]], tmp_path: Path
) -> None:
    _, arguments = told(starts(tmp_path)[name])
    assert arguments[arguments.index("--device") + 1] == "cuda:1"


@pytest.mark.parametrize("before", [None, ""])
def test_without_a_pythonpath_the_checkout_stands_alone(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty entry would be the working folder."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("PYTHONPATH", before)
    assert environment(A="1") == os.environ | {"PYTHONPATH": str(ROOT), "A": "1"}
