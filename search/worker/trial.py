"""One trial in the hands of a worker: from its configuration to what is recorded of its end."""

import json
import logging
from collections.abc import Callable, Generator
from typing import TypeVar

from optuna.storages import BaseStorage

from objectives.checkpoint import SavedCheckpoint
from objectives.costs import Costs, shown_cost
from objectives.errors import CheckpointError, ProcessSpent
from objectives.measurement import Diverged
from objectives.protocol import ResumableTraining
from search.space.configuration import Configuration
from search.space.domains import Value
from search.spec.durations import duration
from search.spec.study_spec import StudySpec
from search.worker.checkpoints import TrialCheckpoints
from search.worker.course import TrialCourse
from search.worker.ending import Ending, reason_of, recorded_answers
from search.worker.events import (
    EpochFinished,
    Event,
    FollowUpTraining,
    TrialFinished,
    TrialOutcome,
    TrialStarted,
)
from search.worker.objective import Objective
from search.worker.planned import PlannedDone, end_as_planned, how_to_train
from search.worker.versions import versions
from search.worker.workplace import Workplace
from storage.errors import LeaseLost, StorageUnavailable, StudyDeleted
from storage.leases.lease import Lease
from storage.records import read_checkpoints
from storage.sampled_trials import SampledTrials
from storage.studies import StudyState

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class _OverTime(Exception):
    pass


