"""The database's clock steps, and a worker's clock is off."""

import signal
import time
from dataclasses import replace

from sqlalchemy import update

from benchmarks.faults.checker import violations
from benchmarks.faults.lab import Lab, Result, all_train, until
from storage.engine import open_database
from storage.schema import lease

HOUR_MS = 3_600_000
DEAD = "dead"


def stepped(lab: Lab, times: int, scale: float = 0.2) -> Result:
    """Steps by an hour each way, seen as what they do to all leases; then a worker of another machine dies.

    One of the living has a clock that is an hour off the other way. Nobody loses a trial but the dead.
    """
    wrong: list[str] = []
    for turn in range(times):
        step_ms = HOUR_MS if turn % 2 else -HOUR_MS
        order = replace(lab.study(trials=6), scale=scale, epoch_seconds=12 * scale)
        # All on machines of their own: signs of life alone tell who is alive.
        crew = [lab.start(replace(order, name=name, machine=name)) for name in (DEAD, "a", "b")]
        crew.append(lab.start(replace(order, name="off", machine="off", clock_shift=-step_ms / 1000)))
        until(lambda started=crew: all_train(started))
        _step(order.url, step_ms)
        time.sleep(30 * scale)
        _step(order.url, -step_ms)
        dead = crew[0]
        dead.popen.send_signal(signal.SIGKILL)
        dead.popen.wait()
        found = lab.wait_for_end(crew[1:]) + violations(crew, may_lose=[dead.worker])
        wrong += [f"step {turn} by {step_ms} ms: {each}" for each in found]
    did = "all leases shifted by an hour and back, time.time() of one worker off by an hour, one worker killed"
    return Result("clocks", lab.backend, did, times, wrong)


def _step(url: str, by_ms: int) -> None:
    with open_database(url) as database, database.transactions.write() as connection:
        moved = {"beat_ms": lease.c.beat_ms + by_ms, "expires_ms": lease.c.expires_ms + by_ms}
        connection.execute(update(lease).where(lease.c.owner.is_not(None)).values(moved))
