"""A worker freezes inside a transaction that holds the study's row."""

import signal
import time
from dataclasses import replace

from benchmarks.faults.checker import violations
from benchmarks.faults.lab import Lab, Result, all_train, until

LONGEST_WAIT_SECONDS = 15.0  # of the others, on a server


def frozen(lab: Lab, times: int, scale: float = 1.0, seconds: float | None = None) -> Result:
    """One of nine workers stops itself when it ends its first trial, for shorter than a lease on a server.

    On SQLite, where nobody ends its transaction, for longer than a lease and a watch: all wait, nobody loses a trial,
    though six workers have none and wait to take one over.
    """
    on_server = lab.backend != "sqlite"
    if seconds is None:
        seconds = 40.0 if on_server else 100.0 * scale
    wrong: list[str] = []
    longest = 0.0
    for _ in range(times):
        order = replace(lab.study(trials=40 if on_server else 3), scale=scale)
        first = lab.start(replace(order, name="frozen", freezes_in="finish", epoch_seconds=1.0))
        until(lambda started=first: all_train([started]))
        epoch_seconds = 0.3 if on_server else 1.5  # on SQLite their trials are under way when the freeze begins
        others = [lab.start(replace(order, name=f"other-{each}", epoch_seconds=epoch_seconds)) for each in range(8)]
        until(first.is_stopped)
        since = time.monotonic()
        time.sleep(seconds)
        first.popen.send_signal(signal.SIGCONT)
        wrong += lab.wait_for_end([first, *others]) + violations([first, *others])
        longest = max(longest, *(process.longest_wait(since) for process in others))
    if on_server and longest > LONGEST_WAIT_SECONDS:
        wrong.append(f"another worker waited {longest:.1f} s, more than {LONGEST_WAIT_SECONDS:.0f} s")
    return Result(
        "freeze",
        lab.backend,
        f"one of 9 workers stops for {seconds:.0f} s in a transaction, lease {60 * scale:.0f} s",
        times,
        wrong,
        f"the others waited at most {longest:.1f} s",
    )
