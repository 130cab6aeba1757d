"""What a worker does where the data that it finds is not what a study was trained on so far."""

import logging
import math
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import optuna
import pytest
from PIL import Image
from sqlalchemy import update

from objectives.data.pixels import PixelScale
from objectives.data.source import DataFacts
from objectives.hyperparameters import Hyperparameters
from objectives.protocol import Pulse, ResumableTraining
from objectives.synthetic import synthetic_curve
from search.machine.this_machine import Files, Machine
from search.spec.definition import stored_spec
from search.spec.document import Document
from search.spec.request import Request
from search.studies.joining import JoinedStudy, join
from search.studies.this_worker import this_worker
from search.worker.events import EpochFinished, Event, StudyLeft, TrialFinished, TrialStarted
from search.worker.loop import work, workplace
from search.worker.objective import Objective, build_objective
from storage.computing import Computing
from storage.engine import open_for_work
from storage.errors import OtherData
from storage.hosts import this_host
from storage.records import TrialRecord, read_trials
from storage.schema import attempt, study
from storage.studies import find_study

OLD, NEW = DataFacts("a" * 64), DataFacts("b" * 64)
SCALED = DataFacts("b" * 64, (PixelScale("I;16", 0, 4095),))


IMAGES: Document = {
    "training": {"epochs": 4},
    "model": {"channels": [2, 2], "hidden_units": 4},
    "space": {"batch_size": 8, "optimizer": "adam"},
}

# Each study has the data that is found for it.
Found = Mapping[str, DataFacts | None]


def curve(
    hyperparameters: Hyperparameters,
    seed: int,
    computing: Computing,
    resume: bytes | None,
    pulse: Pulse,
) -> ResumableTraining:
    return synthetic_curve(hyperparameters, 8, seed, resume=resume, pulse=pulse)


