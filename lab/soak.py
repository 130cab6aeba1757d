"""Many worker processes on one database, killed and frozen by a seed; then every claim about the
result is checked.

python -m lab.soak --backend postgresql --trials 2000 --workers 16 --kills 200 --freezes 50
--seed 1
"""

import argparse
import os
import platform
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path

from lab.soak_check import Evidence, faults, gather, tally
from lab.soak_crowd import FREEZE_SECONDS, QUIET_SECONDS, TIMES, Crowd, Harm, HarmKind, WorkerPlace
from lab.soak_reading import Reader, Watcher
from lab.soak_study import BACKENDS, CHECKPOINT_SECONDS, create, database, forkserver
from lab.soak_worker import BREAKS, Job
from search.spec.document import Document

# A run that takes longer than so many for each trial, and a minute, hangs.
SECONDS_PER_TRIAL = 2.0


@dataclass(frozen=True)
class Soak:
    """What one run does."""

    backend: str
    trials: int
    workers: int
    kills: int
    freezes: int
    pauses: int
    seed: int
    seconds_per_epoch: float
    # At least so long lies between two checkpoints that are written.
    checkpoint_seconds: float = 0.0
    broken: str | None = None

    def plan(self) -> list[Harm]:
        """All harm, in order; a function of the seed and the counts. A quarter of the kills damages
        a checkpoint.
        """
        chance = random.Random(f"{self.seed}:{self.backend}")
        damages = self.kills // 4
        counts: dict[HarmKind, int] = {
            "kill": self.kills - damages,
            "damage": damages,
            "freeze": self.freezes,
            "pause": self.pauses,
        }
        return sorted(
            (
                Harm(
                    chance.uniform(0.02, 0.9),
                    chance.uniform(0.0, 0.3),
                    kind,
                    chance.randrange(self.workers),
                    chance.uniform(*FREEZE_SECONDS),
                )
                for kind, count in counts.items()
                for _ in range(count)
            ),
            key=lambda harm: harm.at,
        )


def soak(options: Soak, url: str, folder: Path) -> list[str]:
    """Runs it on an empty database, prints what came of it, and returns every violation."""
    journals, checkpoint_root = folder / "journals", folder / "checkpoints"
    journals.mkdir()
    # This pruner stops about half of the trials.
    pruner: Document = {"name": "asha", "reduction_factor": 2}
    document: Document = {
        "study": {
            "name": "soak",
            "trials": options.trials,
            "seed": options.seed,
            "sampler": "random",
            "pruner": pruner,
        },
        "data": {"dataset": "synthetic"},
    }
    spec = create(url, document)
    reader, crowd = Reader(url, "soak"), _crowd(options, url, folder)
    started = time.monotonic()
    with Watcher(reader) as watcher:
        try:
            _harm(options, crowd, watcher)
        finally:
            crowd.end()
    watcher.look()
    seconds = time.monotonic() - started
    evidence = replace(
        gather(reader, spec, journals, checkpoint_root, options.checkpoint_seconds),
        seen=watcher.seen,
        thaws_ms=crowd.thaws_ms,
        quiet_ms=round(1000 * QUIET_SECONDS),
    )
    reader.close()
    _tell(options, crowd, watcher, evidence, seconds)
    counted = crowd.faults + watcher.faults
    found = [*(f"{count} times: {fault}" for fault, count in counted.items()), *faults(evidence)]
    if sum(crowd.done.values()) < len(options.plan()):
        found.append("the study was over before all harm was done")
    return found


def _crowd(options: Soak, url: str, folder: Path) -> Crowd:
    job = Job(
        url,
        "soak",
        folder / "checkpoints",
        folder / "journals",
        TIMES,
        options.seconds_per_epoch,
        options.checkpoint_seconds,
        options.broken,
    )
    slots = [
        WorkerPlace(replace(job, journal=job.journal / f"{number}.jsonl"))
        for number in range(options.workers)
    ]
    return Crowd(slots, forkserver())


