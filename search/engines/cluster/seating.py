"""Workers as actors: placed by Ray, looked at, and ended in order."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import ray
from ray.actor import ActorClass, ActorHandle
from ray.exceptions import ActorDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from objectives.errors import DataError, DataUnavailable
from search.engines.cluster.connecting import Cluster, Node
from search.engines.cluster.counter import Want
from search.engines.cluster.messages import Answer, Orders
from search.engines.cluster.seat import Report, Seat
from search.engines.cluster.shipping import Shipping
from search.engines.processes import STOP_SECONDS
from search.worker.readings import TestSplitRefused
from storage.errors import OtherData, StorageUnavailable, StudyNotFound

LOOK_SECONDS = 1.0
# A worker waits so long for a place before somebody is told: where there is none for it, and where
# there is, but Ray is slow, or others have it.
PATIENCE_SECONDS, LONG_PATIENCE_SECONDS = 10.0, 60.0
# All workers have so long to hand back their trials.
END_SECONDS = STOP_SECONDS + 5.0


@dataclass
class _Placed:
    """One worker, wherever it is."""

    # The number counts from 1, for people.
    number: int
    actor: ActorHandle
    # The report was asked for, and may be there by now.
    report: "ray.ObjectRef[Report]"
    state: Literal["waiting", "working", "left"] = "waiting"
    # The worker works there, or has worked there last.
    host: str = ""
    exit_code: int = 0


class Seating:
    """The workers that are asked for, on a cluster.

    >>> Seating(cluster, orders, answer).work(over)    # doctest: +SKIP
    """

    def __init__(self, cluster: Cluster, orders: Orders, answer: Callable[[Answer], None]) -> None:
        self._cluster = cluster
        self._orders = orders
        self._answer = answer
        self._gpus = self._gpus_each(cluster.nodes())
        url = orders.environment["HYPERSEARCH_STORAGE"]
        self._shipping = None if orders.data is None else Shipping(url, orders.data)
        self._seats: list[_Placed] = []
        self._last_words = ""
        self._told_of_waiting: int | None = None
        self._waiting_since = time.monotonic()

    def work(self, over: threading.Event) -> None:
        """Until no worker has anything left to do, or it is over. Leaving ends all workers."""
        try:
            while not over.is_set():
                self._grow()
                self._look()
                if self._nothing_is_left():
                    codes = [each.exit_code for each in self._seats if each.state == "left"]
                    self._answer(Answer(over=self._last_words, exit_codes=codes))
                    return
                self._tell_who_waits()
                over.wait(LOOK_SECONDS / 2)
        finally:
            self._end()

    def _gpus_each(self, nodes: Sequence[Node]) -> float:
        if self._orders.gpus is not None:
            return self._orders.gpus
        may_be_gpu = self._orders.device in ("auto", "cuda")
        return 1.0 if may_be_gpu and any(each.gpus for each in nodes) else 0.0

    def _places(self, node: Node) -> int:
        """How many workers there are room for on a node."""
        by_cpu = int(node.cpus / self._orders.cpus) if self._orders.cpus else 10**6
        by_gpu = int(node.gpus / self._gpus + 1e-9) if self._gpus else 10**6
        return min(by_cpu, by_gpu)

    def _grow(self) -> None:
        wanted = self._orders.workers
        if wanted is None:
            wanted = max(1, sum(map(self._places, self._cluster.nodes())))
        while len(self._seats) < wanted:
            self._seats.append(self._place(len(self._seats) + 1))

    def _place(self, number: int) -> _Placed:
        orders, node = self._orders, self._cluster.only_node
        actors: ActorClass[Seat] = ray.remote(Seat)
        actor = actors.options(
            num_cpus=orders.cpus,
            num_gpus=self._gpus,
            # It is placed on another node when its own is gone, as often as that happens.
            max_restarts=-1,
            # A worker writes its end and answers meanwhile.
            scheduling_strategy="SPREAD"
            if node is None
            else NodeAffinitySchedulingStrategy(node, soft=False),
        ).remote(
            [*orders.arguments, *self._device()],
            orders.environment,
            orders.studies,
            has_data_sent=self._shipping is not None,
        )
        return _Placed(number, actor, actor.look.remote())

    def _device(self) -> list[str]:
        # A worker that has no GPU of Ray's takes none, though its node has one.
        device = "cpu" if self._orders.device == "auto" and not self._gpus else self._orders.device
        return ["--device", device]

    def _look(self) -> None:
        asked = {each.report: each for each in self._seats if each.state != "left"}
        there, _ = ray.wait(
            list(asked), num_returns=len(asked), timeout=LOOK_SECONDS / 2, fetch_local=False
        )
        for reference in there:
            self._heard(asked[reference])

    def _heard(self, seat: _Placed) -> None:
        try:
            report = ray.get(seat.report)
        except ActorDiedError as error:
            self._leave(seat, 1, f"worker {seat.number} cannot be started: {_cause(error)}")
            return
        # Its node or its process is gone: Ray starts it again.
        except RayError:
            if seat.state == "working":
                self._say(
                    f"worker {seat.number} on {seat.host} is gone: it is started again where there"
                    " is room; what it held is taken over"
                )
            seat.state = "waiting"
            self._waiting_since = time.monotonic()
            seat.report = seat.actor.look.remote()
            return
        seat.host, seat.state = report.host, "working"
        self._repeat(report)
        if report.want is not None:
            self._send(seat, report.want)
        if report.is_working:
            seat.report = seat.actor.look.remote()
        else:
            self._leave(seat, report.exit_code, report.last_words)

    def _send(self, seat: _Placed, want: Want) -> None:
        assert self._shipping is not None
        try:
            parcel = self._shipping.parcel(want)
        except (DataUnavailable, StorageUnavailable) as error:
            seat.actor.refuse.remote(str(error), 3)
        except (DataError, OtherData, StudyNotFound, TestSplitRefused) as error:
            seat.actor.refuse.remote(str(error), 2)
        else:
            # The parcel stands in a list, so that the actor fetches it where its node has not got
            # it.
            seat.actor.take.remote(want, parcel.name, [parcel.content])

    def _leave(self, seat: _Placed, exit_code: int, last_words: str) -> None:
        seat.state, seat.exit_code = "left", exit_code
        self._last_words = last_words or self._last_words
        # Another worker may have its place.
        ray.kill(seat.actor)

    def _nothing_is_left(self) -> bool:
        states = {each.state for each in self._seats}
        is_done = any(each.state == "left" and each.exit_code == 0 for each in self._seats)
        # Whoever leaves with 0 has seen the last trial end: nobody need wait for a place any more.
        return states == {"left"} or (is_done and "working" not in states)

    def _tell_who_waits(self) -> None:
        waiting = sum(each.state == "waiting" for each in self._seats)
        if not waiting:
            self._waiting_since = time.monotonic()
            self._told_of_waiting = None
            return
        waited = time.monotonic() - self._waiting_since
        room = sum(map(self._places, self._cluster.nodes()))
        wanted = sum(each.state != "left" for each in self._seats)
        patience = PATIENCE_SECONDS if wanted > room else LONG_PATIENCE_SECONDS
        if waited < patience or waiting == self._told_of_waiting:
            return
        self._told_of_waiting = waiting
        each = _amount(self._orders.cpus, "CPU")
        each += f" and {_amount(self._gpus, 'GPU')}" if self._gpus else ""
        self._say(
            f"{waiting} of {wanted} workers wait for a place: each takes {each}, and the cluster"
            f" has room for {room}"
        )

    def _repeat(self, report: Report) -> None:
        for line in report.said:
            self._say(f"{report.host}: {line}")

    def _say(self, line: str) -> None:
        self._answer(Answer(said=line))

    def _end(self) -> None:
        working = [each for each in self._seats if each.state == "working"]
        for each in self._seats:
            if each.state == "waiting":
                ray.kill(each.actor)
        ended = [each.actor.end.remote() for each in working]
        if ended:
            there, _ = ray.wait(ended, num_returns=len(ended), timeout=END_SECONDS)
            for reference in there:
                try:
                    self._repeat(ray.get(reference))
                # Its node went first.
                except RayError:
                    continue
        for each in working:
            ray.kill(each.actor)


def _amount(count: float, noun: str) -> str:
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def _cause(error: ActorDiedError) -> str:
    """The last line of what Ray shows of an error in a constructor: the exception itself."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
