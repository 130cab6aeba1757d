"""Kills and freezes the workers of a confirmation in which trainings fail, and checks that its
answer is as if nothing had happened; then of two that cannot be finished, as a slot always fails.

    $ python -m lab.follow_ups [--backend postgresql] [--seeds 20] [--workers 8] [--kills 20]
        [--freezes 5]

Each worker is a process of its own on made-up curves. The answer is compared byte for byte with
that of one undisturbed worker on SQLite, in which nothing fails.
"""

import argparse
import json
import multiprocessing
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from sqlalchemy import select

from lab.checkout import environment
from lab.failing_worker import REASON, Failures, work_and_fail
from lab.servers import PostgreSQLServer
from lab.soak_crowd import FREEZE_SECONDS, TIMES
from lab.soak_study import forkserver
from lab.soak_worker import Job
from storage.engine import open_database
from storage.schema import attempt, optuna_trials, reading, slot_trial
from storage.slots import FAILURES_CAP, read_slots
from storage.studies import find_study

SPEC = """
[study]
name = "s"
trials = 12
sampler = "random"
[data]
dataset = "synthetic"
[training]
epochs = 4
[[trial]]
optimizer = "sgd"
"sgd.learning_rate" = 0.2
"""
# The three best configurations and the baseline are judged.
JUDGED = 4
EPOCH_SECONDS = 0.1
LOOK_SECONDS = 0.1
LIMIT_SECONDS = 900.0


@dataclass(frozen=True)
class Harm:
    """What is done to the workers of one follow-up."""

    workers: int
    kills: int
    freezes: int
    seed: int


@dataclass(frozen=True)
class Done:
    """What was done to them before it had ended."""

    kills: int
    freezes: int


@dataclass(frozen=True)
class Record:
    """What the database says of a follow-up in the end, by slot."""

    end_reason: str | None
    slots: int
    finished: Counter[int]
    made_to_fail: Counter[int]
    # These trainings were given up, as their workers died in them.
    given_up: Counter[int]
    # All others that failed gave these reasons.
    failed: Sequence[str]
    # The readings of all studies have these numbers.
    readings: Sequence[int]


