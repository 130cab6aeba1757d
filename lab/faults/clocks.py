"""The database's clock steps, and workers' clocks are off."""

import signal
import time
from dataclasses import replace

from sqlalchemy import update

from lab.faults.checker import violations
from lab.faults.lab import Lab, Result
from storage.engine import open_database
from storage.schema import lease

HOUR_MS = 3_600_000
TRAINING, WAITING = 4, 3


def stepped(lab: Lab, times: int, scale: float = 0.2) -> Result:
    """Steps by an hour each way, seen as what they do to all leases; then a worker of another
    machine dies.

    Half of the workers have clocks that are an hour off the other way. Nobody loses a trial but the
    dead, though three workers have none and look for one to take over all the time.
    """
    wrong: list[str] = []
    for turn in range(times):
        step_ms = HOUR_MS if turn % 2 else -HOUR_MS
        order = replace(
            lab.study(trials=TRAINING, epochs=15), scale=scale, epoch_seconds=12 * scale
        )
        # All on machines of their own: signs of life alone tell who is alive.
        crew = [
            replace(
                order, name=name, machine=name, clock_shift=0.0 if number % 2 else -step_ms / 1000
            )
            for number, name in enumerate(f"worker-{each}" for each in range(TRAINING + WAITING))
        ]
        processes = lab.start_together(crew, TRAINING)
        _step(order.url, step_ms)
        time.sleep(30 * scale)
        _step(order.url, -step_ms)
        time.sleep(30 * scale)
        dead = next(process for process in processes if process.facts("epoch"))
        dead.popen.send_signal(signal.SIGKILL)
        dead.popen.wait()
        rest = [process for process in processes if process is not dead]
        found = lab.wait_for_end(rest) + violations(processes, may_lose=[dead.worker])
        wrong += [f"step {turn} by {step_ms} ms: {each}" for each in found]
    did = (
        "all leases shifted by an hour and back, time.time() of half the workers off by an hour,"
        " one worker killed"
    )
    return Result("clocks", lab.backend, did, times, wrong)


def _step(url: str, by_ms: int) -> None:
    # As a step of the clock does, this changes when leases expire, and not what they show as their
    # last sign of life.
    with open_database(url) as database, database.transactions.write() as connection:
        held = lease.c.owner.is_not(None)
        connection.execute(update(lease).where(held).values(expires_ms=lease.c.expires_ms + by_ms))
