"""Phase 9: the default study as a user runs it, and where its wall time goes."""

import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tomli_w

from benchmarks.gpu import predictions
from benchmarks.gpu.lab import Lab, Result
from benchmarks.peers.contest import cache_root
from benchmarks.wall_time import Spent, run_once
from objectives.data.cache import open_searchable
from objectives.data.config import DataConfig
from search.analysis.comparison import Comparison, compare_study
from search.spec.document import Document
from storage.engine import open_database

TRIALS = 40
# A study begins with at least so many left.
LEAST_SECONDS = 25.0


def measure(lab: Lab) -> Iterator[Result]:
    """With one worker and with four."""
    # Decoding, which a machine does once, is not what is measured.
    if not lab.is_quick:
        root = cache_root()
        open_searchable(DataConfig("mnist-5k"), root, root, lambda done, total: None)
    for workers in (1,) if lab.is_quick else (1, 4):
        if not lab.is_quick and lab.seconds_left() < LEAST_SECONDS:
            yield Result(_of(workers), "not measured: no time was left")
            continue
        yield from _study(workers, lab)


def _study(workers: int, lab: Lab) -> Iterator[Result]:
    document: Document = {"study": {"name": "default", "trials": TRIALS}}
    if lab.is_quick:
        document = {"study": {"name": "default", "trials": 2}, "data": {"dataset": "synthetic"}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = folder / "default.toml"
        spec.write_text(tomli_w.dumps(document))
        with _watched(folder / "gpu.csv") as samples:
            spent = run_once(spec, workers, "1", lab.device, folder)
        with open_database(f"sqlite:///{folder}/a.db") as database:
            found = compare_study(database, "default")
        yield from said(_of(workers), spent, found, samples, lab.on_cuda)


def _of(workers: int) -> str:
    return f"{workers} worker" + "s" * (workers > 1)


def said(
    name: str, spent: Spent, found: Comparison, samples: list[float], on_cuda: bool
) -> Iterator[Result]:
    """The lines of one study; `samples` are percentages of time in which the GPU did anything."""
    after_start = spent.wall - spent.start
    epochs = sum(len(trial.epochs) for trial in found.trials)
    best = (
        float("nan")
        if found.incumbent is None or found.incumbent.value is None
        else found.incumbent.value
    )
    yield Result(
        name,
        f"{after_start:.1f} s after the start, {len(found.trials)} trials, {epochs} epochs, best"
        f" {best:.4f}",
        {
            "after_start_seconds": after_start,
            "trials": float(len(found.trials)),
            "epochs": epochs,
            "best": best,
        },
        predictions.STUDY_SECONDS if on_cuda and name.startswith("1 ") else None,
    )
    figures = {"start_seconds": spent.start, "wall_seconds": spent.wall}
    yield Result(
        f"{name}, start",
        f"{spent.start:.1f} s of {spent.wall:.1f} s of wall time",
        figures,
        predictions.START_SECONDS if on_cuda else None,
    )
    parts = {
        "training_seconds": spent.training,
        "inside_trials_seconds": spent.inside_trials,
        "between_trials_seconds": spent.between_trials,
        "tail_seconds": spent.tail,
    }
    share = 100 * spent.training / after_start
    busy = f", GPU busy {statistics.mean(samples):.0f} % of the wall time" if samples else ""
    yield Result(
        f"{name}, where it goes",
        ", ".join(
            f"{key.removesuffix('_seconds').replace('_', ' ')} {value:.1f} s"
            for key, value in parts.items()
        )
        + f"; in epochs {share:.0f} % of the time after the start{busy}",
        parts
        | {"epochs_percent": share}
        | ({"gpu_busy_percent": statistics.mean(samples)} if samples else {}),
    )


@contextmanager
def _watched(file: Path) -> Iterator[list[float]]:
    """The list is filled when the `with` ends: percentages, four a second; empty without
    nvidia-smi.
    """
    samples: list[float] = []
    if shutil.which("nvidia-smi") is None:
        yield samples
        return
    command = [
        "nvidia-smi",
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
        "-lms",
        "250",
    ]
    with (
        file.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL) as watching,
    ):
        try:
            yield samples
        finally:
            watching.terminate()
    samples += [
        float(line) for line in file.read_text().split() if line.replace(".", "", 1).isdigit()
    ]
