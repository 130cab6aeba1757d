"""The wall time of a study as a user runs it, and where it goes: training, storage and sampler, start."""

import argparse
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
import psutil
import torch

ROOT = Path(__file__).parents[1]


def run_once(spec: Path) -> tuple[float, float, float, float]:
    """Wall seconds of one run, of its epochs, of storage and sampler between them, and peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "a.db"
        command = [sys.executable, "-m", "hypersearch", "run", str(spec), "-q", "--storage", f"sqlite:///{database}"]
        started, peak_bytes = time.perf_counter(), 0
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                peak_bytes = max(peak_bytes, watched.memory_info().rss)
                time.sleep(0.2)
        wall = time.perf_counter() - started
        with sqlite3.connect(database) as connection:
            (epochs,) = connection.execute("SELECT sum(seconds) FROM hypersearch_epoch").fetchone()
            (trials,) = connection.execute(
                "SELECT sum(ended_ms - started_ms) / 1000.0 FROM hypersearch_attempt"
            ).fetchone()
    return wall, epochs, trials - epochs, peak_bytes / 1e6


def main() -> None:
    """Prints medians and the spread over the repeats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, default=ROOT / "examples" / "demo.toml")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"optuna {optuna.__version__}, {arguments.spec.name}, n = {arguments.repeats}"
    )
    runs = [run_once(arguments.spec.resolve()) for _ in range(arguments.repeats)]
    for label, values in zip(
        ("wall s", "training s", "storage and sampler s", "peak memory MB"), zip(*runs, strict=True), strict=True
    ):
        print(f"{label:24} median {statistics.median(values):8.1f}  ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
