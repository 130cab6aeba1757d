"""Runs each phase in a process of its own, for as long as it may, and survives whatever becomes of
it.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.gpu.lab import Lab, Result, failure
from benchmarks.gpu.phases import Phase
from benchmarks.gpu.starting import context_of

# Results name by these words what became of a phase.
FAILED, STOPPED, SKIPPED = "failed", "stopped", "skipped"


@dataclass
class PhaseOutcome:
    """What a phase has given so far, and how long it took."""

    phase: Phase
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than by itself."""
        return any(result.name in (FAILED, STOPPED) for result in self.results)


def run_all(phases: Sequence[Phase], lab: Lab, log: Path) -> Iterator[PhaseOutcome]:
    """Each as it begins, with results that come in until the next is asked for; one that would
    overrun is skipped.
    """
    for phase in phases:
        outcome = PhaseOutcome(phase)
        yield outcome
        if phase.needs_cuda and not lab.on_cuda:
            outcome.results.append(Result(SKIPPED, "needs CUDA"))
        elif lab.seconds_left() < phase.limit_seconds:
            left = max(0.0, lab.seconds_left())
            said = (
                f"{left:.0f} s were left of its {phase.limit_seconds:.0f} s: run it with --only"
                f" {phase.number}"
            )
            outcome.results.append(Result(SKIPPED, said))
        else:
            run(outcome, replace(lab, ends_at=time.monotonic() + phase.limit_seconds), log)


def run(outcome: PhaseOutcome, lab: Lab, log: Path) -> None:
    """Adds the phase's results to the outcome as they come; what it prints is added to `log`."""
    started = time.monotonic()
    context = context_of(lab.device)
    ours, theirs = context.Pipe(duplex=False)
    # A forked process would print what is still in the buffer again.
    sys.stdout.flush()
    process: BaseProcess = context.Process(target=_work, args=(outcome.phase, lab, log, theirs))
    try:
        process.start()
        theirs.close()
        is_over = False
        while not is_over and lab.seconds_left() > 0:
            is_over = process.sentinel in wait([ours, process.sentinel], lab.seconds_left())
            _receive(ours, outcome)
        if not is_over:
            said = (
                f"after {outcome.phase.limit_seconds:.0f} s, its limit; the lines above are what it"
                " gave"
            )
            outcome.results.append(Result(STOPPED, said))
        else:
            process.join()
            if process.exitcode != 0 and not outcome.failed:
                outcome.results.append(Result(FAILED, _ending(process.exitcode or 0)))
    finally:
        _end(process)
        ours.close()
        outcome.seconds = time.monotonic() - started


def _receive(results: Connection, outcome: PhaseOutcome) -> None:
    with suppress(EOFError):
        while results.poll():
            outcome.results.append(results.recv())


def _ending(exit_code: int) -> str:
    return (
        f"exit code {exit_code}" if exit_code > 0 else f"ended by {signal.Signals(-exit_code).name}"
    )


def _end(process: BaseProcess) -> None:
    # What it started is in its group, and may outlive it.
    if process.pid is not None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


def _work(phase: Phase, lab: Lab, log: Path, results: Connection) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        for result in phase.load()(lab):
            print(result.line(), flush=True)
            results.send(result)
    # The other phases go on.
    except Exception as error:
        traceback.print_exc()
        results.send(replace(failure(FAILED, error), said=f"{type(error).__name__}: {error}"))
        sys.exit(1)
