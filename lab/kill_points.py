"""A worker that is killed at every step of a trial, and an answer that is lost there; then every
claim is checked.

python -m lab.kill_points --backend sqlite --backend postgresql --times 20 --seed 1
"""

import argparse
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

from sqlalchemy import Engine, event, make_url

from lab.answer_thief import AnswerThief
from lab.soak_check import faults, gather
from lab.soak_reading import Reader
from lab.soak_study import BACKENDS, CHECKPOINT_SECONDS, create, database, forkserver
from lab.soak_worker import BREAKS, Job, work_on
from objectives.checkpoint import CheckpointFolder
from storage.leases.lease import LeaseTimes
from storage.leases.taking import TrialLeases

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Moment = Literal["before", "commit", "after", "unanswered", "answer lost"]

TRIALS, EPOCHS = 3, 3
# A beat comes in about every second epoch.
TIMES = LeaseTimes(lease=3.0, renewal=0.05, watch=1.0, hung=30.0)
SECONDS_PER_EPOCH = 0.02
# A process is killed within this time after it has begun to commit.
COMMIT_SECONDS = 0.003
RUN_SECONDS = 60.0
PARALLEL = 2


@dataclass(frozen=True)
class Operation:
    """A step of a trial: the method that does it, and how often a worker comes there."""

    owner: type
    method: str
    times: int
    # The worker goes on with a trial that another one has left.
    in_hand: bool = False
    stop_after: int | None = None


OPERATIONS = {
    "create": Operation(TrialLeases, "_create", TRIALS),
    "take over": Operation(TrialLeases, "_take_over", 1, in_hand=True),
    "resume": Operation(TrialLeases, "resume_at", 1, in_hand=True),
    "parameters": Operation(TrialLeases, "record_parameters", TRIALS),
    "beat": Operation(TrialLeases, "beat", 4),
    "save": Operation(CheckpointFolder, "save", TRIALS * EPOCHS),
    "report": Operation(TrialLeases, "report", TRIALS * EPOCHS),
    "finish": Operation(TrialLeases, "finish", TRIALS),
    "hand back": Operation(TrialLeases, "hand_back", 1, stop_after=3),
    "save at hand back": Operation(CheckpointFolder, "save", 1, stop_after=3),
}
EACH_EPOCH, NEVER = CHECKPOINT_SECONDS


@dataclass(frozen=True)
class Point:
    """Where a worker dies, or an answer is lost: the n-th time that it comes to a step."""

    operation: str
    moment: Moment
    nth: int
    # So long after the start of a COMMIT comes the kill.
    delay_seconds: float = 0.0
    # At least so long lies between two checkpoints that are written.
    checkpoint_seconds: float = EACH_EPOCH

    def __str__(self) -> str:
        return (
            f"{self.operation}, {self.moment}, {self.nth}, a checkpoint every"
            f" {self.checkpoint_seconds:g} s"
        )


def points(backend: str, chance: random.Random, turn: int = 0) -> list[Point]:
    """Every operation at every moment once, half of them with a checkpoint after each epoch, in
    turns.
    """
    moments: tuple[Moment, ...] = ("before", "commit", "after")
    if backend != "sqlite":
        moments += ("unanswered", "answer lost")
    plan = [
        Point(name, moment, chance.randint(1, operation.times), chance.uniform(0.0, COMMIT_SECONDS))
        for name, operation in OPERATIONS.items()
        for moment in moments
        # A file has no COMMIT.
        if operation.owner is not CheckpointFolder or moment in ("before", "after")
    ]
    written = {"save": EACH_EPOCH, "save at hand back": NEVER}
    return [
        replace(
            point,
            checkpoint_seconds=written.get(
                point.operation, CHECKPOINT_SECONDS[(number + turn) % 2]
            ),
        )
        for number, point in enumerate(plan)
    ]


