"""A worker freezes inside a transaction that others need to end."""

import signal
import time
from dataclasses import replace

from lab.faults.checker import violations
from lab.faults.lab import Lab, Result, until

WORKERS = 9
# On a server the others wait at most so long.
LONGEST_WAIT_SECONDS = 15.0
# The others wait at least so long, or the freeze held nothing that they wanted.
SHORTEST_WAIT_SECONDS = 3.0


def frozen(lab: Lab, times: int, scale: float = 1.0, seconds: float | None = None) -> Result:
    """On a server, one of nine workers stops itself when it ends a trial, holding the study's row.

    On SQLite, where nobody ends its transaction, it stops when it reports an epoch, for longer than
    a lease and a watch: all wait, nobody loses a trial, though six workers have none and look for
    one to take over all the time.
    """
    on_server = lab.backend != "sqlite"
    if seconds is None:
        seconds = 40.0 if on_server else 100.0 * scale
    wrong: list[str] = []
    waits = []
    for turn in range(times):
        if on_server:
            order = replace(lab.study(trials=60), freezes_in="finish", epoch_seconds=0.3)
        else:
            order = replace(lab.study(trials=3, epochs=10), freezes_in="report", epoch_seconds=1.5)
        crew = [replace(order, scale=scale, name=f"worker-{number}") for number in range(WORKERS)]
        processes = lab.start_together(crew, training=WORKERS if on_server else 3)
        first = next(process for process in processes if process.facts("epoch"))
        others = [process for process in processes if process is not first]
        first.order.freeze.touch()
        until(first.is_stopped)
        since = time.monotonic()
        time.sleep(seconds)
        first.popen.send_signal(signal.SIGCONT)
        wrong += [
            f"freeze {turn}: {each}" for each in lab.wait_for_end(processes) + violations(processes)
        ]
        waits.append(max(process.longest_wait(since) for process in others))
    if min(waits) < SHORTEST_WAIT_SECONDS:
        wrong.append(f"the freeze held nothing: the others waited {min(waits):.1f} s")
    if on_server and max(waits) > LONGEST_WAIT_SECONDS:
        wrong.append(
            f"another worker waited {max(waits):.1f} s, more than {LONGEST_WAIT_SECONDS:.0f} s"
        )
    return Result(
        "freeze",
        lab.backend,
        f"one of {WORKERS} workers stops for {seconds:.0f} s in a transaction, lease"
        f" {60 * scale:.0f} s",
        times,
        wrong,
        f"the others waited {min(waits):.1f} to {max(waits):.1f} s",
    )
