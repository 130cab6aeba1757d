"""How processes meet over a study that one of them has just made."""

import json
import threading
from pathlib import Path

import pytest
from optuna.study import StudyDirection
from sqlalchemy import event, update

from search.spec.document import Document, SpecError
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.studies.joining import create_or_join
from storage.engine import open_for_work
from storage.errors import ForeignStudy, StudyNotFound
from storage.schema import study
from storage.studies import find_study

DOCUMENT: Document = {"study": {"name": "met"}, "data": {"dataset": "synthetic"}}


def test_a_study_made_while_it_is_looked_for_is_not_taken_for_somebody_elses(url: str) -> None:
    database, _ = open_for_work(url)
    looked = threading.Event()
    made: list[threading.Thread] = []

    def make_it(connection: object, cursor: object, statement: str, *_: object) -> None:
        # The change comes after the first look, before a second one.
        if "studies" in statement and not looked.is_set():
            looked.set()
            made.append(
                threading.Thread(target=create_or_join, args=(url, Request(DOCUMENT, {}, "test")))
            )
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


def joined(url: str, document: Document | None, changes: Document | None = None) -> StudySpec:
    return create_or_join(
        url, Request(document, changes or {"study": {"name": "older"}}, "asked")
    ).spec


def make_older(url: str) -> None:
    """A study of a folder as version 3 stored it: split by rows, with startup trials of its own."""
    document: Document = {
        "study": {
            "name": "older",
            "sampler": {"name": "tpe", "startup_trials": 7, "startup": "random"},
        },
        "data": {"dataset": "images:x", "image_size": 16},
        "training": {"epochs": 5},
        "space": {"dropout": False},
        "trial": [{"optimizer": "sgd"}],
    }
    joined(url, document)
    database, _ = open_for_work(url)
    with database, database.transactions.write() as connection:
        definition = json.loads(
            str(connection.scalar(study.select().with_only_columns(study.c.definition)))
        )
        del definition["data"]["split_version"]
        connection.execute(update(study).values(definition=json.dumps(definition | {"version": 3})))


def test_what_a_request_does_not_name_is_as_it_was_stored(url: str) -> None:
    make_older(url)
    stored = joined(url, None)
    assert (stored.data.split_version, stored.data.image_size, stored.training.epochs) == (1, 16, 5)
    requests: list[Document] = [
        {"study": {"name": "older"}},
        {"study": {"name": "older", "sampler": "tpe"}},
        {"study": {"name": "older", "sampler": {"name": "tpe", "startup_trials": 7}}},
        {"study": {"name": "older"}, "data": {"dataset": "images:x"}, "space": {"dropout": False}},
    ]
    for document in requests:
        assert joined(url, document) == stored


@pytest.mark.parametrize(
    ("named", "differs"),
    [
        (
            {"data": {"dataset": "images:x", "split_version": 2}},
            "data.split_version = 2: study 'older' has 1 there",
        ),
        (
            {"data": {"dataset": "digits"}},
            'data.dataset = "digits": study \'older\' has "images:x" there',
        ),
        ({"study": {"sampler": {"name": "tpe", "startup_trials": 5}}}, "study.sampler = "),
        ({"study": {"sampler": "gp"}}, "study.sampler = "),
        (
            {"space": {"weight_decay": False}},
            "space.adagrad.weight_decay = false: study 'older' has ",
        ),
        ({"training": {"epochs": 8}}, "training.epochs = 8: study 'older' has 5 there"),
        ({"data": {"image_size": 24}}, "data.image_size = 24: study 'older' has 16 there"),
        ({"data": {"folds": 4}}, "data.folds = 4: study 'older' has null there"),
        ({"data": {"resize": "pad"}}, 'data.resize = "pad": study \'older\' has "crop" there'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_request_names_must_be_as_it_was_stored(
    named: Document, differs: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    make_older(url)
    with pytest.raises(SpecError) as refused:
        joined(url, named)
    assert any(fault.startswith(differs) for fault in refused.value.faults)
