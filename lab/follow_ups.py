"""Kills and freezes the workers of a confirmation, and checks that its answer is as if nothing had
happened.

    $ python -m lab.follow_ups [--backend postgresql] [--seeds 20] [--workers 8] [--kills 20]
        [--freezes 5]

Each worker is a process of its own on made-up curves. The answer is compared byte for byte with
that of one undisturbed worker on SQLite.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import select

from lab.checkout import environment
from lab.servers import PostgreSQLServer
from storage.engine import open_database
from storage.schema import optuna_trials, reading, slot_trial
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
EPOCH_SECONDS = "0.1"
FROZEN_SECONDS = 3.0
LIMIT_SECONDS = 900.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was done and found; 1 where the answer is another one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--freezes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "s.toml").write_text(SPEC)
        url = f"sqlite:///{folder}/disturbed.db"
        if given.backend == "postgresql":
            data = folder / "postgresql"
            data.mkdir()
            folder.chmod(0o755)
            url = stack.enter_context(PostgreSQLServer(data)).database("disturbed")
        asked = ["confirm", "s", "--seeds", str(given.seeds), "--yes", "--json"]
        quiet = f"sqlite:///{folder}/undisturbed.db"
        expected = None
        for place in (quiet, url):
            _run(folder, place, "run", "s.toml", "-q")
            if place == quiet:
                expected = json.loads(_run(folder, place, *asked, "-q"))
        _run(folder, url, *asked, "--enqueue", "-q")
        killed, frozen = _disturb(folder, url, given)
        found = json.loads(_run(folder, url, *asked, "-q"))
        counts, readings = _records(url)
    twice = {slot: count for slot, count in counts.items() if count != 1}
    is_whole = len(counts) == found["planned"] and not twice
    good = found == expected and is_whole and readings == [1]
    print(
        f"{given.backend}, {given.workers} workers, seed {given.seed}: {found['trainings']}"
        f" trainings, {killed} kills, {frozen} freezes: {'PASS' if good else 'FAIL'}"
    )
    if not good:
        print(f"the same answer: {found == expected}; slots not finished once: {twice}")
        print(f"readings: {readings}")
    return int(not good)


def _run(folder: Path, url: str, *arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "hypersearch", *arguments]
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment(HYPERSEARCH_STORAGE=url),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {ended.returncode}: {ended.stderr}")
    return ended.stdout


def _disturb(folder: Path, url: str, given: argparse.Namespace) -> tuple[int, int]:
    """Lets workers work until the confirmation has ended; how many were killed and frozen."""
    random_number = random.Random(given.seed)
    variables = environment(HYPERSEARCH_STORAGE=url, HYPERSEARCH_SYNTHETIC_SECONDS=EPOCH_SECONDS)
    command = [sys.executable, "-P", "-m", "hypersearch", "worker", "--study", "s", "-q"]
    workers: list[subprocess.Popen[bytes]] = []
    harms = ["kill"] * given.kills + ["freeze"] * given.freezes
    random_number.shuffle(harms)
    done = Counter[str]()
    deadline = time.monotonic() + LIMIT_SECONDS
    try:
        while not _has_ended(url) and time.monotonic() < deadline:
            workers = [worker for worker in workers if worker.poll() is None]
            while len(workers) < given.workers:
                workers.append(
                    subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.DEVNULL)
                )
            time.sleep(random_number.uniform(0.5, 1.5))
            if harms and (victims := [each for each in workers if each.poll() is None]):
                victim, harm = random_number.choice(victims), harms.pop()
                done[harm] += 1
                if harm == "kill":
                    victim.kill()
                else:
                    os.kill(victim.pid, signal.SIGSTOP)
                    time.sleep(FROZEN_SECONDS)
                    os.kill(victim.pid, signal.SIGCONT)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()
    return done["kill"], done["freeze"]


def _has_ended(url: str) -> bool:
    with open_database(url) as database:
        return find_study(database, "s:confirm:1").state == "ended"


def _records(url: str) -> tuple[Counter[int], list[int]]:
    """How many trials have finished each slot, and the numbers of the readings."""
    query = (
        select(slot_trial.c.slot)
        .join(optuna_trials, optuna_trials.c.trial_id == slot_trial.c.trial_id)
        .where(optuna_trials.c.state.in_(("COMPLETE", "PRUNED")))
    )
    with open_database(url) as database, database.transactions.read() as connection:
        finished = Counter(connection.scalars(query))
        numbers = list(connection.scalars(select(reading.c.number)))
    return finished, numbers


if __name__ == "__main__":
    sys.exit(main())
