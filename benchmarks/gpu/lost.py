"""Phase 11: a study whose process loses its GPU to an assertion that fails in a kernel, as a user
runs it.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import tomli_w

from benchmarks.gpu.lab import Lab, Result
from lab.checkout import environment
from search.spec.document import Document

TRIALS = 4
STUDY: Document = {
    "study": {"name": "lost", "trials": TRIALS, "pruner": "none", "sampler": "random"},
    "training": {"epochs": 4},
}
# Python runs a module of that name in each process that it starts. The GPU is lost once, in the
# second epoch that a process trains.
STAND_IN = """
import os
from contextlib import suppress

import objectives.training

whole = objectives.training.Training.__next__


def next_epoch(training):
    measurement = whole(training)
    if measurement.epoch == 2:
        with suppress(FileNotFoundError):
            os.unlink(os.environ["LOSES_ITS_GPU"])
            import torch

            torch.zeros(1, device="cuda")[torch.tensor([7], device="cuda")]
            torch.cuda.synchronize()
    return measurement


objectives.training.Training.__next__ = next_epoch
"""


def measure(lab: Lab) -> Iterator[Result]:
    """With one worker, whose command is the process that is lost, and with two."""
    for workers in (1, 2):
        name = f"{workers} worker" + "s" * (workers > 1)
        yield lab.attempt(name, partial(_lost, name, workers, lab))


def _lost(name: str, workers: int, lab: Lab) -> Result:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "sitecustomize.py").write_text(STAND_IN)
        ticket = folder / "ticket"
        ticket.touch()
        spec = folder / "lost.toml"
        spec.write_text(tomli_w.dumps(STUDY))
        command = [sys.executable, "-P", "-m", "hypersearch", "run", str(spec), "-q"]
        command += ["--workers", str(workers), "--device", lab.device]
        command += ["--storage", f"sqlite:///{folder}/a.db"]
        around = environment(LOSES_ITS_GPU=str(ticket))
        around["PYTHONPATH"] = os.pathsep.join([made, around["PYTHONPATH"]])
        ended = subprocess.run(
            command, cwd=folder, env=around, capture_output=True, text=True, check=False
        )
        print(ended.stdout, ended.stderr, sep="\n", flush=True)
        with closing(sqlite3.connect(folder / "a.db")) as connection:
            outcomes = Counter(
                outcome
                for (outcome,) in connection.execute("SELECT outcome FROM hypersearch_attempt")
            )
            reasons = [
                reason
                for (reason,) in connection.execute(
                    "SELECT reason FROM hypersearch_attempt WHERE outcome = 'lost'"
                )
            ]
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        said = "the GPU was not lost" if ticket.exists() else f"; {'; '.join(reasons)}"
        return Result(
            name,
            f"exit code {ended.returncode}, attempts: {counts}{said[:300]}",
            {"exit_code": float(ended.returncode)} | {key: float(n) for key, n in outcomes.items()},
        )