@dataclass(frozen=True)
class Lab:
    """A user with a study in a database, whose follow-ups are worked on from elsewhere."""

    folder: Path
    url: str
    # This command asks for the answer.
    ask: Sequence[str]

    def run(self, *arguments: str) -> str:
        """Standard output of a command that ends well."""
        command = [sys.executable, "-P", "-m", "hypersearch", *arguments]
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(HYPERSEARCH_STORAGE=self.url),
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            said = f"{' '.join(arguments)}: exit code {ended.returncode}: {ended.stderr}"
            raise RuntimeError(said)
        return ended.stdout

    def finished(self, study: str) -> int | None:
        """How many slots of the follow-up are finished; `None` once it has ended."""
        with open_database(self.url) as database:
            stored = find_study(database, study)
            slots = read_slots(database, stored.study_id)
        ended = stored.state == "ended"
        return None if ended else sum(each.state in ("complete", "pruned") for each in slots)

    def disturb(self, study: str, by_slot: Mapping[int, int], harm: Harm, slots: int) -> Done:
        """Lets workers work until the follow-up has ended; harm comes while `slots` of its slots
        are trained.
        """
        chance = random.Random(f"{harm.seed}:{study}")
        planned = ["kill"] * harm.kills + ["freeze"] * harm.freezes
        chance.shuffle(planned)
        moments = sorted(chance.uniform(0.02, 0.85) * slots for _ in planned)
        done = Counter[str]()
        job = Job(self.url, study, self.folder / "checkpoints", Path(), TIMES, EPOCH_SECONDS)
        failures = Failures(self.url, study, by_slot)
        context, workers, frozen = forkserver(), list[ForkServerProcess](), dict[int, float]()
        deadline = time.monotonic() + LIMIT_SECONDS
        try:
            while (finished := self.finished(study)) is not None and time.monotonic() < deadline:
                frozen = _thawed(frozen)
                workers = [worker for worker in workers if worker.is_alive()]
                while len(workers) < harm.workers:
                    workers.append(_start(context, job, failures, self.folder / "journals"))
                time.sleep(LOOK_SECONDS)
                awake = [each for each in workers if each.is_alive() and each.pid not in frozen]
                if not awake or not planned or moments[0] > finished:
                    continue
                victim, what = chance.choice(awake), planned.pop()
                moments.pop(0)
                done[what] += 1
                assert victim.pid is not None
                if what == "kill":
                    victim.kill()
                else:
                    _send(victim.pid, signal.SIGSTOP)
                    frozen[victim.pid] = time.monotonic() + chance.uniform(*FREEZE_SECONDS)
        finally:
            for pid in frozen:
                _send(pid, signal.SIGCONT)
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()
        return Done(done["kill"], done["freeze"])

    def record(self, study: str) -> Record:
        """What is left of the follow-up."""
        with open_database(self.url) as database:
            stored = find_study(database, study)
            slots = len(read_slots(database, stored.study_id))
            ends = (
                select(slot_trial.c.slot, attempt.c.outcome, attempt.c.reason)
                .join(optuna_trials, optuna_trials.c.trial_id == slot_trial.c.trial_id)
                .join(attempt, attempt.c.trial_id == slot_trial.c.trial_id)
                .where(optuna_trials.c.study_id == stored.study_id)
            )
            with database.transactions.read() as connection:
                found = connection.execute(ends).all()
                readings = list(connection.scalars(select(reading.c.number)))
        rows = [(row.slot, row.outcome, row.reason or "") for row in found]
        failed = [(slot, reason) for slot, outcome, reason in rows if outcome == "failed"]
        made = [(slot, reason) for slot, reason in failed if REASON in reason]
        given_up = [(slot, reason) for slot, reason in failed if reason.startswith("given up")]
        return Record(
            stored.end_reason,
            slots,
            Counter(slot for slot, outcome, _ in rows if outcome in ("complete", "pruned")),
            Counter(slot for slot, _ in made),
            Counter(slot for slot, _ in given_up),
            [
                reason
                for slot, reason in failed
                # Whatever runs when a follow-up ends early fails with it.
                if (slot, reason) not in made + given_up and reason != "the study ended"
            ],
            sorted(readings),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was done and found; 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--backend", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--freezes", type=int, default=5, help="each longer than the lease")
    parser.add_argument("--seed", type=int, help="of the harm (default: a random one)")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    print(f"{given.backend}, {given.workers} workers, seed {seed}", flush=True)
    harm = Harm(given.workers, given.kills, given.freezes, seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/disturbed.db"
        if given.backend == "postgresql":
            data = folder / "postgresql"
            data.mkdir()
            folder.chmod(0o755)
            server = PostgreSQLServer(data, 20 + 3 * given.workers)
            url = stack.enter_context(server).database("disturbed")
        found = soak(folder, url, given.seeds, harm)
    for fault in found:
        print(f"  VIOLATION: {fault}")
    print("FAIL" if found else "PASS")
    return int(bool(found))


def soak(folder: Path, url: str, seeds: int, harm: Harm) -> list[str]:
    """Disturbs three confirmations of one study in an empty database, and returns every
    violation.
    """
    (folder / "s.toml").write_text(SPEC)
    (folder / "journals").mkdir()
    ask = ("confirm", "s", "--seeds", str(seeds), "--yes", "--json", "-q")
    quiet = Lab(folder, f"sqlite:///{folder}/undisturbed.db", ask)
    lab = Lab(folder, url, ask)
    for each in (quiet, lab):
        each.run("run", "s.toml", "-q")
    judged, whole = JUDGED * seeds, (JUDGED + 1) * seeds
    some = some_fail(whole)
    lab.run(*ask, "--enqueue")
    found = _whole(lab, some, harm, quiet.run(*ask), whole)
    less = Harm(harm.workers, harm.kills // 4, harm.freezes // 4, harm.seed)
    # The last one of the stage that judges, after which the test split would be read, and the last
    # one of the stage that reads it.
    for number, always, readings in ((2, judged - 1, [1]), (3, whole - 1, [1, 2])):
        lab.run(*ask, "--new", "--enqueue")
        found += _given_up(lab, f"s:confirm:{number}", some, always, less, readings)
    return found


def some_fail(slots: int) -> dict[int, int]:
    """How many trials of each slot fail: of every fourth one, and of every ninth two.

    >>> some_fail(10)
    {1: 1, 5: 1, 8: 2, 9: 1}
    """
    by_slot = dict.fromkeys(range(1, slots, 4), 1) | dict.fromkeys(range(8, slots, 9), 2)
    return dict(sorted(by_slot.items()))


def _whole(
    lab: Lab, by_slot: Mapping[int, int], harm: Harm, expected: str, slots: int
) -> list[str]:
    """Of a confirmation that ends as if nothing had failed, and nobody had been killed."""
    done = lab.disturb("s:confirm:1", by_slot, harm, slots)
    record = lab.record("s:confirm:1")
    _say("s:confirm:1", record, done)
    found = _of_all(record, by_slot)
    if lab.run(*lab.ask) != expected:
        found.append("the answer is another one than that of an undisturbed worker")
    if record.end_reason != "trials":
        found.append(f"it has ended: {record.end_reason}")
    if record.finished != Counter(range(slots)):
        wrong = {each for each in range(slots) if record.finished[each] != 1}
        found.append(f"slots that are not finished exactly once: {wrong}")
    if record.readings != [1]:
        found.append(f"the readings are {record.readings}")
    if (done.kills, done.freezes) != (harm.kills, harm.freezes):
        found.append("it was over before all harm was done")
    return found


def _given_up(
    lab: Lab,
    study: str,
    by_slot: Mapping[int, int],
    always: int,
    harm: Harm,
    readings: Sequence[int],
) -> list[str]:
    """Of a confirmation one of whose slots fails whenever it is given out."""
    by_slot = {**by_slot, always: FAILURES_CAP + 1}
    done = lab.disturb(study, by_slot, harm, always)
    record = lab.record(study)
    _say(study, record, done)
    found = _of_all(record, by_slot | {always: FAILURES_CAP - record.given_up[always]})
    if record.end_reason != "failures":
        found.append(f"{study} has ended: {record.end_reason}")
    if record.finished[always] or max(record.finished.values()) > 1:
        found.append(f"slots of {study} that are finished too often: {record.finished}")
    if record.readings != readings:
        found.append(f"the readings are {record.readings}")
    answer = json.loads(lab.run(*lab.ask))
    said = answer["study"], answer["end_reason"], answer["trainings"]
    if said != (study, "failures", record.finished.total()):
        found.append(f"the answer of {study} is one of {said}")
    return found


def _of_all(record: Record, by_slot: Mapping[int, int]) -> list[str]:
    """What holds of slots that are finished, and of those that never are."""
    found = [f"a trial has failed: {reason}" for reason in record.failed]
    for slot in range(record.slots):
        most, made = by_slot.get(slot, 0), record.made_to_fail[slot]
        if made > most or (record.finished[slot] and made != most):
            found.append(f"{made} trials of slot {slot} were made to fail, not {most}")
        if most >= FAILURES_CAP > made:
            found.append(f"slot {slot} was given out {made} times")
    return found


def _say(study: str, record: Record, done: Done) -> None:
    failed, given_up = record.made_to_fail.total(), record.given_up.total()
    print(
        f"  {study}: {record.finished.total()} of {record.slots} slots finished, {failed} trials"
        f" failed, {given_up} given up; {done.kills} kills, {done.freezes} freezes; ended:"
        f" {record.end_reason}",
        flush=True,
    )


def _start(
    context: multiprocessing.context.ForkServerContext,
    job: Job,
    failures: Failures,
    journals: Path,
) -> ForkServerProcess:
    own = Job(
        job.url,
        job.study,
        job.checkpoint_root,
        journals / f"{secrets.token_hex(8)}.jsonl",
        job.times,
        job.seconds_per_epoch,
    )
    process = context.Process(target=work_and_fail, args=(own, failures), daemon=True)
    process.start()
    return process


def _thawed(frozen: Mapping[int, float]) -> dict[int, float]:
    """Those that stay frozen; the others go on."""
    now = time.monotonic()
    for pid, until in frozen.items():
        if until <= now:
            _send(pid, signal.SIGCONT)
    return {pid: until for pid, until in frozen.items() if until > now}


def _send(pid: int, number: signal.Signals) -> None:
    # The process may just have ended by itself.
    with suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    sys.exit(main())
