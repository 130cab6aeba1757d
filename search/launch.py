"""A study worked on by this process until it ends, whatever signals come."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import FrameType

from rich.console import Console

from search.analysis.ranking import incumbent
from search.live import Tally, choose_view, new_tally
from search.objective import Machine, build_objective
from search.spec import parse_spec
from search.study import JoinedStudy, Request, join, merge
from search.worker import work
from storage.engine import Database, open_for_work
from storage.records import read_study, read_trials
from storage.studies import find_study, first_failure


class Stopped(BaseException):
    """SIGINT or SIGTERM came."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        self.how_to_go_on = ""

    def __str__(self) -> str:
        what = "interrupted" if self.exit_code == 128 + signal.SIGINT else "terminated"
        return f"{what}; {self.how_to_go_on}" if self.how_to_go_on else what


class WorkFailed(Exception):
    """The study ended because trials failed."""

    def __init__(self, name: str, failed: int, reason: str | None) -> None:
        super().__init__(
            f"study {name!r} ended after {failed} failed trials; the first: {reason or 'no reason recorded'}; "
            "mend that and run it under another name with --study"
        )


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    joined: JoinedStudy
    had_ended: bool  # there was nothing left to do


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """The first SIGINT or SIGTERM raises, so that the trial is handed back; the second leaves at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can have handlers; a notebook's worker thread is stopped by its owner
        return

    def first(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda again, _: os._exit(128 + again))
        raise Stopped(number)

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_study(
    storage_url: str,
    request: Request,
    machine: Machine,
    *,
    host: str,
    console: Console,
    quiet: bool = False,
    on_joined: Callable[[JoinedStudy], None] = lambda joined: None,
) -> Outcome:
    """Creates or joins the study and works on it until it ends; progress goes to `console`.

    Raises:
        SpecError, ForeignStudy, StorageURLError, DataError, DeviceError: bad input.
        StorageUnavailable, DataUnavailable: out of reach.
        WorkFailed: the study ended because its trials failed.
    """
    from optuna import logging as optuna_logging
    from optuna.storages import get_storage

    optuna_logging.set_verbosity(optuna_logging.WARNING)
    parse_spec(merge(request.document or {}, request.changes), request.source)  # before anything is created
    database, rdb = open_for_work(storage_url)
    with database:
        optunas = get_storage(rdb)
        joined = join(database, optunas, request)
        on_joined(joined)
        had_ended = joined.stored.state == "ended"
        if not had_ended:
            objective = build_objective(joined.spec, machine, None if quiet else _decoding(console))
            with (
                signals_as_exceptions(),
                closing(work(database, optunas, joined, objective, host)) as events,
                choose_view(_tally(database, joined), console, quiet) as view,
            ):
                for event in events:
                    view.show(event)
        stored = find_study(database, joined.stored.name)
        if stored.end_reason == "failures":
            failed = read_study(database, stored).failed
            raise WorkFailed(stored.name, failed, first_failure(database, stored.study_id))
    return Outcome(JoinedStudy(stored, joined.spec, joined.notices), had_ended)


def _decoding(console: Console) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        if done == total:
            console.print(f"decoded {total:,} images, once for this machine", highlight=False)

    return show


def _tally(database: Database, joined: JoinedStudy) -> Tally:
    record = read_study(database, joined.stored)
    best = incumbent(read_trials(database, joined.stored.study_id), joined.spec.direction)
    return new_tally(
        record.finished,
        joined.spec.budget.trials,
        None if best is None else best.value,
        joined.spec.direction == "maximize",
    )
