"""What the storage costs a trial beside stock Optuna, in turns in one process: time, statements,
writes.
"""

import argparse
import math
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from sqlalchemy import Engine, event

from benchmarks.figures import machine, spread
from benchmarks.timed_leases import LeaseSeconds
from lab.servers import PostgreSQLServer
from objectives.costs import Costs
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Measurement
from objectives.predicted import Predicted
from objectives.protocol import Pulse, ResumableTraining
from objectives.synthetic import made_up_predictions
from search.algorithms.distributions import distribution
from search.space.domains import Choice, Range, Value
from search.space.search_space import SearchSpace
from search.spec.definition import stored_spec
from search.spec.document import Document
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.studies.joining import JoinedStudy, join
from search.studies.this_worker import this_worker
from search.worker.artifacts import IncumbentArtifacts
from search.worker.events import Event, TrialFinished
from search.worker.loop import work
from search.worker.objective import Objective
from search.worker.workplace import Workplace
from storage.artifacts import open_artifact_store
from storage.computing import Computing
from storage.engine import open_for_work
from storage.hosts import this_host
from storage.leases.keeper import Keeper
from storage.leases.taking import TrialLeases
from storage.studies import find_study

EPOCHS = 10
# A checkpoint holds the default network's float32 weights and Adam's two moments of each.
CHECKPOINT_BYTES = 3 * 4 * 338_006
# The space has eight parameters with what else there always is; augmentation is pinned.
EIGHT_PARAMETERS: Document = {
    "optimizer": ["adam", "adamw"],
    "adam.weight_decay": False,
    "adamw.weight_decay": False,
    "scheduler": ["constant", "cosine"],
    "l1": False,
    "dropout": False,
    "label_smoothing": False,
    "augmentation": False,
}
STOCK_SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=0),
    "tpe": lambda: TPESampler(multivariate=True, group=True, seed=0),
}


def eight_parameters(sampler: str, **study: str | int) -> Document:
    """A study of trials with eight parameters and ten epochs that nothing trains."""
    return {
        "study": {"name": "s", "trials": 10**6, "sampler": sampler, "pruner": "asha", **study},
        "data": {"dataset": "synthetic"},
        "training": {"epochs": EPOCHS},
        "space": EIGHT_PARAMETERS,
    }


@dataclass
class Statements:
    """What the thread that made this sends to a database: statements, and transactions that change
    something.
    """

    sent: int = 0
    writes: int = 0

    def listen(self, engine: Engine) -> None:
        """Counts from now on."""
        own, changed = threading.get_ident(), False

        def execute(connection: object, cursor: object, statement: str, *_: object) -> None:
            nonlocal changed
            if threading.get_ident() == own and not statement.startswith("BEGIN"):
                self.sent += 1
                changed = changed or statement.startswith(("INSERT", "UPDATE", "DELETE"))

        def commit(connection: object) -> None:
            nonlocal changed
            if threading.get_ident() == own:
                self.writes, changed = self.writes + changed, False

        event.listen(engine, "before_cursor_execute", execute)
        event.listen(engine, "commit", commit)


def improving(trial: int) -> float:
    """The metric of all epochs of the so manieth trial: better than any before, so that none is
    pruned.
    """
    return 1 - 1 / (trial + 2)


class Curve:
    """A training that only waits: a ResumableTraining."""

    def __init__(self, value: float, content: bytes = b"", epoch_seconds: float = 0.0) -> None:
        self.epoch = 0
        self._value = value
        self._content = content
        self._epoch_seconds = epoch_seconds

    def __iter__(self) -> "Curve":
        return self

    def __next__(self) -> Measurement:
        if self.epoch == EPOCHS:
            raise StopIteration
        # Sleeping for no time takes 80 us.
        if self._epoch_seconds:
            time.sleep(self._epoch_seconds)
        self.epoch += 1
        value = self._value
        return Measurement(self.epoch, 0.0, value, 0.0, value, value, value, 0.1, 0.0, 0.01, 1e5)

    def costs(self) -> Costs:
        """None: there is no network."""
        return Costs(0, 0, 0.0)

    def predictions(self) -> Predicted:
        """As the made-up curves' are."""
        return made_up_predictions("validation", self._value, "benchmark")

    def checkpoint(self, epoch: int | None = None) -> bytes:
        """The content."""
        return self._content


