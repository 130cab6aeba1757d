"""What `hypersearch.run` does to the process that it runs in: nothing that is left when it
returns.
"""

import asyncio
import gc
import io
import locale
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import optuna
import pytest
import torch
from PIL import Image, ImageFile

import hypersearch
from search.engines.teams import WorkFailed
from search.engines.turns import RunInsideRun, Turns
from search.notebook_calls import WAITS
from search.spec.document import Document, Toml
from search.spec.reading import parse_spec
from search.spec.study_spec import StudySpec

SAID_BY_A_RUN = "trial 0 "
# Whatever is stopped is no incumbent, of which pictures would be drawn.
UNREACHABLE: Toml = {"name": "threshold", "lower": 1.0, "audit": 0.0}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def digits(name: str, seed: int = 0, trials: int = 1) -> StudySpec:
    """Small networks with dropout; PyTorch's global generator draws their weights."""
    document: Document = {
        "study": {
            "name": name,
            "seed": seed,
            "trials": trials,
            "sampler": "random",
            "pruner": UNREACHABLE,
        },
        "data": {"dataset": "digits"},
        "training": {"epochs": 3},
        "model": {"channels": [4], "hidden_units": 8},
        "space": {
            "batch_size": 32,
            "dropout": 0.3,
            "augmentation": "none",
            "normalization": "none",
        },
    }
    return parse_spec(document, "test")


def made_up(name: str, trials: int = 1) -> StudySpec:
    document: Document = {
        "study": {"name": name, "trials": trials},
        "data": {"dataset": "synthetic"},
    }
    return parse_spec(document, "test")


def losses(spec: StudySpec, storage: str) -> list[list[tuple[float, float]]]:
    found = hypersearch.run(spec, storage=storage, device="cpu", threads=1)
    return [
        [(epoch.train_loss, epoch.validation_loss) for epoch in trial.epochs]
        for trial in sorted(found.trials, key=lambda trial: trial.number)
    ]


def test_runs_in_two_threads_find_what_they_find_one_after_the_other(tmp_path: Path) -> None:
    specs = [digits("one", seed=1), digits("two", seed=2)]

    def all_losses(name: str, threads: int) -> list[list[list[tuple[float, float]]]]:
        with ThreadPoolExecutor(threads) as pool:
            return list(
                pool.map(
                    lambda spec: losses(spec, f"sqlite:///{tmp_path}/{name}-{spec.name}.db"), specs
                )
            )

    assert all_losses("together", threads=2) == all_losses("in turn", threads=1)


def test_a_second_run_waits_until_the_first_returns_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYPERSEARCH_SYNTHETIC_SECONDS", "0.02")
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(hypersearch.run, made_up(name), storage=f"sqlite:///{tmp_path}/a.db")
            for name in "ab"
        ]
        assert [run.result().record.finished for run in both] == [1, 1]
    waited, *trials = capfd.readouterr().err.splitlines()
    assert waited == WAITS
    assert [line.startswith("trial 0 complete") for line in trials] == [True, True]


def test_a_run_inside_a_run_is_refused_and_the_outer_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = f"sqlite:///{tmp_path}/a.db"
    refusals: list[str] = []

    class Nosy(io.StringIO):
        """What a caller shows its lines on may call us again."""

        def write(self, text: str) -> int:
            with pytest.raises(RunInsideRun) as refused:
                hypersearch.run(made_up("inner"), storage=storage)
            refusals.append(str(refused.value))
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Nosy())
    assert hypersearch.run(made_up("outer"), storage=storage).record.finished == 1
    expected = (
        "hypersearch.run was called inside another one in the same thread: call it when that"
        " returns"
    )
    assert set(refusals) == {expected}
    assert hypersearch.run(made_up("after"), storage=storage).record.finished == 1


def test_a_turn_ends_however_the_run_does() -> None:
    turns = Turns()
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), turns.taken(lambda: None):
            raise error
    with turns.taken(lambda: pytest.fail("nobody is inside")):
        pass


# --- the process afterwards


class Settings(NamedTuple):
    """What a process has once, however many threads."""

    environment: dict[str, str]
    folder: str
    garbage: tuple[bool, tuple[int, int, int]]
    warnings: list[object]
    signals: list[object]
    threads: set[threading.Thread]
    streams: tuple[object, object, object]
    socket_timeout: float | None
    locale: str
    # The states are those of random, NumPy and PyTorch.
    numbers: tuple[object, ...]
    numpy_errors: object
    log_levels: dict[str, int]
    log_handlers: list[logging.Handler]
    torch_threads: tuple[int, int]
    precisions: tuple[str, ...]
    algorithms: tuple[bool, ...]
    gradients: tuple[bool, torch.dtype]
    images: tuple[int | None, bool]
    pictures: dict[str, object]


