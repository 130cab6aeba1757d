"""Looking again and again: it leaves the database alone most of the time, and outlasts its
absence.
"""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import hypersearch
from lab.faults.proxy import Proxy
from lab.servers import Server
from search.analysis.status import Status
from search.engines.following import (
    PATIENCE_SECONDS,
    Unanswered,
    look_again,
    watch_status,
    watch_studies,
)
from search.machine.this_machine import Files
from search.report.live import Page, show_pages
from search.report.watching import list_pages, status_pages
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.studies import control
from search.studies.joining import create_or_join
from storage.engine import open_database
from storage.errors import StorageUnavailable, StudyDeleted, StudyNotFound
from storage.hosts import this_host


def request(name: str) -> Request:
    document = {
        "study": {"name": name, "trials": 3},
        "data": {"dataset": "synthetic"},
        "training": {"epochs": 2},
    }
    return Request(parse_spec(document).to_document(), {}, "test")


def test_most_of_the_time_nobody_looks() -> None:
    # The first look takes 10 ms, the second one a second.
    moments = iter([0.0, 0.01, 10.0, 11.0])
    slept: list[float] = []
    looks = look_again(lambda: "seen", slept.append, lambda: next(moments))
    assert [next(looks), next(looks)] == ["seen", "seen"]
    # The moments have run out.
    with pytest.raises(RuntimeError):
        next(looks)
    assert slept == [2.0, 9.0]


def test_a_watch_outlasts_a_database_that_goes_away(postgresql: Server) -> None:
    url = postgresql.database("watched")
    create_or_join(url, request("watched"))
    with Proxy(postgresql.port) as proxy:
        through_proxy = postgresql.url("watched", proxy.port)
        acts = (proxy.close_all, proxy.mend, lambda: control.stop(url, "watched", this_host()))
        found = []
        with open_database(through_proxy, patience_seconds=PATIENCE_SECONDS) as database:
            looks = watch_status(database, "watched")
            for act in acts:
                look = next(looks)
                found.append(look.record.stored.state if isinstance(look, Status) else type(look))
                act()
            assert [look.record.stored.state for look in looks if isinstance(look, Status)] == [
                "ended"
            ]
    assert found == ["open", Unanswered, "open"]


def test_what_was_never_there_is_not_waited_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    create_or_join(url, request("there"))
    with open_database(url) as database:
        with pytest.raises(StudyNotFound):
            next(watch_status(database, "not-there"))

        def away() -> None:
            raise StorageUnavailable("away")

        with pytest.raises(StorageUnavailable):
            next(look_again(away))


def test_a_study_that_is_deleted_or_made_anew_is_watched_no_more(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    for is_made_anew in (False, True):
        create_or_join(url, request("gone"))
        with open_database(url) as database:
            looks = watch_status(database, "gone")
            next(looks)
            control.delete(
                url, "gone", Files(str(tmp_path / "artifacts"), tmp_path / "checkpoints")
            )
            if is_made_anew:
                create_or_join(url, request("gone"))
            with pytest.raises(StudyDeleted):
                next(looks)


def test_a_log_gets_a_line_where_something_is_new(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    hypersearch.run(parse_spec(request("one").document or {}), storage=url)
    with open_database(url) as database:
        statuses = list(watch_status(database, "one"))
        records = next(watch_studies(database))
        assert not isinstance(records, Unanswered)
    out = StringIO()
    show_pages(status_pages([*statuses, Unanswered("it is gone"), *statuses]), Console(file=out))
    show_pages(list_pages([records, records]), Console(file=out))
    state, away, listed = out.getvalue().splitlines()
    assert state.startswith(
        "study one: ended (its budget of trials is used up), 3/3 trials finished"
    )
    assert "; best trial " in state
    assert away == "the database does not answer (it is gone): looking again until Ctrl-C"
    assert listed == state.partition("; best trial")[0]


def test_a_terminal_shows_the_last_page_in_the_place_of_the_one_before() -> None:
    out = StringIO()
    show_pages(
        [Page("first", ("a",)), Page("second", ("b",))],
        Console(file=out, force_terminal=True, width=40),
    )
    assert out.getvalue().index("first") < out.getvalue().rindex("second")
    # The line is erased.
    assert "\x1b[2K" in out.getvalue()
