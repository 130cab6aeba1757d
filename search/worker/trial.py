"""One trial in the hands of a worker: from its configuration to what is recorded of its end."""

import json
import logging
import platform
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection

from objectives.checkpoint import CHECKPOINT_SECONDS, SavedCheckpoint
from objectives.costs import Costs, shown_cost
from objectives.errors import CheckpointError, ProcessSpent, is_out_of_memory
from objectives.measurement import Diverged, Measurement
from objectives.predicted import Predicted
from objectives.protocol import ResumableTraining
from search.algorithms.planned import planned_configuration
from search.algorithms.pruners import due_attribute, due_epoch, is_audited, is_due
from search.algorithms.samplers import Drawn, build_sampler, derived_seed, draw
from search.space.configuration import Configuration
from search.space.domains import Value
from search.spec.durations import duration
from search.spec.follow_up import Training as Planned
from search.spec.study_spec import StudySpec
from search.worker.artifacts import IncumbentArtifacts
from search.worker.checkpoints import TrialCheckpoints
from search.worker.events import EpochFinished, Event, TrialFinished, TrialOutcome, TrialStarted
from search.worker.objective import Objective
from search.worker.readings import read_test
from storage.artifact_names import MODEL_FILE
from storage.engine import Database
from storage.errors import LeaseLost, StorageUnavailable, StudyDeleted
from storage.leases.keeper import Keeper
from storage.leases.lease import Lease
from storage.leases.optuna_storage import EndsAlone, LeasedStorage
from storage.leases.recording import Cause, Outcome
from storage.leases.taking import TrialLeases
from storage.predictions import SplitPredictions
from storage.records import EpochRecord, read_checkpoints
from storage.schema import VERSIONS_KEY
from storage.studies import StudyState

log = logging.getLogger(__name__)
VERSIONED = ("hypersearch", "numpy", "torch")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Workplace:
    """What a worker works with, whatever the study."""

    database: Database
    leases: TrialLeases
    keeper: Keeper
    checkpoint_root: Path  # of this database alone
    artifacts: IncumbentArtifacts
    # of training, at least, between two that are written
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Ending:
    """How a trial ends: what is recorded of it, with `attributes` as JSON texts."""

    outcome: Outcome
    value: float | None
    cause: Cause | None = None
    reason: str | None = None  # the cause in words, with its particulars
    attributes: Mapping[str, str] = field(default_factory=dict)
    predictions: Predicted | None = None  # on the validation split
    # What else is recorded in the same transaction.
    also: Callable[[Connection], None] = lambda connection: None


class _OverTime(Exception):
    pass