def settings() -> Settings:
    return Settings(
        {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        str(Path.cwd()),
        (gc.isenabled(), gc.get_threshold()),
        list(warnings.filters),
        [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        set(threading.enumerate()),
        (sys.stdout, sys.stderr, sys.excepthook),
        socket.getdefaulttimeout(),
        locale.setlocale(locale.LC_ALL),
        (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()),
        np.geterr(),
        {
            name: logging.getLogger(name).level
            for name in ("", "optuna", "alembic", "sqlalchemy", "PIL", "matplotlib")
        },
        list(logging.root.handlers),
        (torch.get_num_threads(), torch.get_num_interop_threads()),
        (torch.backends.cuda.matmul.fp32_precision, torch.get_float32_matmul_precision()),
        (
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
            torch.are_deterministic_algorithms_enabled(),
        ),
        (torch.is_grad_enabled(), torch.get_default_dtype()),
        (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES),
        dict(matplotlib.rcParams),
    )


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A caller whose settings are not what they are by default, nor what training wants."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12345)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    before = (
        torch.get_num_threads(),
        optuna.logging.get_verbosity(),
        logging.getLogger("alembic").level,
    )
    handler = signal.signal(signal.SIGTERM, lambda number, frame: None)
    thresholds = gc.get_threshold()
    torch.set_num_threads(3)
    torch.set_float32_matmul_precision("high")
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    logging.getLogger("alembic").setLevel(logging.INFO)
    gc.set_threshold(701)
    yield settings()
    gc.set_threshold(*thresholds)
    logging.getLogger("alembic").setLevel(before[2])
    optuna.logging.set_verbosity(before[1])
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(before[0])
    signal.signal(signal.SIGTERM, handler)


def test_a_run_leaves_the_process_as_it_was(tmp_path: Path, callers: Settings) -> None:
    spec = digits("done")
    assert (
        hypersearch.run(spec, storage=f"sqlite:///{tmp_path}/a.db", threads=1).record.finished == 1
    )
    assert settings() == callers


def test_a_run_that_is_interrupted_leaves_the_process_as_it_was(
    tmp_path: Path, callers: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressed(io.StringIO):
        """Ctrl-C comes when the first trial has ended."""

        def write(self, text: str) -> int:
            if text.startswith(SAID_BY_A_RUN):
                signal.raise_signal(signal.SIGINT)
            return super().write(text)

    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", Pressed())
        with pytest.raises(KeyboardInterrupt):
            hypersearch.run(
                digits("long", trials=3), storage=f"sqlite:///{tmp_path}/a.db", threads=1
            )
    assert settings() == callers


def test_a_run_works_inside_a_running_event_loop(tmp_path: Path) -> None:
    async def cell() -> int:
        return hypersearch.run(
            made_up("cell"), storage=f"sqlite:///{tmp_path}/a.db"
        ).record.finished

    assert asyncio.run(cell()) == 1


KEEPS_MEMORY = """
import sys
import psutil
import torch
import hypersearch

hypersearch.run(hypersearch.load_spec(sys.argv[1]), storage="sqlite:///a.db", threads=1)
before = psutil.Process().memory_info().rss
torch.ones(2**26)
print(psutil.Process().memory_info().rss - before > 2**27)
"""


@pytest.mark.long
def test_the_callers_process_gives_freed_memory_back_as_before(tmp_path: Path) -> None:
    """In a process of its own: what tests have had of memory before would tell in this one."""
    file = tmp_path / "small.toml"
    file.write_text(
        '[study]\ntrials = 1\n[training]\nepochs = 1\n[data]\ndataset = "digits"\n[model]\nchannels'
        " = [4]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", KEEPS_MEMORY, str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["False"]), done.stderr


def test_a_run_that_fails_leaves_the_process_as_it_was(tmp_path: Path, callers: Settings) -> None:
    weights_of_2_tb = replace(digits("broken").model, channels=(16, 32, 2_000_000_000))
    with pytest.raises(WorkFailed, match="ended after 3 failed trials"):
        hypersearch.run(
            replace(digits("broken"), model=weights_of_2_tb),
            storage=f"sqlite:///{tmp_path}/a.db",
            threads=1,
        )
    assert settings() == callers


def test_reading_leaves_the_process_as_it_was(tmp_path: Path, callers: Settings) -> None:
    storage = f"sqlite:///{tmp_path}/a.db"
    hypersearch.run(made_up("there"), storage=storage)
    (tmp_path / "s.toml").write_text('[data]\ndataset = "digits"\n')
    assert settings() == callers
    hypersearch.load_spec(tmp_path / "s.toml")
    assert hypersearch.compare("there", storage=storage).importances is None
    assert settings() == callers