def die() -> None:
    """As a power cut, for this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def work_until(job: Job, point: Point) -> None:
    """A worker process that comes to the point and no further; where an answer is lost there, it
    goes on.
    """
    url = make_url(job.url)
    proxied = point.moment in ("unanswered", "answer lost")
    with AnswerThief(url.port or 0, die) if proxied else nullcontext() as thief:
        _lay(point, thief)
        work_on(
            job
            if thief is None
            else replace(job, url=url.set(port=thief.port).render_as_string(False))
        )


def _lay(point: Point, thief: AnswerThief | None) -> None:
    """Lays the trap into this process's copy of the product."""
    operation = OPERATIONS[point.operation]
    original = getattr(operation.owner, operation.method)
    # The keeper of the lease has transactions of its own, in another thread.
    armed = threading.local()
    came: list[int] = []

    def on_commit(connection: object) -> None:
        if not getattr(armed, "here", False):
            return
        armed.here = False
        if point.moment == "commit":
            threading.Timer(point.delay_seconds, die).start()
        elif thief is not None:
            thief.arm("answer lost" if point.moment == "answer lost" else "unanswered")

    def trapped(original: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        def method(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            came.append(len(came) + 1)
            is_here = came[-1] == point.nth
            if is_here and point.moment == "before":
                die()
            armed.here = is_here
            result = original(*args, **kwargs)
            armed.here = False
            if is_here and point.moment == "commit":
                # The kill is on its way.
                time.sleep(1.0)
            if is_here and point.moment == "after":
                die()
            return result

        return method

    setattr(operation.owner, operation.method, trapped(original))
    event.listen(Engine, "commit", on_commit)


# A process's start() asks for every child's exit code, and of two threads that ask one gets none.
_CHILDREN = threading.Lock()


def _start(process: BaseProcess) -> None:
    with _CHILDREN:
        process.start()


def _exit_code(process: BaseProcess) -> int | None:
    """`None` after RUN_SECONDS."""
    wait([process.sentinel], RUN_SECONDS)
    with _CHILDREN:
        return process.exitcode


def run(name: str, point: Point, url: str, folder: Path, broken: str | None = None) -> list[str]:
    """One study, with one worker that dies at the point, and two that finish the study; returns
    every violation.
    """
    journals = folder / name
    journals.mkdir()
    spec = create(
        url,
        {
            "study": {"name": name, "trials": TRIALS, "sampler": "random", "pruner": "none"},
            "data": {"dataset": "synthetic"},
            "training": {"epochs": EPOCHS},
        },
    )
    job = Job(
        url,
        name,
        folder / f"{name}-checkpoints",
        journals,
        TIMES,
        SECONDS_PER_EPOCH,
        point.checkpoint_seconds,
        broken,
    )
    found = [*_dies(job, point), *_is_rescued(job)]
    reader = Reader(url, name)
    evidence = gather(reader, spec, journals, job.checkpoint_root, point.checkpoint_seconds)
    reader.close()
    lost = sum(
        row["outcome"] == "lost" for trial in evidence.trials.values() for row in trial.attempts
    )
    if point.moment == "answer lost" and lost > OPERATIONS[point.operation].in_hand:
        found.append("an answer that was lost has cost a worker its trial")
    return [f"{name} ({point}): {fault}" for fault in [*found, *faults(evidence)]]


def _dies(job: Job, point: Point) -> Iterator[str]:
    """A worker that dies at the point, after one that leaves a trial where there must be one in
    hand.
    """
    context, operation = forkserver(), OPERATIONS[point.operation]
    if operation.in_hand:
        leaver = context.Process(
            target=work_until,
            args=(replace(job, journal=job.journal / "leaver.jsonl"), Point("report", "after", 2)),
        )
        _start(leaver)
        _exit_code(leaver)
    journal = job.journal / "victim.jsonl"
    victim = context.Process(
        target=work_until,
        args=(replace(job, journal=journal, stop_after=operation.stop_after), point),
    )
    _start(victim)
    expected = 0 if point.moment == "answer lost" else -signal.SIGKILL
    if (ended := _exit_code(victim)) != expected:
        yield f"the worker ended with {ended}, not {expected}"
    _end(victim)


def _is_rescued(job: Job) -> Iterator[str]:
    """Two workers that finish the study."""
    context = forkserver()
    rescuers = [
        context.Process(
            target=work_on, args=(replace(job, journal=job.journal / f"rescuer-{number}.jsonl"),)
        )
        for number in range(2)
    ]
    for rescuer in rescuers:
        _start(rescuer)
    for rescuer in rescuers:
        if (ended := _exit_code(rescuer)) != 0:
            yield f"a worker that came after ended with {ended}"
    for rescuer in rescuers:
        _end(rescuer)


def _end(process: BaseProcess) -> None:
    with _CHILDREN:
        process.kill()


def run_all(
    backend: str, times: int, seed: int, folder: Path, broken: str | None = None
) -> tuple[int, list[str]]:
    """Every point so many times, in two databases at once; how many runs, and every violation."""
    chance = random.Random(f"{seed}:{backend}")
    plan = [point for turn in range(times) for point in points(backend, chance, turn)]
    lanes = [plan[start::PARALLEL] for start in range(PARALLEL)]

    def work_off(lane: int) -> list[str]:
        below = folder / str(lane)
        below.mkdir()
        with database(backend, below) as url:
            return [
                fault
                for number, point in enumerate(lanes[lane])
                for fault in run(f"run-{lane}-{number}", point, url, below, broken)
            ]

    with ThreadPoolExecutor(PARALLEL) as pool:
        return len(plan), [
            fault for found in pool.map(work_off, range(PARALLEL)) for fault in found
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.kill_points", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument(
        "--backend", choices=BACKENDS, action="append", help="more than once for several in turn"
    )
    parser.add_argument("--times", type=int, default=1, help="each point")
    parser.add_argument("--seed", type=int, help="of the moments (default: a random one)")
    parser.add_argument(
        "--break", dest="broken", choices=BREAKS, help="take this guard away: it must then fail"
    )
    given = parser.parse_args(arguments)
    # Servers and workers end with this process.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    failed = False
    for backend in given.backend or ("sqlite", "postgresql"):
        folder = Path(tempfile.mkdtemp(prefix="kill-points-"))
        started = time.monotonic()
        count, found = run_all(backend, given.times, seed, folder, given.broken)
        print(f"{backend}: {count} runs, {time.monotonic() - started:.0f} s")
        for fault in found[:20]:
            print(f"  VIOLATION: {fault}")
        print(
            f"  FAIL: {len(found)} violations; journals are in {folder}" if found else "  PASS",
            flush=True,
        )
        if not found:
            shutil.rmtree(folder)
        failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
