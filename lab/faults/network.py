"""The network of one worker is cut; another one looks on from another machine."""

import time
from dataclasses import replace

from sqlalchemy import make_url

from lab.faults.checker import violations
from lab.faults.lab import END_SECONDS, Lab, Process, Result, all_train, until
from lab.faults.proxy import Proxy

TRIALS, EPOCHS = 6, 20


def cut(lab: Lab, times: int, scale: float = 1.0) -> Result:
    """In each way: half a lease, after which the worker goes on; three leases, after which it goes
    on with another.
    """
    wrong: list[str] = []
    back = 0.0
    for _ in range(times):
        for how in ("held", "closed"):
            for leases in (0.5, 3.0):
                found, seconds = cut_once(lab, how, leases, scale)
                wrong += [f"{how} for {leases:g} leases: {each}" for each in found]
                back = max(back, seconds)
    return Result(
        "network",
        lab.backend,
        f"one worker's connections held or closed for 0.5 and 3 leases of {60 * scale:.0f} s",
        4 * times,
        wrong,
        f"back at work at most {back:.1f} s after it",
    )


def cut_once(lab: Lab, how: str, leases: float, scale: float) -> tuple[list[str], float]:
    """What is wrong after one cut, and how long after it the worker had recorded two more
    epochs.
    """
    seconds = leases * 60 * scale
    # Trials of two leases each, so that the cut comes in the middle of one and some are left when
    # the worker is back.
    order = replace(lab.study(TRIALS, EPOCHS), scale=scale, epoch_seconds=0.1 * 60 * scale)
    with Proxy(lab.server.port) as proxy:
        url = make_url(order.url).set(port=proxy.port).render_as_string(hide_password=False)
        away = lab.start(replace(order, url=url, name="cut", machine="another machine"))
        until(lambda: all_train([away]))
        near = lab.start(replace(order, name="near"))
        until(lambda: all_train([near]))
        proxy.hold() if how == "held" else proxy.close_all()
        known = len(away.facts("epoch"))
        time.sleep(seconds)
        proxy.mend()
        mended = time.monotonic()
        wrong = lab.wait_for_end([away, near], END_SECONDS + TRIALS * EPOCHS * order.epoch_seconds)
    if not (later := away.facts("epoch")[known + 1 :]):
        return [*wrong, "the cut worker has not gone on"], 0.0
    return wrong + _judged(away, near, taken_over=leases > 1), float(later[0]["at"] or 0) - mended


def _judged(away: Process, near: Process, *, taken_over: bool) -> list[str]:
    # The proxy is gone.
    near_order = replace(away.order, url=near.order.url)
    may_lose = [away.worker] if taken_over else []
    wrong = violations([near, replace(away, order=near_order)], may_lose)
    lost = [fact["number"] for fact in away.facts("end") if fact["outcome"] == "lost"]
    if not taken_over:
        return wrong + [f"the cut worker has left trial {number}" for number in lost]
    if len(lost) != 1:
        return [*wrong, f"the cut worker has left {len(lost)} trials, not 1"]
    if not [
        fact for fact in near.facts("trial") if fact["number"] == lost[0] and fact["attempt"] == 2
    ]:
        wrong.append(f"trial {lost[0]} was not taken over by the other worker")
    if not [fact for fact in away.facts("trial") if fact["number"] != lost[0]]:
        wrong.append("the cut worker has taken no other trial afterwards")
    return wrong
