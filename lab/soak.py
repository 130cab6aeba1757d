"""Many worker processes on one database, killed and frozen by a seed; then every claim about the
result is checked.

python -m lab.soak --backend postgresql --trials 2000 --workers 16 --kills 200 --freezes 50
--seed 1
"""

import argparse
import multiprocessing
import os
import platform
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import product
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

import optuna

from lab.servers import MariaDBServer, PostgreSQLServer
from lab.soak_check import Reader, Watcher, faults, gather, tally
from lab.soak_worker import BREAKS, Job, numbered, read_journal, work_on
from search.spec.document import Document
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.studies.joining import join
from storage.engine import open_for_work
from storage.leases.lease import LeaseTimes

# Shorter than the product's, in about its proportions. Nothing hangs here: a process that was
# frozen goes on.
TIMES = LeaseTimes(lease=3.0, renewal=0.75, watch=2.0, hung=30.0)
# A frozen worker stays so for long enough to be taken over.
FREEZE_SECONDS = (TIMES.lease + TIMES.watch + 1.0, TIMES.lease + TIMES.watch + 3.0)
# The first value has a checkpoint after each epoch; the second is longer than a trial: only trials
# that are handed back have one.
CHECKPOINT_SECONDS = (0.0, 3600.0)
# After all were frozen at once, whoever lives gives signs of life again.
QUIET_SECONDS = TIMES.lease
# A run that takes longer than so many for each trial, and a minute, hangs.
SECONDS_PER_TRIAL = 2.0
BACKENDS = ("postgresql", "sqlite", "mariadb")

HarmKind = Literal["kill", "damage", "freeze", "pause"]


@dataclass(frozen=True)
class Harm:
    """One thing that is done to a worker, `delay_seconds` after that share of the budget is
    finished.
    """

    at: float
    delay_seconds: float
    # "damage": killed, with a changed checkpoint; "pause": all workers frozen at once
    kind: HarmKind
    victim: int
    freeze_seconds: float


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


@dataclass
class WorkerPlace:
    """The place of one worker: the process in it, which is started again when it was killed."""

    job: Job
    lives: int = 0
    process: ForkServerProcess | None = None
    thaws_at: float | None = None
    was_killed: bool = False

    def start(self, context: multiprocessing.context.ForkServerContext) -> None:
        """A new process."""
        self.process = context.Process(
            target=work_on, args=(numbered(self.job, self.lives),), daemon=True
        )
        self.lives += 1
        self.was_killed = False
        self.process.start()

    def send(self, number: signal.Signals) -> None:
        """A signal to the process."""
        assert self.process is not None
        assert self.process.pid is not None
        # The process may just have ended by itself.
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    @property
    def has_begun(self) -> bool:
        """Whether it has found its database; one frozen before may rightly say that there is
        none.
        """
        return numbered(self.job, self.lives - 1).journal.exists()

    @property
    def can_be_harmed(self) -> bool:
        """Whether it works now."""
        return (
            self.process is not None
            and self.process.is_alive()
            and self.thaws_at is None
            and not self.was_killed
        )


@dataclass
class Crowd:
    """All workers, and what has been done to them."""

    slots: Sequence[WorkerPlace]
    context: multiprocessing.context.ForkServerContext
    done: dict[HarmKind, int] = field(
        default_factory=lambda: dict.fromkeys(("kill", "damage", "freeze", "pause"), 0)
    )
    thaws_ms: list[int] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    # Until this moment of the monotonic clock whoever was thawed last gives a sign of life.
    quiet_until: float = 0.0
    # Until this moment what a pause may cost is counted.
    judged_until: float = 0.0

    def tend(self, ended: bool) -> bool:
        """Starts the dead again and lets the frozen go on; whether any is left."""
        now = time.monotonic()
        for slot in self.slots:
            if slot.thaws_at is not None and now >= slot.thaws_at:
                slot.send(signal.SIGCONT)
                slot.thaws_at = None
                self.quiet_until = now + QUIET_SECONDS
            if slot.process is None or slot.process.is_alive():
                continue
            code = slot.process.exitcode
            if code and not slot.was_killed:
                self.faults[f"a worker has ended by itself with exit code {code}: see its log"] += 1
            slot.process = None
            if not ended and code != 0:
                slot.start(self.context)
        return any(slot.process is not None for slot in self.slots)

    def ready_for(self, harm: Harm, pause_is_due: bool) -> bool:
        """Whether it can be done now: a pause stands alone, so that what the living lose after it
        tells something.
        """
        if harm.kind == "pause":
            settled = all(slot.has_begun and slot.thaws_at is None for slot in self.slots)
            return settled and time.monotonic() >= self.quiet_until
        return harm.kind != "freeze" or not (pause_is_due or time.monotonic() < self.judged_until)

    def do(self, harm: Harm) -> bool:
        """Does it to the first worker from the victim on; `False` where it cannot be done yet."""
        if harm.kind == "pause":
            self._pause(harm.freeze_seconds)
            return True
        order = [*self.slots[harm.victim :], *self.slots[: harm.victim]]
        victim = next((slot for slot in order if slot.can_be_harmed), None)
        if victim is None or (harm.kind == "freeze" and not victim.has_begun):
            return False
        if harm.kind == "freeze":
            victim.send(signal.SIGSTOP)
            victim.thaws_at = time.monotonic() + harm.freeze_seconds
        else:
            if harm.kind == "damage":
                victim.send(signal.SIGSTOP)
                damage(victim)
            victim.was_killed = True
            victim.send(signal.SIGKILL)
        self.done[harm.kind] += 1
        return True

    def _pause(self, seconds: float) -> None:
        frozen = [slot for slot in self.slots if slot.can_be_harmed]
        for slot in frozen:
            slot.send(signal.SIGSTOP)
        time.sleep(seconds)
        self.thaws_ms.append(round(1000 * time.time()))
        for slot in frozen:
            slot.send(signal.SIGCONT)
        self.judged_until = self.quiet_until = time.monotonic() + QUIET_SECONDS
        self.done["pause"] += 1

    def end(self) -> None:
        """Kills whatever is left."""
        for slot in self.slots:
            if slot.process is not None:
                slot.was_killed = True
                slot.send(signal.SIGKILL)
                slot.process.join()