class Trial:
    """A trial that is held: trains it, records it, and ends it or hands it back.

    >>> for event in Trial(place, optunas, held, spec).run(objective):   # doctest: +SKIP
    ...     print(event)
    """

    def __init__(
        self, place: Workplace, optunas: BaseStorage, held: Lease, spec: StudySpec
    ) -> None:
        self._place = place
        self._leases = place.leases
        self._held = held
        self._spec = spec
        self._storage = LeasedStorage(optunas, place.leases, held)
        # What the sampler sees.
        self._sampled = EndsAlone(optunas, place.leases, held) if spec.minimize else self._storage
        self._checkpoints = TrialCheckpoints(
            place.checkpoint_root, held, place.checkpoint_seconds, place.monotonic
        )
        self._training: ResumableTraining | None = None
        self._parameters: dict[str, Value] = {}
        self._values: dict[int, float] = {}  # of the study's metric, by epoch
        self._due: int | None = None  # the epoch after which the pruner would stop it
        self._audited = is_audited(spec, held.number)
        # What a follow-up's slot says; None: the trial of a search, whose configuration is drawn.
        self._planned = None if held.slot is None else Planned.from_json(held.slot.content)
        self._costs: Costs | None = None  # where the study asks for them
        self._spent_seconds = 0.0  # in epochs of earlier attempts that are kept

    def run(self, objective: Objective) -> Generator[Event]:
        """Trains the trial to its end. Closing the generator hands it back, as any error of the
        storage does.

        Raises ProcessSpent, the trial handed back, where this process can train no more.
        """
        self._place.keeper.hold(self._held)
        try:
            if (ending := (yield from self._train(objective))) is not None:
                yield self._end(ending)
        except (LeaseLost, StudyDeleted) as lost:
            yield self._finished("lost", None, str(lost))
        except StorageUnavailable:  # after all patience: nor could the trial be handed back
            raise
        # somebody goes on with the trial; if it fails everywhere, it is given up in time
        except Exception as error:
            self._hand_back(f"its worker failed: {_reason(error)}")
            if not isinstance(error, ProcessSpent):
                objective.check()
            raise
        except BaseException:  # Ctrl-C, a closed generator
            self._hand_back()
            raise
        finally:
            self._place.keeper.release()

    def _train(self, objective: Objective) -> Generator[Event, None, Ending | None]:
        """Trains until it is known how the trial ends; `None` where it was handed back."""
        if self._held.attempt > 1 and (lost := self._leases.times_lost(self._held)) is not None:
            return Ending("failed", None, "given up", f"given up: {lost} workers died in it")
        self._load()
        configuration = self._configuration()
        self._parameters = configuration.active
        if self._due is not None and not self._audited:  # its worker died before it could end it
            self._values = {
                epoch: value
                for epoch, value in self._frozen.intermediate_values.items()
                if epoch <= self._due
            }
            return self._by_pruner(self._values[self._due])
        pulse = self._pulse()
        training = self._guarded(objective, lambda: self._start(objective, configuration, pulse))
        if isinstance(training, Ending):
            return training
        self._training = training
        yield self._started(training)
        over = self._guarded(objective, lambda: self._over_a_bound(training))
        if over is not None:
            return over
        while (measured := self._guarded(objective, lambda: next(training, None))) is not None:
            if isinstance(measured, Ending):
                return measured
            state = self._record(training, measured)
            value = self._values[measured.epoch]
            yield EpochFinished(self._held.number, measured, value)
            if measured.epoch == self._spec.training.epochs:
                continue
            if state == "ended":
                # A training of a follow-up that was not finished leaves its slot to another.
                if self._planned is not None:
                    return Ending("failed", None, "study ended", "the study ended")
                return Ending("pruned", value, "study ended", "the study ended")
            if self._due is not None and not self._audited:
                return self._by_pruner(value)
            if state == "paused":
                self._hand_back()
                yield self._finished("handed back", None, "the study is paused")
                return None
        value = self._values[max(self._values)]
        answered = self._guarded(objective, training.predictions)
        if isinstance(answered, Ending):
            return answered
        if self._planned is not None:
            planned = self._planned
            return self._guarded(
                objective, lambda: self._as_planned(planned, objective, training, answered)
            )
        kept = self._place.artifacts.keep(
            self._held, self._spec.direction, value, training, objective.files_of
        )
        return Ending("complete", value, attributes=kept, predictions=answered)

    def _as_planned(
        self,
        planned: Planned,
        objective: Objective,
        training: ResumableTraining,
        answered: Predicted,
    ) -> Ending:
        """What a follow-up needs of this training beside its curve: its model, or the test split
        read with it.
        """
        value = self._values[max(self._values)]
        kept: Mapping[str, str] = {}
        if planned.keeps_model and objective.model_of is not None:
            kept = self._place.artifacts.keep_file(MODEL_FILE, objective.model_of(training))
        if planned.purpose != "test":
            return Ending("complete", value, attributes=kept, predictions=answered)
        assert objective.open_test is not None
        also = read_test(
            self._place.database,
            self._held,
            self._spec,
            planned,
            training,
            objective.open_test,
            self._place.artifacts.load,
        )
        return Ending("complete", value, attributes=kept, predictions=answered, also=also)

    def _guarded(self, objective: Objective, step: Callable[[], Result]) -> Result | Ending:
        """A step of training, or how it has ended the trial."""
        try:
            return step()
        except (LeaseLost, StudyDeleted, StorageUnavailable, ProcessSpent):
            raise
        except _OverTime:
            last = self._values[max(self._values)] if self._values else None
            limit = duration(self._spec.training.timeout_seconds or 0.0)
            return Ending("pruned", last, "time limit", f"over its time limit of {limit}")
        except Diverged as diverged:
            # What `optuna.Trial.set_constraint("diverged", 1.0)` writes: samplers rank an
            # infeasible trial last.
            infeasible = {"constraints:diverged": "1.0"}
            return Ending("pruned", None, "diverged", f"diverged: {diverged}", infeasible)
        # whatever a training may raise is the trial's failure, and the worker goes on
        except Exception as error:
            objective.check()
            log.debug("trial %d failed", self._held.number, exc_info=True)
            return Ending("failed", None, "error", _reason(error))

    def _pulse(self) -> Callable[[], None]:
        """What training calls at every step; it raises LeaseLost, _OverTime."""
        started = self._place.monotonic()
        limit = self._spec.training.timeout_seconds

        def pulse() -> None:
            self._place.keeper.moved()
            spent = self._spent_seconds + self._place.monotonic() - started
            if limit is not None and spent > limit:
                raise _OverTime

        return pulse

    def _load(self) -> None:
        self._study = optuna.load_study(
            study_name=self._held.stored.name,
            storage=self._sampled,
            sampler=build_sampler(self._spec, self._held.number),
        )
        self._frozen = (
            new_trial(self._held)
            if self._held.is_new
            else self._storage.get_trial(self._held.trial_id)
        )
        self._due = due_epoch(self._frozen)

    def _configuration(self) -> Drawn:
        """The recorded configuration of a trial that was taken over, or a fresh one, recorded."""
        if self._frozen.params:
            return Drawn(dict(self._frozen.params), dict(self._frozen.distributions))
        if self._planned is not None:
            planned = planned_configuration(self._spec.space, self._planned.values)
            return self._recorded(planned, {})
        first = self._spec.first_trials
        fixed = dict(first[self._held.number]) if self._held.number < len(first) else {}
        with self._sampled.one_view() as notes:
            configuration = draw(self._spec.space, self._study, self._frozen, fixed)
        return self._recorded(configuration, notes)

    def _recorded(self, configuration: Drawn, notes: Mapping[str, str]) -> Drawn:
        internal = configuration.internal()
        self._leases.record_parameters(self._held, internal, configuration.distributions, notes)
        self._frozen.params = dict(configuration.values)
        self._frozen.distributions = configuration.distributions
        return configuration

    def _seed(self) -> int:
        if self._planned is not None:
            return self._planned.seed
        return derived_seed(self._spec.seed, self._held.number, "trial")

    def _start(
        self, objective: Objective, configuration: Configuration, pulse: Callable[[], None]
    ) -> ResumableTraining:
        """From the last checkpoint that can be read, else from the seed: the same values, later."""
        hyperparameters = configuration.hyperparameters()
        seed = self._seed()
        recorded = (
            read_checkpoints(self._place.database, self._held.trial_id)
            if self._held.attempt > 1
            else []
        )
        for last in reversed(recorded):
            if (content := self._checkpoints.load(last)) is None:
                continue
            try:
                training = objective.train(
                    hyperparameters, seed, self._held.computing, content, pulse
                )
            except CheckpointError:
                continue
            self._go_on_after(last.epoch)
            self._spent_seconds = sum(each.seconds for each in recorded[: last.epoch])
            self._checkpoints.training_starts(last)
            return training
        if recorded:
            self._go_on_after(0)
        training = objective.train(hyperparameters, seed, self._held.computing, None, pulse)
        self._checkpoints.training_starts()
        return training

    def _over_a_bound(self, training: ResumableTraining) -> Ending | None:
        """Measures what the network costs, if the study asks for it, and ends the trial where that
        is over a bound.
        """
        if not (self._spec.minimize or self._spec.constraints):
            return None
        self._costs = training.costs()
        for name, bound in self._spec.constraints:
            if (cost := self._costs.of(name)) > bound:
                over = f"{name} {shown_cost(cost)} is over {shown_cost(bound)}"
                return Ending("pruned", None, "bound", f"infeasible: {over}")
        return None

    def _go_on_after(self, epochs: int) -> None:
        self._leases.resume_at(self._held, epochs)
        reported = self._frozen.intermediate_values
        self._values = {epoch: value for epoch, value in reported.items() if epoch <= epochs}

    def _started(self, training: ResumableTraining) -> TrialStarted:
        held = self._held
        return TrialStarted(
            held.stored.name, held.number, held.attempt, self._parameters, training.epoch
        )

    def _record(self, training: ResumableTraining, measurement: Measurement) -> StudyState:
        value = measurement.metric(self._spec.metric)
        # Judged before it is recorded: the verdict goes with the report, and whoever takes the
        # trial over keeps to it.
        verdict = self._judge(measurement.epoch, value)
        saved = self._checkpoints.save_if_due(training)
        try:
            record = EpochRecord(**asdict(measurement))
            state = self._leases.report(self._held, record, value, saved, verdict)
        except LeaseLost:
            if saved is not None:
                self._checkpoints.discard(saved)
            raise
        self._values[measurement.epoch] = value
        self._place.keeper.epoch_took(measurement.seconds)
        if saved is not None:
            self._checkpoints.is_named(saved)
        return state

    def _judge(self, epoch: int, value: float) -> dict[str, str]:
        """What to record where the trial is due to be stopped, for the first time and before its
        last epoch.
        """
        self._frozen.intermediate_values = self._values | {epoch: value}
        if self._due is not None or epoch == self._spec.training.epochs:
            return {}

        def read() -> list[FrozenTrial]:
            return self._storage.get_all_trials(self._held.stored.study_id, deepcopy=False)

        if not is_due(self._spec, self._frozen, read):
            return {}
        self._due = epoch
        return due_attribute(epoch)

    def _by_pruner(self, value: float) -> Ending:
        return Ending("pruned", value, "pruner", f"by {self._spec.pruner.name}")

    def _end(self, ending: Ending) -> TrialFinished:
        costs = self._costs
        bounds = (
            {}
            if costs is None
            else {  # what `optuna.Trial.set_constraint` writes: above 0 is infeasible
                f"constraints:{name}": json.dumps(costs.of(name) - bound)
                for name, bound in self._spec.constraints
            }
        )
        self._leases.finish(
            self._held,
            ending.outcome,
            value=ending.value,
            costs=() if costs is None else [costs.of(name) for name in self._spec.minimize],
            cause=ending.cause,
            reason=ending.reason,
            system_attributes={**bounds, **ending.attributes, **_versions()},
            predictions=None if ending.predictions is None else _stored(ending.predictions),
            also=ending.also,
        )
        self._checkpoints.remove()
        finished = self._finished(ending.outcome, ending.value, ending.reason)
        if ending.outcome == "complete":
            self._place.artifacts.see_to_them(self._held.stored)
        return finished

    def _hand_back(self, failure: str | None = None) -> None:
        # lost ones are counted: see LOST_CAP
        outcome = "handed_back" if failure is None else "lost"
        try:
            saved = self._save_for_the_next() if failure is None else None
            is_given = self._leases.hand_back(self._held, outcome, failure, saved)
        except StorageUnavailable as error:
            log.warning("trial %d is left to expire: %s", self._held.number, error)
            return
        if saved is not None:
            (self._checkpoints.is_named if is_given else self._checkpoints.discard)(saved)

    def _save_for_the_next(self) -> SavedCheckpoint | None:
        """The state after the last epoch that is recorded, also from the middle of the next one."""
        # What the database holds decides: an interruption may have come while an epoch was
        # recorded.
        if self._training is None or (epoch := self._leases.unsaved_epoch(self._held)) is None:
            return None
        try:
            return self._checkpoints.save(self._training, epoch)
        except Exception as error:  # whatever a broken training may raise, its trial is handed back
            log.warning(
                "trial %d is handed back without a checkpoint of its last epoch: %s",
                self._held.number,
                _reason(error),
            )
            return None

    def _finished(
        self, outcome: TrialOutcome, value: float | None, reason: str | None
    ) -> TrialFinished:
        held = self._held
        return TrialFinished(
            held.stored.name,
            held.number,
            held.attempt,
            outcome,
            value,
            len(self._values),
            self._parameters,
            reason,
        )


@cache
def _versions() -> dict[str, str]:
    """As a system attribute, of what the values of a training depend on by rounding."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return {VERSIONS_KEY: json.dumps(found)}


def _stored(answered: Predicted) -> SplitPredictions:
    return SplitPredictions(
        "validation",
        answered.split_sha256,
        answered.labels,
        answered.classes,
        answered.true_probabilities,
    )


def new_trial(held: Lease) -> FrozenTrial:
    """What Optuna's storage would read of a trial that was just made, but for the time."""
    return FrozenTrial(
        number=held.number,
        trial_id=held.trial_id,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=None,
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _reason(error: Exception) -> str:
    # No database holds a zero character, or the surrogates that stand for bytes of a path that are
    # not UTF-8.
    text = (
        str(error)
        .strip()
        .partition("\n")[0]
        .replace("\0", "\\x00")
        .encode(errors="backslashreplace")
        .decode()
    )
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"out of memory: {said}" if is_out_of_memory(error) else said
