"""What a worker is readied with before it holds a trial."""

import subprocess
import sys

import pytest

READIED = """
import sys
from dataclasses import replace
from pathlib import Path
import psutil, torch
from objectives.errors import ProcessSpent
from objectives.hyperparameters import Adam, Hyperparameters
from search.machine.this_machine import Files, Machine
from search.worker.objective import build_objective
from search.spec.reading import parse_spec
from storage.computing import Computing

def keeps_freed_memory():
    before = psutil.Process().memory_info().rss
    torch.ones(2**26)
    return psutil.Process().memory_info().rss - before > 2**27

folder = Path(sys.argv[1])
spec = parse_spec({"data": {"dataset": "digits"}})
machine = Machine(folder, folder, folder, Files(str(folder), folder), device="cpu", threads=1)
objective = build_objective(spec, machine)
ready = set(sys.modules)
training = objective.train(Hyperparameters(Adam(1e-3)), 0, objective.computing, None, lambda: None)
next(training)
training.checkpoint()
print(*sorted(set(sys.modules) - ready))
print(keeps_freed_memory())
objective.check()
spent, cannot_capture = ProcessSpent(""), ProcessSpent("", captures=False)
off = machine.after(cannot_capture)
for each in (machine, machine.after(spent), off, off.after(spent)):
    training = build_objective(spec, each).train(
        Hyperparameters(Adam(1e-3)), 0, Computing(1), None, lambda: None
    )
    print(training.path)
build_objective(spec, replace(machine, own_process=True))
print(keeps_freed_memory())
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a process of its own has said of itself, line by line."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        READIED,
        str(tmp_path_factory.mktemp("readied")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_first_epoch_of_a_trial_imports_next_to_nothing(said: list[str]) -> None:
    assert len(said[0].split()) <= 10, said[0]


def test_freed_memory_is_kept_in_a_process_of_our_own_alone(said: list[str]) -> None:
    assert (said[1], said[-1]) == ("False", "True")


def test_steps_are_not_captured_once_a_process_before_could_not(said: list[str]) -> None:
    assert said[2:-1] == [
        "eager: cpu",
        "eager: cpu",
        "eager: capture is off",
        "eager: capture is off",
    ]