def damage(slot: WorkerPlace) -> None:
    """Flips the last bit of the epoch's number in the last checkpoint of the trial that the worker
    holds.

    The content stays one that can be read, of the same run: nothing but its hash tells.
    """
    lines = (
        read_journal(path) if (path := numbered(slot.job, slot.lives - 1).journal).exists() else []
    )
    if not lines or lines[-1]["what"] != "started":
        return
    for saved in slot.job.checkpoint_root.glob(
        f"*/*/{lines[-1]['number']}/{lines[-1]['attempt']}-*.ckpt"
    ):
        content = bytearray(saved.read_bytes())
        # The content ends as ..."epoch": 5}.
        content[-2] ^= 1
        saved.write_bytes(content)


@contextmanager
def database(backend: str, folder: Path, workers: int = 16) -> Iterator[str]:
    """The URL of a new database, on a server of its own."""
    if backend == "sqlite":
        yield f"sqlite:///{folder}/soak.db"
        return
    servers = folder / backend
    server = (
        PostgreSQLServer(servers, 20 + 3 * workers)
        if backend == "postgresql"
        else MariaDBServer(servers)
    )
    with server:
        yield server.database("soak")


def forkserver() -> multiprocessing.context.ForkServerContext:
    """Starts processes that have all modules loaded already, and nothing else: forks of a server
    that does no work.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lab.soak_worker"])
    return context


def create(url: str, document: Document) -> StudySpec:
    """Makes the study that the document describes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened, rdb = open_for_work(url)
    with opened:
        return join(opened, rdb, Request(document, {}, "soak")).spec


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
    reader, context = Reader(url, "soak"), forkserver()
    job = Job(
        url,
        "soak",
        checkpoint_root,
        journals,
        TIMES,
        options.seconds_per_epoch,
        options.checkpoint_seconds,
        options.broken,
    )
    slots = [
        WorkerPlace(replace(job, journal=journals / f"{number}.jsonl"))
        for number in range(options.workers)
    ]
    crowd = Crowd(slots, context)
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
    print("  harm:", *(f"{count} {kind}s" for kind, count in crowd.done.items()), sep="  ")
    for what, counts in tally(evidence).items():
        print(f"  {what}:", *(f"{count} {name}" for name, count in counts.most_common()), sep="  ")
    print(f"  {watcher.looks} looks, {seconds:.0f} s, {options.trials / seconds:.1f} trials/s")
    counted = crowd.faults + watcher.faults
    found = [*(f"{count} times: {fault}" for fault, count in counted.items()), *faults(evidence)]
    if sum(crowd.done.values()) < len(options.plan()):
        found.append("the study was over before all harm was done")
    return found


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
    given = parser.parse_args(arguments)
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
    failed = False
    backends = given.backend or ("postgresql", "sqlite")
    for backend, checkpoint_seconds in product(
        backends, given.checkpoint_seconds or CHECKPOINT_SECONDS
    ):
        options = Soak(
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
        folder = Path(tempfile.mkdtemp(prefix="soak-"))
        said = (
            f"{given.trials} trials, {given.workers} workers, a checkpoint every"
            f" {checkpoint_seconds:g} s"
        )
        print(f"{backend}: {said}", flush=True)
        with database(backend, folder, given.workers) as url:
            found = soak(options, url, folder)
        for fault in found[:20]:
            print(f"  VIOLATION: {fault}")
        if found:
            print(
                f"  FAIL: {len(found)} violations; journals and checkpoints are in {folder}",
                flush=True,
            )
        else:
            print("  PASS", flush=True)
            shutil.rmtree(folder)
        failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
