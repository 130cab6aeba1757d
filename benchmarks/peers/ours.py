"""hypersearch on a fresh database, for so many trials or so long."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import tomli_w

from benchmarks.peers.contest import DOCUMENT, Answer
from lab.checkout import environment
from search.analysis.comparison import compare_study
from storage.engine import open_database


def search(
    seed: int,
    trials: int,
    seconds: float | None,
    device: str,
    workers: str,
    threads: str,
) -> Answer:
    """`hypersearch run`, as a user would; `seconds` count from the first trial's start."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "contest.toml"
        spec.write_text(tomli_w.dumps(DOCUMENT))
        url = f"sqlite:///{folder}/contest.db"
        command = [
            sys.executable,
            "-P",
            "-m",
            "hypersearch",
            "run",
            str(spec),
            "-q",
            "--storage",
            url,
        ]
        command += [
            "--seed",
            str(seed),
            "--trials",
            str(trials),
            "--workers",
            workers,
            "--threads",
            threads,
        ]
        command += ["--device", device]
        command += [] if seconds is None else ["--timeout", f"{round(seconds)}s"]
        subprocess.run(
            command, cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL
        )
        with open_database(url) as database:
            found = compare_study(database, "contest")
    if found.incumbent is None:
        raise RuntimeError(f"no trial was complete within {seconds} s")
    return Answer(
        json.loads(json.dumps(found.incumbent.parameters)),
        found.incumbent.value or 0.0,
        found.record.complete,
        found.record.pruned,
        sum(len(trial.epochs) for trial in found.trials),
        f"{workers} of {threads} threads",
    )
