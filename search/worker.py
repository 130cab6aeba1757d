"""The loop of one worker: take a trial, train it, record it; what happens comes out as events."""

import logging
import os
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal

import optuna
import psutil
from optuna.storages import BaseStorage

from objectives.measurement import Diverged, Measurement
from search.objective import Objective, Train
from search.pruners import build_pruner
from search.samplers import Configuration, build_sampler, derived_seed, draw
from search.space import Value, to_hyperparameters, without_switches
from search.study import JoinedStudy
from storage.engine import Database
from storage.errors import LeaseLost
from storage.leased import LeasedStorage
from storage.leases import Lease, NothingToTake, TrialLeases, Worker
from storage.studies import StudyState

log = logging.getLogger(__name__)
WAIT_SECONDS = 1.0  # between looks at a study whose last trials others hold


@dataclass(frozen=True)
class TrialStarted:
    """A trial was taken; `attempt` is above 1 where an earlier worker left it."""

    number: int
    attempt: int
    parameters: dict[str, Value]  # active ones, under their names in the spec


@dataclass(frozen=True)
class EpochFinished:
    """An epoch of the trial was recorded."""

    number: int
    measurement: Measurement
    value: float


@dataclass(frozen=True)
class TrialFinished:
    """The trial ended and was recorded."""

    number: int
    outcome: Literal["complete", "pruned", "failed", "lost"]
    value: float | None
    epochs: int
    parameters: dict[str, Value]
    reason: str | None = None


@dataclass(frozen=True)
class Waiting:
    """Others hold all that is left of the study."""


Event = TrialStarted | EpochFinished | TrialFinished | Waiting


def this_worker(host: str, device: str, threads: int) -> Worker:
    """This process as leases and attempts record it."""
    process = psutil.Process()
    return Worker(uuid.uuid4().hex, host, os.getpid(), process.create_time(), device, threads)


def work(
    database: Database,
    optunas: BaseStorage,
    joined: JoinedStudy,
    objective: Objective,
    host: str,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event]:
    """Takes trials of the study until there are none left. Closing the generator hands the trial back.

    >>> with closing(work(database, optunas, joined, objective, "laptop")) as events:   # doctest: +SKIP
    ...     for event in events: print(event)
    """
    leases = TrialLeases(database, optunas, this_worker(host, objective.device, objective.threads))
    while True:
        try:
            held = leases.acquire(joined.stored.study_id)
        except NothingToTake as nothing:
            if nothing.state != "open":
                return
            yield Waiting()
            sleep(WAIT_SECONDS)
            continue
        yield from _Trial(optunas, leases, held, joined).run(objective.train)


class _Trial:
    """One trial in the hands of this worker."""

    def __init__(self, optunas: BaseStorage, leases: TrialLeases, held: Lease, joined: JoinedStudy) -> None:
        self._leases = leases
        self._held = held
        self._spec = joined.spec
        self._storage = LeasedStorage(optunas, leases, held)
        self._study = optuna.load_study(
            study_name=joined.stored.name,
            storage=self._storage,
            sampler=build_sampler(joined.spec.sampler, joined.spec.seed, held.number),
            pruner=build_pruner(joined.spec.pruner),
        )
        self._frozen = self._storage.get_trial(held.trial_id)
        self._parameters: dict[str, Value] = {}
        self._values: dict[int, float] = {}  # of the study's metric, by epoch

    def run(self, train: Train) -> Generator[Event]:
        try:
            yield from self._run(train)
        except LeaseLost:
            yield self._finished("lost", None, "another worker has taken it over")
        except BaseException:  # Ctrl-C, a closed generator, a storage that is gone: somebody goes on with the trial
            self._leases.hand_back(self._held)
            raise

    def _run(self, train: Train) -> Generator[Event]:
        configuration = self._configuration()
        self._parameters = without_switches(configuration.values)
        yield TrialStarted(self._held.number, self._held.attempt, self._parameters)
        seed = derived_seed(self._spec.seed, self._held.number, "trial")
        epochs = None
        while True:
            try:
                epochs = epochs or train(to_hyperparameters(configuration.values), seed)
                measurement = next(epochs, None)
            except Diverged as diverged:
                yield self._diverged(diverged)
                return
            except Exception as error:  # whatever a training may raise is the trial's failure, and the worker goes on
                log.debug("trial %d failed", self._held.number, exc_info=True)
                yield self._end("failed", None, _reason(error))
                return
            if measurement is None:
                yield self._end("complete", self._values[max(self._values)], None)
                return
            value = measurement.metric(self._spec.metric)
            state = self._leases.report(self._held, measurement, value)
            self._values[measurement.epoch] = value
            yield EpochFinished(self._held.number, measurement, value)
            stop = self._stop_reason(measurement.epoch, state)
            if stop is not None:
                yield self._end("pruned", value, stop)
                return

    def _configuration(self) -> Configuration:
        """The recorded configuration of a trial that was taken over, or a fresh one, recorded."""
        if self._frozen.params:
            return Configuration(dict(self._frozen.params), dict(self._frozen.distributions))
        first = self._spec.first_trials
        fixed = dict(first[self._held.number]) if self._held.number < len(first) else {}
        configuration = draw(self._spec.space, self._study, self._frozen, fixed)
        self._leases.record_parameters(self._held, configuration.internal(), configuration.distributions)
        self._frozen.params = dict(configuration.values)
        self._frozen.distributions = configuration.distributions
        return configuration

    def _stop_reason(self, epoch: int, state: StudyState) -> str | None:
        if epoch == self._spec.training.epochs:
            return None
        if state == "ended":
            return "the study ended"
        self._frozen.intermediate_values = self._values
        return f"by {self._spec.pruner.name}" if self._study.pruner.prune(self._study, self._frozen) else None

    def _diverged(self, diverged: Diverged) -> TrialFinished:
        # What `optuna.Trial.set_constraint("diverged", 1.0)` writes: samplers rank an infeasible trial last.
        self._storage.set_trial_system_attr(self._held.trial_id, "constraints:diverged", 1.0)
        return self._end("pruned", None, f"diverged: {diverged}")

    def _end(
        self, outcome: Literal["complete", "pruned", "failed"], value: float | None, reason: str | None
    ) -> TrialFinished:
        target = self._spec.budget.target
        reached = False
        if outcome == "complete" and value is not None and target is not None:
            reached = value >= target if self._spec.direction == "maximize" else value <= target
        self._leases.finish(self._held, outcome, value=value, reason=reason, target_reached=reached)
        return self._finished(outcome, value, reason)

    def _finished(
        self, outcome: Literal["complete", "pruned", "failed", "lost"], value: float | None, reason: str | None
    ) -> TrialFinished:
        return TrialFinished(self._held.number, outcome, value, len(self._values), self._parameters, reason)


def _reason(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