@contextmanager
def our_trials(
    url: str, sampler: str, folder: Path, content: bytes = b"", first: int = 0
) -> Iterator[tuple[Iterator[Event], Engine, LeaseSeconds]]:
    """The events of a worker from its `first` trial on, its engine, and how long its leases take.

    It writes a checkpoint after each epoch where there is content for one, else none.
    """
    numbers = count(first)

    def train(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        return Curve(improving(next(numbers)), content)

    database, rdb = open_for_work(url)
    with database:
        joined = join(database, rdb, Request(eight_parameters(sampler), {}, "benchmark"))

        def choose() -> list[JoinedStudy]:
            stored = find_study(database, joined.stored.name)
            return [JoinedStudy(stored, stored_spec(stored))]

        leases = TrialLeases(database, rdb, this_worker(this_host(), "-", 0))
        seconds = LeaseSeconds.noted_of(leases)
        with Keeper(leases) as keeper:
            artifacts = IncumbentArtifacts(database, open_artifact_store(str(folder / "artifacts")))
            place = Workplace(
                database, leases, keeper, folder, artifacts, 0.0 if content else math.inf
            )
            with closing(
                work(place, rdb, choose, lambda spec: Objective(train, "none", Computing(1)))
            ) as events:
                yield events, database.engine, seconds


def finish_one(events: Iterator[Event]) -> None:
    """Runs our worker until it has finished a trial."""
    for each in events:
        if isinstance(each, TrialFinished):
            assert (each.outcome, each.epochs, len(each.parameters)) == (
                "complete",
                EPOCHS,
                8,
            ), each
            return


def stock_study(url: str, sampler: str) -> tuple[optuna.Study, Engine]:
    """A study as Optuna's documentation makes one."""
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(
        storage=storage,
        sampler=STOCK_SAMPLERS[sampler](),
        pruner=SuccessiveHalvingPruner(),
        direction="maximize",
    )
    return study, storage.engine


def stock_trial(study: optuna.Study, space: SearchSpace, value: float) -> None:
    """A trial by ask, suggest, report, should_prune and tell."""
    trial = study.ask()

    def suggest(name: str, domain: Choice | Range) -> Value:
        match distribution(domain):
            case CategoricalDistribution(choices=choices):
                chosen = trial.suggest_categorical(name, choices)
                assert chosen is not None
                return chosen
            case IntDistribution(low=low, high=high, log=log):
                return trial.suggest_int(name, low, high, log=log)
            case FloatDistribution(low=low, high=high, log=log):
                return trial.suggest_float(name, low, high, log=log)
        raise TypeError(name)

    space.suggest(suggest)
    for epoch in range(1, EPOCHS + 1):
        trial.report(value, epoch)
        assert not trial.should_prune()
    study.tell(trial, value)


@dataclass(frozen=True)
class Side:
    """Milliseconds of each measured trial, and what one sends to the database."""

    milliseconds: list[float]
    statements: float
    writes: float

    def __str__(self) -> str:
        return (
            f"{spread(self.milliseconds, 1)} ms, {self.statements:.1f} statements,"
            f" {self.writes:.1f} writes"
        )


def measure(
    urls: tuple[str, str], sampler: str, before: int, trials: int, content: bytes
) -> tuple[Side, Side]:
    """(ours, stock) of so many trials in turns, after so many `before`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        events, engine, _ = stack.enter_context(our_trials(urls[0], sampler, folder, content))
        study, stock_engine = stock_study(urls[1], sampler)
        space = parse_spec(eight_parameters(sampler)).space
        numbers = count()
        runs: tuple[Callable[[], None], Callable[[], None]] = (
            lambda: finish_one(events),
            lambda: stock_trial(study, space, improving(next(numbers))),
        )
        for _ in range(before):
            for run in runs:
                run()
        counted = (Statements(), Statements())
        for statements, each in zip(counted, (engine, stock_engine), strict=True):
            statements.listen(each)
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(trials):
            for run, milliseconds in zip(runs, taken, strict=True):
                started = time.perf_counter()
                run()
                milliseconds.append(1000 * (time.perf_counter() - started))
        stock_engine.dispose()
        ours, stock = (
            Side(milliseconds, statements.sent / trials, statements.writes / trials)
            for milliseconds, statements in zip(taken, counted, strict=True)
        )
    return ours, stock


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    backend: str
    sampler: str
    checkpoints: bool = False

    def __str__(self) -> str:
        return f"{self.backend}, {self.sampler}{', checkpoints' * self.checkpoints}"


CASES = [
    *(
        Case(backend, sampler)
        for backend in ("sqlite", "postgresql")
        for sampler in ("random", "tpe")
    ),
    *(Case(backend, "random", checkpoints=True) for backend in ("sqlite", "postgresql")),
]
QUICK = [Case("sqlite", "random"), Case("postgresql", "random")]


def main() -> None:
    """Prints the machine and a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--before", type=int, default=30, help="finished trials before the first measured one"
    )
    parser.add_argument("--trials", type=int, default=40, help="measured trials")
    parser.add_argument(
        "--quick", action="store_true", help="random sampler alone, 10 trials after 5"
    )
    arguments = parser.parse_args()
    before, trials = (5, 10) if arguments.quick else (arguments.before, arguments.trials)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna warns that the option group=True is experimental.
    warnings.simplefilter("ignore", ExperimentalWarning)
    print(machine("optuna", "sqlalchemy", "psycopg"))
    print(
        f"8 parameters, {EPOCHS} epochs, asha, {before} finished trials before; n = {trials}, "
        "a trial as median (min..max)"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgreSQLServer(Path(folder) / "postgresql") as server,
    ):
        for case in QUICK if arguments.quick else CASES:
            name = f"{case.sampler}_{case.checkpoints}".lower()
            if case.backend == "sqlite":
                urls = (f"sqlite:///{folder}/ours_{name}.db", f"sqlite:///{folder}/stock_{name}.db")
            else:
                urls = (server.database(f"ours_{name}"), server.database(f"stock_{name}"))
            content = os.urandom(CHECKPOINT_BYTES) if case.checkpoints else b""
            ours, stock = measure(urls, case.sampler, before, trials, content)
            pairs = zip(ours.milliseconds, stock.milliseconds, strict=True)
            print(f"{case}\n  ours  {ours}\n  stock {stock}")
            print(
                f"  ours / stock {spread([own / theirs for own, theirs in pairs], 2)}", flush=True
            )


if __name__ == "__main__":
    main()