class Lab:
    """A database, and workers on it that find made-up data."""

    def __init__(self, folder: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder = folder
        self.url = f"sqlite:///{folder}/a.db"

    def work(
        self, trials: int, found: Found, accept_data: bool = False, stop_after: float = math.inf
    ) -> list[Event]:
        """Works until each of the studies has so many trials, or after so many events."""
        database, rdb = open_for_work(self.url)
        events: list[Event] = []
        files = Files(str(self.folder / "artifacts"), self.folder / "checkpoints")
        with database:
            for name in found:
                document: Document = {
                    "study": {"name": name, "pruner": "none"},
                    "data": {"dataset": "synthetic"},
                }
                join(database, rdb, Request(document, {"study": {"trials": trials}}, "test"))

            def choose() -> list[JoinedStudy]:
                studies = [find_study(database, name) for name in found]
                return [
                    JoinedStudy(stored, stored_spec(stored))
                    for stored in studies
                    if stored.state != "ended"
                ]

            def build(joined: JoinedStudy) -> Objective:
                return Objective(curve, "cpu", Computing(1, 64), data=found[joined.stored.name])

            with (
                workplace(database, rdb, this_worker(this_host(), "-", 0), files) as place,
                closing(work(place, rdb, choose, build, accept_data=accept_data)) as stream,
            ):
                for event in stream:
                    events.append(event)
                    if len(events) >= stop_after:
                        break
        return events

    def trials(self, name: str) -> list[TrialRecord]:
        database, _ = open_for_work(self.url)
        with database:
            return read_trials(database, find_study(database, name).study_id)

    def forget_fingerprints(self) -> None:
        """Leaves what a database from before they were recorded holds."""
        database, _ = open_for_work(self.url)
        with database, database.transactions.write() as connection:
            connection.execute(update(study).values(data_fingerprint=None, pixel_scales=None))
            connection.execute(update(attempt).values(data_fingerprint=None))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def notices(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was told since it was asked last."""
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return told


def test_a_study_that_is_on_other_data_is_left_and_others_are_served(lab: Lab) -> None:
    lab.work(1, {"one": OLD})
    events = lab.work(2, {"one": NEW, "two": NEW})
    (left,) = (event for event in events if isinstance(event, StudyLeft))
    assert (left.study, type(left.error)) == ("one", OtherData)
    assert (
        str(left.error)
        == "study 'one' is on other data than synthetic (fingerprint aaaaaaaaaaaa, not"
        " bbbbbbbbbbbb): restore it, say where it lies with --data-map STORED=HERE or"
        " --data-root DIR, or go on with this by --accept-data"
    )
    assert [event.study for event in events if isinstance(event, TrialFinished)] == ["two", "two"]
    assert len(lab.trials("one")) == 1


def test_whoever_goes_on_with_other_data_first_says_so_once(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.work(1, {"s": OLD})
    assert notices(caplog) == []
    lab.work(3, {"s": NEW}, accept_data=True)
    assert notices(caplog) == [
        "study 's' goes on with other data, synthetic (fingerprint bbbbbbbbbbbb), not aaaaaaaaaaaa,"
        " from its trial 1 on: 'hypersearch compare s' says which trials had which"
    ]
    lab.work(4, {"s": NEW}, accept_data=True)
    assert notices(caplog) == []
    assert [trial.data_fingerprint for trial in lab.trials("s")] == [
        OLD.fingerprint,
        *[NEW.fingerprint] * 3,
    ]


@pytest.mark.parametrize(
    ("facts", "more"),
    [
        (NEW, ""),
        (
            SCALED,
            (
                ", and they were trained on pictures that were read in another way: their values do"
                " not compare"
            ),
        ),
    ],
)
def test_a_study_from_before_goes_on_and_says_since_when_its_data_is_known(
    facts: DataFacts, more: str, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.work(2, {"s": OLD})
    lab.forget_fingerprints()
    lab.work(4, {"s": facts})
    assert notices(caplog) == [
        "study 's' is on synthetic (fingerprint bbbbbbbbbbbb) from its trial 2 on; what its"
        f" earlier trials had is not recorded{more}"
    ]
    assert [trial.data_fingerprint for trial in lab.trials("s")] == [
        None,
        None,
        *[NEW.fingerprint] * 2,
    ]


@pytest.mark.parametrize(("found", "kept"), [(OLD, 3), (NEW, 0)])
def test_a_trial_goes_on_where_its_data_is_the_same_and_begins_anew_where_it_is_not(
    found: DataFacts, kept: int, lab: Lab
) -> None:
    # The worker stops after three epochs.
    lab.work(1, {"s": OLD}, stop_after=4)
    started, *events = lab.work(1, {"s": found}, accept_data=True)
    assert isinstance(started, TrialStarted)
    assert (started.number, started.attempt, started.epochs) == (0, 2, kept)
    assert [event.measurement.epoch for event in events if isinstance(event, EpochFinished)] == [
        *range(kept + 1, 9)
    ]
    (trial,) = lab.trials("s")
    assert [each.epoch for each in trial.epochs] == [*range(1, 9)]
    assert trial.data_fingerprint == found.fingerprint


def test_made_up_curves_have_no_data_and_need_none(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.work(1, {"s": None}, stop_after=4)
    started, *_ = lab.work(2, {"s": None})
    assert isinstance(started, TrialStarted)
    assert started.epochs == 3
    assert notices(caplog) == []
    assert [trial.data_fingerprint for trial in lab.trials("s")] == [None, None]


def train_on_images(
    folder: Path, stop_after: float = math.inf
) -> tuple[list[Event], list[TrialRecord]]:
    """Works on a study of `folder`/photos that accepts whatever lies there."""
    database, rdb = open_for_work(f"sqlite:///{folder}/a.db")
    files = Files(str(folder / "artifacts"), folder / "checkpoints")
    machine = Machine(
        folder, folder / "cache", folder, files, device="cpu", threads=1, accept_data=True
    )
    document: Document = {
        "study": {"name": "s", "trials": 1, "pruner": "none", "sampler": "random"},
        "data": {"dataset": f"images:{folder}/photos"},
        **IMAGES,
    }
    events: list[Event] = []
    with database:
        joined = join(database, rdb, Request(document, {}, "test"))

        def choose() -> list[JoinedStudy]:
            stored = find_study(database, "s")
            return [JoinedStudy(stored, joined.spec)] if stored.state != "ended" else []

        def build(joined: JoinedStudy) -> Objective:
            return build_objective(joined.spec, machine, stored=joined.stored)

        with (
            workplace(database, rdb, this_worker(this_host(), "-", 0), files) as place,
            closing(work(place, rdb, choose, build, accept_data=True)) as stream,
        ):
            for event in stream:
                events.append(event)
                if len(events) >= stop_after:
                    break
        return events, read_trials(database, joined.stored.study_id)


def make_images(folder: Path, row: int) -> None:
    """Ten images of noise in each of two classes, the first of which is the `row`th of all
    noise.
    """
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(0).randint(0, 256, (40, 8, 8)).astype(np.uint8)
    for place, image in enumerate([pixels[row], *pixels[1:20]]):
        Image.fromarray(image).save(folder / ("cat" if place < 10 else "dog") / f"{place:02}.png")


def curve_of(trial: TrialRecord) -> list[tuple[float, float]]:
    return [(epoch.train_loss, epoch.validation_loss) for epoch in trial.epochs]


def test_a_checkpoint_of_images_that_were_changed_since_has_no_part_in_what_is_trained(
    tmp_path: Path,
) -> None:
    curves = []
    for name in ("disturbed", "undisturbed"):
        if name == "disturbed":
            make_images(tmp_path / name / "photos", row=0)
            events, (trial,) = train_on_images(tmp_path / name, stop_after=3)
            assert [type(event) for event in events] == [TrialStarted, EpochFinished, EpochFinished]
            curves.append(curve_of(trial))
        make_images(tmp_path / name / "photos", row=20)
        (started, *_), (trial,) = train_on_images(tmp_path / name)
        assert isinstance(started, TrialStarted)
        assert (started.number, started.epochs) == (0, 0)
        curves.append(curve_of(trial))
    on_old_images, disturbed, undisturbed = curves
    assert disturbed == undisturbed
    assert on_old_images != disturbed[:2]
