"""A trial is computed with the threads and the piece that it began with, whoever takes it over."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import optuna
import pytest
import torch

from models.cnn import CNN
from objectives.measurement import Measurement
from objectives.processor import usable_cores
from search.engines.processes import hire
from search.machine.division import Division, Measured, Room, Share
from search.machine.division_file import conditions, torch_version, write_division
from search.machine.measuring import USUAL_STEPS, Steps
from search.machine.other_programs import OtherPrograms, ProcessorSeconds
from search.machine.settings import Settings
from search.machine.this_machine import Files, Machine
from search.machine.threads import FittingThreads
from search.spec.document import Document
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.studies.joining import JoinedStudy, join
from search.studies.this_worker import this_worker
from search.worker.events import EpochFinished, Event, TrialFinished
from search.worker.loop import work, workplace
from search.worker.objective import Objective, build_objective
from storage.computing import Computing
from storage.engine import open_for_work
from storage.hosts import this_host
from storage.studies import find_study
from tests.forked import hypersearch

DIGITS: Document = {
    "study": {"name": "s", "trials": 2, "pruner": "none", "sampler": "random"},
    "data": {"dataset": "digits"},
    "training": {"epochs": 3},
    "model": {"channels": [4, 8], "hidden_units": 16},
    # More than a piece has.
    "space": {"batch_size": 128, "dropout": 0.3, "normalization": "layer"},
}


@pytest.fixture(autouse=True)
def _threads_put_back() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Lab:
    """A study of real images that workers with different numbers of threads and pieces take turns
    at.
    """

    def __init__(self, folder: Path, cache_root: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir()
        self._file = folder / "a.db"
        files = Files(str(folder / "artifacts"), folder / "checkpoints")
        self.machine = Machine(folder, cache_root, folder, files, device="cpu")

    def work(
        self,
        computing: Computing,
        until: Callable[[Event], bool] = lambda event: False,
        fitting: FittingThreads | None = None,
    ) -> list[Measurement]:
        """A worker with these; what the epochs that it trained gave, but for what the clock
        says.
        """
        machine = replace(self.machine, threads=computing.threads, piece=computing.piece)
        database, rdb = open_for_work(f"sqlite:///{self._file}")
        measured = []
        with database:
            joined = join(database, rdb, Request(DIGITS, {}, "test"))

            def choose() -> list[JoinedStudy]:
                return [JoinedStudy(find_study(database, "s"), joined.spec)]

            def build(joined: JoinedStudy) -> Objective:
                objective = build_objective(joined.spec, machine, stored=joined.stored)
                return replace(objective, files_of=None, fitting=fitting)

            with (
                workplace(database, rdb, this_worker(this_host(), "-", 0), machine.files) as place,
                closing(work(place, rdb, choose, build)) as stream,
            ):
                for event in stream:
                    if isinstance(event, EpochFinished):
                        measured.append(
                            replace(event.measurement, seconds=0.0, images_per_second=0.0)
                        )
                    if until(event):
                        break
        return measured

    def objective(self, threads: int | None, kept: Division | None) -> Objective:
        """What a worker builds that is told its threads, or not, where that was measured before."""
        root = self.machine.files.checkpoint_root.parent / "division"
        if kept is not None:
            known = conditions("cpu", usable_cores(), torch_version(), os.environ)
            root.mkdir()
            write_division(root, known, kept)
        machine = replace(self.machine, threads=threads, division_root=root)
        return build_objective(parse_spec(DIGITS), machine)

    def attempts(self) -> list[tuple[int, str, int, int | None]]:
        """(trial, device, threads, piece) of each, in order."""
        with closing(sqlite3.connect(self._file)) as connection:
            query = (
                "SELECT trial_id, device, threads, piece FROM hypersearch_attempt ORDER BY"
                " trial_id, attempt"
            )
            return connection.execute(query).fetchall()

    def change(self, statement: str) -> None:
        with closing(sqlite3.connect(self._file)) as connection:
            connection.execute(statement)
            connection.commit()


@pytest.fixture
def lab(tmp_path: Path, mnist_5k_cache: Path) -> Lab:
    return Lab(tmp_path / "lab", mnist_5k_cache)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, mnist_5k_cache: Path
) -> list[Measurement]:
    """The epochs of both trials by a worker with 1 thread and pieces of 32."""
    return Lab(tmp_path_factory.mktemp("undisturbed") / "lab", mnist_5k_cache).work(
        Computing(1, 32)
    )


def after_the_first_epoch(event: Event) -> bool:
    return isinstance(event, EpochFinished)


def test_a_trial_that_is_taken_over_keeps_threads_piece_and_values_and_the_next_does_not(
    lab: Lab, undisturbed: list[Measurement], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    forward = CNN.forward

    def spy(model: CNN, images: torch.Tensor) -> torch.Tensor:
        if model.training:
            computed.append((torch.get_num_threads(), len(images) <= 32))
        return forward(model, images)

    monkeypatch.setattr(CNN, "forward", spy)
    first = lab.work(Computing(1, 32), until=after_the_first_epoch)
    rest = lab.work(Computing(2, 64))
    assert lab.attempts() == [(1, "cpu", 1, 32), (1, "cpu", 1, 32), (2, "cpu", 2, 64)]
    assert [*first, *rest[:2]] == undisturbed[:3]
    # If a trial did not keep its own, that would be seen.
    assert rest[2:] != undisturbed[3:]
    assert list(dict.fromkeys(computed)) == [(1, True), (2, False)]


class Crowded:
    """A machine whose cores others have taken: one thread trains best."""

    device = "cpu"

    def start(self, count: int) -> None:
        pass

    def images_per_second(self, share: Share, steps: Steps = USUAL_STEPS) -> float | None:
        return 500.0 / share.threads

    def room(self) -> Room:
        return Room(workers=1)


def test_a_worker_whose_cores_others_take_has_fewer_threads_from_the_next_new_trial_on(
    lab: Lab,
) -> None:
    seconds = count(0.0, 100.0)
    others = partial(
        OtherPrograms, lambda: 0.0, lambda: ProcessorSeconds(2 * (now := next(seconds)), now)
    )
    said: list[str] = []
    fitting = FittingThreads(
        2,
        most=2,
        cores=2,
        say=said.append,
        others=others,
        open_measuring=lambda: nullcontext(Crowded()),
    )
    lab.work(Computing(2, 32), until=after_the_first_epoch, fitting=fitting)
    lab.work(Computing(2, 32), fitting=fitting)
    assert said == [
        "other programs use 50 % of the processor: this worker goes on with 1 thread (was: 2)"
    ]
    assert lab.attempts() == [(1, "cpu", 2, 32), (1, "cpu", 2, 32), (2, "cpu", 1, 32)]


KEPT = Division(
    "cpu", 2, Share(1, 2), (Measured(Share(1, 2), 900.0),), 0.0, "2026-11-26T00:00:00+00:00", 128
)


@pytest.mark.parametrize(
    ("threads", "kept", "computing", "is_fitted"),
    [
        (None, KEPT, Computing(2, 128), True),
        (1, KEPT, Computing(1, 128), False),
        (1, None, Computing(1, 64), False),
    ],
)
def test_new_trials_have_what_was_measured_for_one_worker_and_what_was_asked_for(
    lab: Lab, threads: int | None, kept: Division | None, computing: Computing, is_fitted: bool
) -> None:
    objective = lab.objective(threads, kept)
    assert (objective.computing, objective.fitting is not None) == (computing, is_fitted)


@pytest.mark.parametrize(("asked", "crew"), [(None, 2), (1, 0)])
def test_the_workers_of_a_crew_fit_their_threads_unless_somebody_asked_for_them(
    lab: Lab, asked: int | None, crew: int
) -> None:
    machine = replace(lab.machine, threads=asked).shared(Share(2, 1))
    environment = hire(2, machine, "sqlite:///a.db", None, quiet=True).environment
    there = Settings.from_environment(environment).machine(
        lab.machine.files, device="cpu", threads=1
    )
    assert (machine.threads, there.crew) == (1, crew)
    assert (
        build_objective(parse_spec(DIGITS), replace(lab.machine, threads=1, crew=crew)).fitting
        is not None
    ) == (asked is None)


def test_a_trial_of_an_earlier_version_goes_on_with_64_images_at_a_time(lab: Lab) -> None:
    lab.work(Computing(1, 64), until=after_the_first_epoch)
    lab.change("UPDATE hypersearch_attempt SET piece = NULL")
    lab.work(Computing(1, 16), until=lambda event: isinstance(event, TrialFinished))
    assert lab.attempts() == [(1, "cpu", 1, None), (1, "cpu", 1, 64)]


def test_more_threads_than_cores_are_kept_but_nothing_of_another_kind_of_device(lab: Lab) -> None:
    lab.work(Computing(1, 32), until=after_the_first_epoch)
    lab.change("UPDATE hypersearch_attempt SET device = 'cuda:0', piece = NULL")
    lab.work(Computing(2, 64), until=after_the_first_epoch)
    lab.change("UPDATE hypersearch_attempt SET threads = 3 WHERE attempt = 2")
    lab.work(Computing(2, 16), until=after_the_first_epoch)
    assert lab.attempts() == [(1, "cuda:0", 1, None), (1, "cpu", 3, 64), (1, "cpu", 3, 64)]


def test_threads_beyond_all_bounds_are_not_kept(lab: Lab) -> None:
    lab.work(Computing(1, 32), until=after_the_first_epoch)
    lab.change("UPDATE hypersearch_attempt SET threads = 100000")
    lab.work(Computing(1, 16), until=lambda event: isinstance(event, TrialFinished))
    assert lab.attempts() == [(1, "cpu", 100000, 32), (1, "cpu", 1, 16)]


def test_a_trial_that_begins_anew_keeps_its_own_too(
    lab: Lab, undisturbed: list[Measurement]
) -> None:
    """Where no checkpoint can be read, say."""
    lab.work(Computing(1, 32), until=after_the_first_epoch)
    lab.change("UPDATE hypersearch_epoch SET checkpoint = NULL, checkpoint_sha256 = NULL")
    again = lab.work(Computing(2, 64), until=lambda event: isinstance(event, TrialFinished))
    assert again == undisturbed[:3]


@pytest.mark.parametrize(
    ("environment", "piece"), [({}, 64), ({"HYPERSEARCH_PIECE": "32"}, 32)], ids=repr
)
def test_a_worker_without_a_measurement_has_64_images_at_a_time_or_as_many_as_its_environment_says(
    environment: dict[str, str], piece: int, tmp_path: Path, mnist_5k_cache: Path
) -> None:
    (tmp_path / "cache" / "hypersearch").mkdir(parents=True)
    (tmp_path / "cache" / "hypersearch" / "decoded").symlink_to(
        mnist_5k_cache, target_is_directory=True
    )
    command = ("--storage", "sqlite:///a.db", "--study", "s")
    small = (
        "--set",
        "model.channels=[4]",
        "--set",
        "model.hidden_units=8",
        "--epochs",
        "1",
        "--trials",
        "1",
    )
    done = hypersearch(
        tmp_path,
        *("run", "--dataset", "digits", "--threads", "1", "--device", "cpu", *command, *small),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        **environment,
    )
    assert done.returncode == 0, done.stderr
    shown = hypersearch(
        tmp_path, "compare", "s", "--storage", "sqlite:///a.db", "--json", "--timings"
    )
    (trial,) = json.loads(shown.stdout)["trials"]
    assert (trial["device"], trial["threads"], trial["piece"]) == ("cpu", 1, piece)
    without = hypersearch(tmp_path, "compare", "s", "--storage", "sqlite:///a.db", "--json")
    assert {"device", "threads", "piece"} & json.loads(without.stdout)["trials"][0].keys() == set()
