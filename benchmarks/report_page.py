"""How large the report of a study is and how long it takes, as a process, on SQLite.

$ python -m benchmarks.report_page [--finished 40 10000] [--repeats 3]
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from sqlalchemy import create_engine

from benchmarks.figures import machine, spread
from benchmarks.large_study import REAL, multiply
from benchmarks.storage import EPOCHS, finish_one, our_trials
from lab.checkout import ROOT, environment

MEGABYTE = 1e6


def make(url: str, folder: Path, finished: int) -> None:
    """A study of so many finished trials; of more than REAL most are copies."""
    with our_trials(url, "random", folder) as (events, *_):
        for _ in range(min(REAL, finished)):
            finish_one(events)
    if finished > REAL:
        engine = create_engine(url)
        multiply(engine, finished // REAL)
        engine.dispose()


def written(url: str, page: Path) -> tuple[float, float]:
    """Seconds of a process that writes the page: by the clock, and of the processor."""
    command = [sys.executable, "-P", "-m", "hypersearch", "report", "s", "-q", "-o", str(page)]
    before = _processor_seconds()
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment(HYPERSEARCH_STORAGE=url), check=True)
    return time.perf_counter() - started, _processor_seconds() - before


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Prints the machine and a row for each number of trials."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--finished", type=int, nargs="+", default=[40, 10_000], help="trials")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna warns that the option group=True is experimental.
    warnings.simplefilter("ignore", ExperimentalWarning)
    print(machine("matplotlib", "jinja2", "sqlalchemy"))
    for finished in arguments.finished:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            url, page = f"sqlite:///{folder}/s.db", folder / "s.html"
            make(url, folder, finished)
            clock, processor = zip(
                *(written(url, page) for _ in range(arguments.repeats)), strict=True
            )
            print(
                f"{finished} trials of 8 parameters and {EPOCHS} epochs:"
                f" {page.stat().st_size / MEGABYTE:.2f} MB, {spread(clock, 1)} s,"
                f" of the processor {spread(processor, 1)} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
