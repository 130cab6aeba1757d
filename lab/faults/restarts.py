"""The database restarts while workers have trials under way."""

import random
import time
from dataclasses import replace
from functools import partial

from lab.faults.checker import violations
from lab.faults.lab import Lab, Result, all_train, until

# It makes a lease of 12 s.
SCALE = 0.2
WORKERS = 4


def restarted(lab: Lab, times: int, scale: float = SCALE) -> Result:
    """Half at once, half gently; outages from none to twice the lease, evenly spread (one: the
    longest).
    """
    drawn = random.Random(0)
    longest = 2 * 60.0 * scale
    wrong: list[str] = []
    waits = []
    for turn in range(times):
        outage = longest * turn / (times - 1) if times > 1 else longest
        signal = lab.server.gently if turn % 2 else lab.server.at_once
        order = replace(lab.study(trials=2 * WORKERS), scale=scale)
        processes = [
            lab.start(replace(order, name=f"worker-{number}")) for number in range(WORKERS)
        ]
        until(partial(all_train, processes))
        time.sleep(drawn.uniform(0, 1))
        lab.server.stop(signal)
        time.sleep(outage)
        lab.server.start()
        up = time.monotonic()
        found = lab.wait_for_end(processes) + violations(processes)
        waits.append(max(process.longest_wait(up) for process in processes) - outage)
        wrong += [f"outage {turn} of {outage:.1f} s ({signal.name}): {each}" for each in found]
    return Result(
        "restart",
        lab.backend,
        f"{WORKERS} workers, lease {60 * scale:.0f} s, outages 0 to {longest:.0f} s, at once and"
        " gently in turns",
        times,
        wrong,
        f"back at work at most {max(waits):.1f} s after the server",
    )
