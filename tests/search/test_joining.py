"""How processes meet over a study that one of them has just made."""

import threading

import pytest
from optuna.study import StudyDirection
from sqlalchemy import event

from search.document import Document
from search.study import Request, create_or_join
from storage.engine import open_for_work
from storage.errors import ForeignStudy, StudyNotFound
from storage.studies import find_study

DOCUMENT: Document = {"study": {"name": "met"}, "data": {"dataset": "synthetic"}}


def test_a_study_made_while_it_is_looked_for_is_not_taken_for_somebody_elses(url: str) -> None:
    database, _ = open_for_work(url)
    looked = threading.Event()
    made: list[threading.Thread] = []

    def make_it(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "studies" in statement and not looked.is_set():  # after the first look, before a second one
            looked.set()
            made.append(threading.Thread(target=create_or_join, args=(url, Request(DOCUMENT, {}, "test"))))
            made[0].start()
            made[0].join(timeout=5)

    with database:
        event.listen(database.engine, "after_cursor_execute", make_it)
        with pytest.raises(StudyNotFound):
            find_study(database, "met")
        made[0].join()
        assert find_study(database, "met").state == "open"


def test_a_study_of_plain_optuna_is_somebody_elses(url: str) -> None:
    database, optunas = open_for_work(url)
    with database:
        optunas.create_new_study([StudyDirection.MAXIMIZE], "theirs")
        with pytest.raises(ForeignStudy, match="made by plain Optuna"):
            find_study(database, "theirs")
