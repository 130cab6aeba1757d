"""Workers on a Ray cluster whose nodes die and join; then every claim about the result is checked.

python -m lab.ray_cluster --workers 8 --trials 200 --seconds 180
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import bindparam, create_engine, text

from lab.ray_nodes import Nodes
from lab.servers import FilePostgreSQLServer
from lab.soak_check import faults, gather, tally
from lab.soak_reading import Reader, TrialEvidence, Watcher
from lab.soak_study import create
from objectives.checkpoint import CHECKPOINT_SECONDS
from search.machine.settings import SYNTHETIC_SECONDS
from search.spec.document import Document
from storage.hosts import this_host
from storage.leases.lease import LeaseTimes
from storage.urls import parse_url

# Two nodes die so far apart.
HARM_SECONDS = 20.0
EPOCHS, EPOCH_SECONDS = 48, 0.2
# A lease that nobody renews is over after the one, and is taken up after the other; then somebody
# must be free, who trains another trial until then.
TIMES = LeaseTimes()
TAKEN_SECONDS = TIMES.lease + TIMES.watch + 2 * EPOCHS * EPOCH_SECONDS


@dataclass
class Harm:
    """What has been done to the nodes."""

    # A node that a trial was on died at these moments, in milliseconds since 1970, by the trial's
    # number.
    died_ms: dict[int, list[int]] = field(default_factory=dict)
    kills: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.ray_cluster", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=180.0, help="in which nodes die")
    given = parser.parse_args(arguments)
    packages = ", ".join(f"{name} {version(name)}" for name in ("ray", "optuna", "psycopg"))
    print(f"Python {platform.python_version()}, {packages}; {os.cpu_count()} cores", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    with ExitStack() as stack:
        nodes = stack.enter_context(Nodes(folder / "nodes"))
        server = stack.enter_context(FilePostgreSQLServer(folder / "pg", 200))
        for number in range(given.nodes):
            nodes.add(f"n{number}", cpus=-(-given.workers // given.nodes))
        found = soak(nodes, server.database("soak"), folder, given)
    for fault in found[:20]:
        print(f"  VIOLATION: {fault}")
    if found:
        print(f"  FAIL: {len(found)} violations; what the command said is in {folder}", flush=True)
    else:
        print("  PASS", flush=True)
        shutil.rmtree(folder)
    return int(bool(found))


def soak(nodes: Nodes, url: str, folder: Path, given: argparse.Namespace) -> list[str]:
    """Runs it, prints what came of it, and returns every violation."""
    document: Document = {
        "study": {"name": "soak", "trials": given.trials, "sampler": "random", "pruner": "none"},
        "data": {"dataset": "synthetic"},
        "training": {"epochs": EPOCHS},
    }
    spec = create(url, document)
    reader, started = Reader(url, "soak"), time.monotonic()
    with Watcher(reader) as watcher, (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [
                *(*nodes.prefix, sys.executable, "-P", "-m", "hypersearch"),
                *("run", "--study", "soak", "--engine", "ray", "--ray-address", nodes.address),
                *("--workers", str(given.workers), "--artifact-root", str(folder / "artifacts")),
            ],
            env=os.environ | {"HYPERSEARCH_STORAGE": url, SYNTHETIC_SECONDS: str(EPOCH_SECONDS)},
            stdout=said,
            stderr=said,
        )
        try:
            harm = _harm(nodes, url, process, given)
            code = process.wait()
        finally:
            process.kill()
    watcher.look()
    seconds = time.monotonic() - started
    evidence = replace(
        gather(reader, spec, None, folder / "artifacts", CHECKPOINT_SECONDS), seen=watcher.seen
    )
    reader.close()
    waits = _waits(evidence.trials, harm)
    for what, counts in tally(evidence).items():
        print(f"  {what}:", *(f"{count} {name}" for name, count in counts.most_common()), sep="  ")
    print(f"  {harm.kills} nodes died and as many joined; {watcher.looks} looks, {seconds:.0f} s")
    if waits:
        print(f"  taken up {min(waits):.0f} to {max(waits):.0f} s after the node had died")
    found = [*(f"{count} times: {fault}" for fault, count in watcher.faults.items())]
    found += faults(evidence)
    found += [f"a trial was taken up after {each:.0f} s" for each in waits if each > TAKEN_SECONDS]
    found += [f"the command ended with exit code {code}"] * (code != 0)
    found += [f"{len(nodes.workers())} workers are left"] * bool(nodes.workers())
    found += ["no trial was on a node that died"] * (not waits)
    return found


def _harm(
    nodes: Nodes, url: str, process: "subprocess.Popen[bytes]", given: argparse.Namespace
) -> Harm:
    """The node that has been there longest dies and another one joins, again and again."""
    harm = Harm()
    there = [f"n{number}" for number in range(given.nodes)]
    until = time.monotonic() + given.seconds
    while _sleeps(process, HARM_SECONDS) and time.monotonic() < until:
        victim = there.pop(0)
        died_ms = round(time.time() * 1000)
        nodes.kill(victim)
        for number in _held_by(url, this_host(nodes.identity(victim)).machine):
            harm.died_ms.setdefault(number, []).append(died_ms)
        harm.kills += 1
        there.append(f"n{given.nodes + harm.kills}")
        nodes.add(there[-1], cpus=-(-given.workers // given.nodes))
    return harm


def _sleeps(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Whether it still runs after so long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _held_by(url: str, machine: str) -> list[int]:
    """The numbers of the trials that a machine holds."""
    engine = create_engine(parse_url(url))
    query = text(
        "SELECT number FROM hypersearch_lease l JOIN trials t ON t.trial_id = l.trial_id"
        " WHERE machine = :machine AND owner IS NOT NULL"
    ).bindparams(bindparam("machine", machine))
    try:
        with engine.connect() as connection:
            return [int(row[0]) for row in connection.execute(query)]
    finally:
        engine.dispose()


def _waits(trials: Mapping[int, TrialEvidence], harm: Harm) -> list[float]:
    """How long trials of dead nodes waited for somebody who took them up, in seconds."""
    waits = []
    for number, deaths in harm.died_ms.items():
        lost = [row for row in trials[number].attempts if row["outcome"] == "lost"]
        for died_ms, row in zip(deaths, lost, strict=False):
            waits.append((int(row["ended_ms"] or 0) - died_ms) / 1000)
    return waits


if __name__ == "__main__":
    sys.exit(main())
