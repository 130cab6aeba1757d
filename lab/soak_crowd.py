"""The workers of a soak, and the harm that is done to them."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from typing import Literal

from lab.soak_worker import Job, numbered, read_journal, work_on
from storage.leases.lease import LeaseTimes

# Shorter than the product's, in about its proportions. Nothing hangs here: a process that was
# frozen goes on.
TIMES = LeaseTimes(lease=3.0, renewal=0.75, watch=2.0, hung=30.0)
# A frozen worker stays so for long enough to be taken over.
FREEZE_SECONDS = (TIMES.lease + TIMES.watch + 1.0, TIMES.lease + TIMES.watch + 3.0)
# After all were frozen at once, whoever lives gives signs of life again.
QUIET_SECONDS = TIMES.lease

HarmKind = Literal["kill", "damage", "freeze", "pause"]


@dataclass(frozen=True)
class Harm:
    """One thing that is done to a worker, `delay_seconds` after that share of the budget is
    finished.
    """

    at: float
    delay_seconds: float
    # A victim of "damage" is killed, with a changed checkpoint; of "pause" all workers are frozen
    # at once.
    kind: HarmKind
    victim: int
    freeze_seconds: float


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
