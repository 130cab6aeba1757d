"""What a user sees of a full disk, a full server and a dead one: the real command line."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import checkout
from lab.faults.lab import UNTIL_SECONDS, Lab, Result, until
from lab.servers import PostgreSQLServer
from storage.engine import open_database
from storage.records import read_studies

DISK_BYTES = 12 * 2**20
# `hypersearch` gives up after so long here: its own ten minutes would be long.
PATIENCE_SECONDS = 15.0
HYPERSEARCH = (
    "from storage.transactions import Patience\n"
    f"Patience.__init__.__defaults__ = ({PATIENCE_SECONDS}, 0.05, 0.5, 1.0)\n"
    "from search.cli.main import main\nmain()"
)
SPEC = """
[study]
name = "small"
trials = {trials}
pruner = "none"
[data]
dataset = "synthetic"
[training]
epochs = 3
"""


class Command:
    """`hypersearch` with these arguments, in a folder of its own."""

    def __init__(
        self, folder: Path, *arguments: str, impatient: bool = False, **environment: str
    ) -> None:
        self.errors = folder / f"{arguments[0]}-{time.monotonic_ns()}.stderr"
        program = ["-c", HYPERSEARCH] if impatient else ["-m", "hypersearch"]
        variables = checkout.environment(HYPERSEARCH_SYNTHETIC_SECONDS="0.1") | environment
        with self.errors.open("wb") as file:
            self.popen = subprocess.Popen(
                [sys.executable, "-P", *program, *arguments],
                cwd=folder,
                env=variables,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )

    def lines(self) -> list[str]:
        """On standard error, without those of finished trials."""
        return [
            line for line in self.errors.read_text().splitlines() if not line.startswith("trial ")
        ]

    def trials(self) -> int:
        """How many it has said are finished."""
        return sum(line.startswith("trial ") for line in self.errors.read_text().splitlines())

    def wait_for_trials(self, count: int) -> None:
        """Until it has said that so many are finished. Raises TimeoutError."""
        until(lambda: self.trials() >= count)

    def wrong(self, code: int, *starts: str) -> list[str]:
        """What is wrong with its end: another exit code, or other lines than ones that hold these
        words in turn.
        """
        try:
            found = self.popen.wait(UNTIL_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            return [f"it has not ended after {UNTIL_SECONDS:.0f} s: {self.lines()}"]
        lines = self.lines()
        fits = len(lines) == len(starts) and all(
            words in line for words, line in zip(starts, lines, strict=True)
        )
        return [] if fits and found == code else [f"exit code {found}, and it said {lines}"]


def write_spec(folder: Path, trials: int) -> Path:
    """A small study."""
    file = folder / "small.toml"
    file.write_text(SPEC.format(trials=trials))
    return file


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 12 MB (needs root)."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Takes all the room; the file to delete to make some."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def disk_full(lab: Lab, times: int) -> Result:
    """The disk of the database, and then that of checkpoints alone, fills under way and has room
    again.
    """
    wrong: list[str] = []
    for turn in range(times):
        for what in ("database", "checkpoints"):
            with small_disk(lab.folder / f"{what}-{turn}") as disk:
                home = disk if what == "database" else lab.folder
                url = f"sqlite:///{home}/{turn}-{what}.db"
                spec = write_spec(lab.folder, 8)
                files = lab.folder / f"files-{turn}" if what == "database" else disk / "files"
                run = Command(
                    lab.folder,
                    *("run", str(spec), "--storage", url, "--artifact-root", str(files)),
                    HYPERSEARCH_CHECKPOINT_SECONDS="0",
                )
                run.wait_for_trials(2)
                filler = fill(disk)
                time.sleep(6)
                filler.unlink()
                if what == "database":
                    found = run.wrong(0, "database or disk is full", "the database answers again")
                else:
                    run.popen.wait(120)
                    said = [line for line in run.lines() if "without a checkpoint" not in line]
                    found = [f"it said {said}"] * bool(said or run.popen.returncode)
                    found += ["it said nothing of checkpoints"] * (not run.lines())
                with open_database(url) as database:
                    finished = [study.finished for study in read_studies(database)]
                wrong += [f"{what}: {each}" for each in found]
                wrong += [
                    f"{what}: {finished} trials are finished, {run.trials()} were said to be"
                ] * (finished != [8])
                wrong += [f"{what}: {run.trials()} lines of trials"] * (run.trials() != 8)
    return Result(
        "disk",
        lab.backend,
        "the disk of the database, of checkpoints, full for 6 s",
        2 * times,
        wrong,
    )


def server_full(lab: Lab, times: int) -> Result:
    """Five workers on a server with five connections, where each wants two."""
    wrong: list[str] = []
    for turn in range(times):
        settings = ("superuser_reserved_connections=0", "reserved_connections=0")
        with PostgreSQLServer(lab.folder / f"narrow-{turn}", 5, settings) as server:
            url = server.database("a")
            spec = write_spec(lab.folder, 20)
            wrong += Command(lab.folder, "create", str(spec), "--storage", url).wrong(
                0, "study 'small' is open"
            )
            crew = [Command(lab.folder, "worker", HYPERSEARCH_STORAGE=url) for _ in range(5)]
            for one in crew:
                code = one.popen.wait(200)
                full = [line for line in one.lines() if "too many clients" in line]
                others = [line for line in one.lines() if line not in full and not _is_usual(line)]
                if code != 0 or len(full) > 3 or others:
                    wrong.append(f"turn {turn}: a worker ended with {code} and said {one.lines()}")
    return Result(
        "connections", lab.backend, "5 workers on a server with 5 connections", times, wrong
    )


def _is_usual(line: str) -> bool:
    # Whoever came in last may find that the others have done it all.
    return line.startswith(("study ", "waiting: ", "no study is open: ")) or "answers again" in line


def server_gone(lab: Lab, times: int) -> Result:
    """The server is killed for good: work gives up after its patience, and looking does so at
    once.
    """
    wrong: list[str] = []
    longest = 0.0
    for _ in range(times):
        url = lab.new_url()
        spec = write_spec(lab.folder, 100)
        run = Command(lab.folder, "run", str(spec), "--storage", url, impatient=True)
        run.wait_for_trials(2)
        lab.server.stop(lab.server.at_once)
        wrong += run.wrong(
            3, f"trying again for {PATIENCE_SECONDS:.0f} s", "the database has not answered for"
        )
        for command in looking(url):
            started = time.monotonic()
            wrong += Command(lab.folder, *command).wrong(3, "cannot be reached: ")
            longest = max(longest, time.monotonic() - started)
        lab.server.start()
        wrong += Command(lab.folder, "status", "small", "--storage", url).wrong(0)
    wrong += [f"looking took {longest:.1f} s"] * (longest > 10)
    did = "killed for good; run, list, status, compare"
    return Result("gone", lab.backend, did, times, wrong, f"looking says so in {longest:.1f} s")


def looking(url: str) -> Sequence[Sequence[str]]:
    """Commands that look."""
    return [
        [*command, "--storage", url]
        for command in (["list"], ["status", "small"], ["compare", "small"])
    ]