class Trial:
    """A trial that is held: trains it, records it, and ends it or hands it back.

    >>> for event in Trial(place, optunas, held, spec).run(objective):   # doctest: +SKIP
    ...     print(event)
    """

    def __init__(
        self,
        place: Workplace,
        optunas: BaseStorage,
        held: Lease,
        spec: StudySpec,
        sampled: SampledTrials | None = None,
    ) -> None:
        self._place = place
        self._leases = place.leases
        self._held = held
        self._spec = spec
        self._course = TrialCourse(place, optunas, held, spec, sampled)
        self._checkpoints = TrialCheckpoints(
            place.checkpoint_root, held, place.checkpoint_seconds, place.monotonic
        )
        self._training: ResumableTraining | None = None
        self._parameters: dict[str, Value] = {}
        # The costs are measured where the study asks for them.
        self._costs: Costs | None = None
        # So long took those epochs of earlier attempts that are kept.
        self._spent_seconds = 0.0

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
        # After all patience the trial could not be handed back either.
        except StorageUnavailable:
            raise
        # Somebody goes on with the trial; if it fails everywhere, it is given up in time.
        except Exception as error:
            self._hand_back(f"its worker failed: {reason_of(error)}")
            if not isinstance(error, ProcessSpent):
                objective.check()
            raise
        # Ctrl-C comes here, and a generator that is closed.
        except BaseException:
            self._hand_back()
            raise
        finally:
            self._place.keeper.release()

    def _train(self, objective: Objective) -> Generator[Event, None, Ending | None]:
        """Trains until it is known how the trial ends; `None` where it was handed back."""
        if self._held.attempt > 1 and (lost := self._leases.times_lost(self._held)) is not None:
            return Ending("failed", None, "given up", f"given up: {lost} workers died in it")
        self._course.load()
        configuration = self._course.configuration()
        self._parameters = configuration.active
        if self._course.is_over:
            # Its worker died before it could end it.
            return self._by_pruner(self._course.stop_where_due())
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
            state = self._course.record(training, measured, self._checkpoints)
            value = self._course.values[measured.epoch]
            yield EpochFinished(self._held.number, measured, value)
            if measured.epoch == self._spec.training.epochs:
                continue
            if (stopped := self._stopped(state, value)) is not None:
                return stopped
            if state == "paused":
                self._hand_back()
                yield self._finished("handed back", None, "the study is paused")
                return None
        return self._completed(objective, training)

    def _stopped(self, state: StudyState, value: float) -> Ending | None:
        """How an epoch that is not the last one has ended the trial; `None` where it goes on."""
        if state == "ended":
            # A training of a follow-up that was not finished leaves its slot to another.
            if self._course.planned is not None:
                return Ending("failed", None, "study ended", "the study ended")
            return Ending("pruned", value, "study ended", "the study ended")
        return self._by_pruner(value) if self._course.is_over else None

    def _completed(self, objective: Objective, training: ResumableTraining) -> Ending:
        """How a trial ends that has trained all its epochs."""
        value = self._course.last_value
        assert value is not None
        answered = self._guarded(objective, training.predictions)
        if isinstance(answered, Ending):
            return answered
        if (planned := self._course.planned) is not None:
            done = PlannedDone(planned, training, answered, value)
            return self._guarded(
                objective,
                lambda: end_as_planned(self._place, self._held, self._spec, objective, done),
            )
        kept = self._place.artifacts.keep(
            self._held, self._spec.direction, value, training, objective.files_of
        )
        return Ending("complete", value, attributes=kept, predictions=answered)

    def _guarded(self, objective: Objective, step: Callable[[], Result]) -> Result | Ending:
        """A step of training, or how it has ended the trial."""
        try:
            return step()
        except (LeaseLost, StudyDeleted, StorageUnavailable, ProcessSpent):
            raise
        except _OverTime:
            last = self._course.last_value
            limit = duration(self._spec.training.timeout_seconds or 0.0)
            return Ending("pruned", last, "time limit", f"over its time limit of {limit}")
        except Diverged as diverged:
            # The call `optuna.Trial.set_constraint("diverged", 1.0)` writes this: samplers rank an
            # infeasible trial last.
            infeasible = {"constraints:diverged": "1.0"}
            return Ending("pruned", None, "diverged", f"diverged: {diverged}", infeasible)
        # Whatever a training may raise is the trial's failure, and the worker goes on.
        except Exception as error:
            objective.check()
            log.debug("trial %d failed", self._held.number, exc_info=True)
            return Ending("failed", None, "error", reason_of(error))

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

    def _start(
        self, objective: Objective, configuration: Configuration, pulse: Callable[[], None]
    ) -> ResumableTraining:
        """From the last checkpoint that can be read, else from the seed: the same values, later."""
        train = how_to_train(
            objective, self._course.planned, configuration, self._course.seed, self._held.computing
        )
        recorded = (
            read_checkpoints(self._place.database, self._held.trial_id)
            if self._held.attempt > 1
            else []
        )
        for last in reversed(recorded):
            if (content := self._checkpoints.load(last)) is None:
                continue
            try:
                training = train(content, pulse)
            except CheckpointError:
                continue
            self._course.go_on_after(last.epoch)
            self._spent_seconds = sum(each.seconds for each in recorded[: last.epoch])
            self._checkpoints.training_starts(last)
            return training
        if recorded:
            self._course.go_on_after(0)
        training = train(None, pulse)
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

    def _started(self, training: ResumableTraining) -> TrialStarted:
        held = self._held
        return TrialStarted(
            held.stored.name,
            held.number,
            held.attempt,
            self._parameters,
            training.epoch,
            self._for_follow_up(),
            self._spec.planned_trials,
        )

    def _for_follow_up(self) -> FollowUpTraining | None:
        follow_up, planned = self._held.stored.follow_up, self._course.planned
        if follow_up is None or planned is None:
            return None
        return FollowUpTraining(follow_up, self._spec.metric, planned)

    def _by_pruner(self, value: float) -> Ending:
        return Ending("pruned", value, "pruner", f"by {self._spec.pruner.name}")

    def _end(self, ending: Ending) -> TrialFinished:
        costs = self._costs
        bounds = (
            {}
            if costs is None
            # `optuna.Trial.set_constraint` writes these: above 0 is infeasible.
            else {
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
            system_attributes={**bounds, **ending.attributes, **versions()},
            predictions=(
                None
                if ending.predictions is None
                else recorded_answers("validation", ending.predictions)
            ),
            also=ending.also,
        )
        self._checkpoints.remove()
        finished = self._finished(ending.outcome, ending.value, ending.reason)
        if ending.outcome == "complete":
            self._place.artifacts.see_to_them(self._held.stored)
        return finished

    def _hand_back(self, failure: str | None = None) -> None:
        # Lost attempts are counted: see LOST_CAP.
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
        # Whatever a broken training may raise, its trial is handed back.
        except Exception as error:
            log.warning(
                "trial %d is handed back without a checkpoint of its last epoch: %s",
                self._held.number,
                reason_of(error),
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
            len(self._course.values),
            self._parameters,
            reason,
            self._for_follow_up(),
        )