def _tell(
    options: Soak, crowd: Crowd, watcher: Watcher, evidence: Evidence, seconds: float
) -> None:
    print("  harm:", *(f"{count} {kind}s" for kind, count in crowd.done.items()), sep="  ")
    for what, counts in tally(evidence).items():
        print(f"  {what}:", *(f"{count} {name}" for name, count in counts.most_common()), sep="  ")
    print(f"  {watcher.looks} looks, {seconds:.0f} s, {options.trials / seconds:.1f} trials/s")


def _harm(options: Soak, crowd: Crowd, watcher: Watcher) -> None:
    """Keeps the workers going and does the planned harm, until all have ended."""
    for slot in crowd.slots:
        slot.start(crowd.context)
    due: list[tuple[float, Harm]] = []
    plan = options.plan()
    patience_seconds = 60 + SECONDS_PER_TRIAL * options.trials
    hangs_at = time.monotonic() + patience_seconds
    while crowd.tend(watcher.ended):
        now = time.monotonic()
        while plan and plan[0].at * options.trials <= watcher.finished:
            due.append((now + plan[0].delay_seconds, plan.pop(0)))
        pause_is_due = any(harm.kind == "pause" for _, harm in due)
        for entry in [entry for entry in due if entry[0] <= now]:
            if crowd.ready_for(entry[1], pause_is_due) and crowd.do(entry[1]):
                due.remove(entry)
        if now > hangs_at:
            crowd.faults[
                f"only {watcher.finished} trials are finished after {patience_seconds:.0f} s"
            ] += 1
            return
        time.sleep(0.01)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where a claim does not hold."""
    given = _parser().parse_args(arguments)
    # Servers and workers end with this process.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("optuna", "sqlalchemy", "psycopg", "pymysql")
    )
    print(
        f"seed {seed}; Python {platform.python_version()}, {packages}; {os.cpu_count()} cores",
        flush=True,
    )
    backends = given.backend or ("postgresql", "sqlite")
    every = given.checkpoint_seconds or CHECKPOINT_SECONDS
    # All of them run, whatever the first ones have found.
    held = [
        _holds(
            Soak(
                backend=backend,
                trials=given.trials,
                workers=given.workers,
                kills=given.kills,
                freezes=given.freezes,
                pauses=given.pauses,
                seed=seed,
                seconds_per_epoch=given.epoch_seconds,
                checkpoint_seconds=checkpoint_seconds,
                broken=given.broken,
            )
        )
        for backend, checkpoint_seconds in product(backends, every)
    ]
    return int(not all(held))


def _holds(options: Soak) -> bool:
    """Runs it on a new database, and prints whether every claim holds."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    said = (
        f"{options.trials} trials, {options.workers} workers, a checkpoint every"
        f" {options.checkpoint_seconds:g} s"
    )
    print(f"{options.backend}: {said}", flush=True)
    with database(options.backend, folder, options.workers) as url:
        found = soak(options, url, folder)
    for fault in found[:20]:
        print(f"  VIOLATION: {fault}")
    if found:
        print(
            f"  FAIL: {len(found)} violations; journals and checkpoints are in {folder}",
            flush=True,
        )
        return False
    print("  PASS", flush=True)
    shutil.rmtree(folder)
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.soak", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument(
        "--backend", choices=BACKENDS, action="append", help="more than once for several in turn"
    )
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--freezes", type=int, default=50, help="each longer than the lease")
    parser.add_argument(
        "--pauses", type=int, default=5, help="all workers frozen at once, longer than the lease"
    )
    parser.add_argument(
        "--epoch-seconds",
        type=float,
        default=0.005,
        help="that an epoch of the made-up objective takes",
    )
    parser.add_argument(
        "--checkpoint-seconds",
        type=float,
        action="append",
        help=(
            "between two checkpoints; more than once for several in turn (default: after each"
            " epoch, and none)"
        ),
    )
    parser.add_argument("--seed", type=int, help="of the harm (default: a random one)")
    parser.add_argument(
        "--break",
        dest="broken",
        choices=BREAKS,
        help="take this guard away: the soak must then fail",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
