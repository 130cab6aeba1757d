"""Worker processes of this machine: started, started again when they die, and stopped together."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from objectives.errors import ProcessSpent
from search.engines.signals import stop_in_order
from search.machine.folders import FolderUnknown
from search.machine.settings import CAPTURES, CREW, PIECE, PROCESS
from search.machine.this_machine import Machine

# A worker process finds it in its environment, and ends when its standard input does.
SUPERVISED = "HYPERSEARCH_SUPERVISED"
# Whoever dies sooner has not worked.
SHORT_LIFE_SECONDS = 20.0
# After so many short lives in a row it is not started again.
SHORT_LIVES = 3
# Workers have so long to hand back trials before they are killed.
STOP_SECONDS = 30.0
# Processes with these exit codes have said what is wrong: starting them again mends nothing.
TOLD_WHY = (2, 3)
# Exit codes of processes that can train no more and want another in their place (75 is EX_TEMPFAIL
# of sysexits.h), and what that one, and whoever follows it, finds in its environment.
SPENT, SPENT_BY_CAPTURE = 75, 76
FOLLOWS: Mapping[int, Mapping[str, str]] = {SPENT: {}, SPENT_BY_CAPTURE: {CAPTURES: "0"}}


@dataclass
class _Member:
    # The number counts from 0, and one that is started again keeps it.
    number: int
    process: subprocess.Popen[bytes]
    started: float
    # The process finds this in its environment, beside the crew's.
    environment: Mapping[str, str]
    short_lives: int = 0

    def forget(self) -> None:
        """Once it has ended: the pipe to it is of no more use."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@dataclass
class Crew:
    """So many processes of `hypersearch worker`.

    They are told to end when this process does, also when it is killed: the pipe to their standard
    input closes.

    >>> with crew.working("mnist-5k"):             # doctest: +SKIP
    ...     while crew.is_working(): time.sleep(1)
    """

    count: int
    # The arguments are those of `hypersearch worker`.
    arguments: Sequence[str]
    # A worker finds this beside this process's own environment: the storage's URL, say.
    environment: Mapping[str, str]
    # A worker finds no variable of this process that begins so.
    unwanted: Sequence[str] = ()
    # The workers write to this descriptor; None: to this process's own.
    stderr: int | None = None
    monotonic: Callable[[], float] = time.monotonic
    last_words: str = ""
    _members: list[_Member] = field(default_factory=list)
    # The exit codes are those of processes that are not started again.
    exit_codes: list[int] = field(default_factory=list)

    @contextmanager
    def working(self, *studies: str) -> Iterator[None]:
        """Inside, the processes work on these studies, or on all. Leaving stops them: each hands
        its trial back.
        """
        arguments = [
            *self.arguments,
            *(argument for name in studies for argument in ("--study", name)),
        ]
        # The option -P keeps the working folder from being searched for modules, whatever it holds.
        self._command = [sys.executable, "-P", "-m", "hypersearch", "worker", *arguments]
        try:
            for number in range(self.count):
                self._members.append(self._start(number, {}))
            yield
        finally:
            self._stop()

    def is_working(self) -> bool:
        """Whether any is alive; those that have died meanwhile are started again."""
        for member in list(self._members):
            code = member.process.poll()
            if code is None:
                continue
            self._members.remove(member)
            member.forget()
            if code == 0 or code in TOLD_WHY:
                self._leave(code)
                continue
            # The restarts are bounded by its trial, which is given up when it was lost too often.
            if code in FOLLOWS:
                self._members.append(
                    self._start(member.number, {**member.environment, **FOLLOWS[code]})
                )
                continue
            short = self.monotonic() - member.started < SHORT_LIFE_SECONDS
            lives = member.short_lives + 1 if short else 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self.last_words = f"a worker process died ({how}) {lives} times in a row"
            if lives >= SHORT_LIVES:
                self._leave(code)
            else:
                self._members.append(self._start(member.number, member.environment, lives))
        return bool(self._members)

    @property
    def told(self) -> int | None:
        """The exit code with which each has said why it cannot work; `None` where they did not
        agree on one.
        """
        codes = set(self.exit_codes)
        return codes.pop() if len(codes) == 1 and codes <= set(TOLD_WHY) else None

    def wait(self) -> None:
        """Until none is alive."""
        while self.is_working():
            time.sleep(0.5)

    def _leave(self, code: int) -> None:
        self.exit_codes.append(code)
        if code in TOLD_WHY:
            self.last_words = "each has said why above"

    def _start(self, number: int, environment: Mapping[str, str], short_lives: int = 0) -> _Member:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stderr=self.stderr,
            env={
                **{
                    name: text
                    for name, text in os.environ.items()
                    if not name.startswith(tuple(self.unwanted))
                },
                **self.environment,
                **environment,
                SUPERVISED: "1",
                PROCESS: str(number),
            },
            # Ctrl-C comes to this process, which tells them.
            start_new_session=True,
        )
        return _Member(number, process, self.monotonic(), environment, short_lives)

    def _stop(self) -> None:
        for member in self._members:
            member.process.terminate()
        deadline = self.monotonic() + STOP_SECONDS
        try:
            for member in self._members:
                try:
                    member.process.wait(max(0.0, deadline - self.monotonic()))
                except subprocess.TimeoutExpired:
                    member.process.kill()
                    member.process.wait()
                member.forget()
        finally:
            self._members.clear()


def hire(
    count: int,
    machine: Machine,
    url: str,
    artifact_root: str | None,
    *,
    quiet: bool,
    forever: bool = False,
) -> Crew:
    """So many processes that work as this one would: on that machine, for the storage of that
    URL.
    """
    threads = "auto" if machine.threads is None else str(machine.threads)
    arguments = ["--device", machine.device, "--threads", threads]
    arguments += (
        []
        if isinstance(machine.data_root, FolderUnknown)
        else ["--data-root", str(machine.data_root)]
    )
    arguments += [f"--data-map={stored}={here}" for stored, here in machine.data_map.items()]
    arguments += ["--accept-data"] * machine.accept_data
    arguments += [] if artifact_root is None else ["--artifact-root", artifact_root]
    arguments += ["--quiet"] * quiet + ["--forever"] * forever
    # The URL is in the environment: others on this machine see the arguments of a process, and a
    # URL may hold a password.
    environment = {"HYPERSEARCH_STORAGE": url} | ({} if machine.captures else {CAPTURES: "0"})
    environment |= {CREW: str(machine.crew)} if machine.crew else {}
    # Where none is named each finds the one that trains best here by itself.
    environment |= {} if machine.piece is None else {PIECE: str(machine.piece)}
    return Crew(count, arguments, environment)


def exit_code(spent: ProcessSpent) -> int:
    """With which a worker process asks for another one in its place."""
    return SPENT if spent.captures else SPENT_BY_CAPTURE


def end_with_supervisor() -> None:
    """In a worker process: ends it, as SIGTERM does, when the process that started it is gone.

    SIGTERM is how that one stops it, also where whoever started both has it ignored.
    """
    signal.signal(signal.SIGTERM, stop_in_order)

    def watch() -> None:
        # The read is unbuffered: a reader in a buffer would not let the process end.
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor watch", daemon=True).start()
