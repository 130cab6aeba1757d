"""The course of a trial that is held: what it trains, and what is recorded and judged of it."""

from collections.abc import Mapping
from dataclasses import asdict

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from objectives.measurement import Measurement
from objectives.protocol import ResumableTraining
from search.algorithms.planned import planned_configuration
from search.algorithms.pruners import due_attribute, due_epoch, is_audited, is_due
from search.algorithms.samplers import Drawn, build_sampler, draw, trial_seed
from search.spec.follow_up import PlannedTraining
from search.spec.study_spec import StudySpec
from search.worker.checkpoints import TrialCheckpoints
from search.worker.workplace import Workplace
from storage.errors import LeaseLost
from storage.leases.lease import Lease
from storage.leases.optuna_storage import EndsAlone, LeasedStorage
from storage.records import EpochRecord
from storage.sampled_trials import SampledTrials
from storage.studies import StudyState


class TrialCourse:
    """Draws the configuration of a trial, records its epochs, and asks the pruner about each.

    >>> course.load()                                       # doctest: +SKIP
    >>> training = train(course.configuration(), course.seed)
    >>> state = course.record(training, next(training), checkpoints)
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
        self._storage = LeasedStorage(optunas, place.leases, held)
        # The sampler sees the study in this way.
        seen_as = EndsAlone if spec.minimize else LeasedStorage
        self._sampled = seen_as(optunas, place.leases, held, sampled)
        self._is_audited = is_audited(spec, held.number)
        # The epoch after which the pruner would stop the trial.
        self._due: int | None = None
        # The plan is what a follow-up's slot says; None: the trial of a search, whose configuration
        # is drawn.
        self.planned = None if held.slot is None else PlannedTraining.from_json(held.slot.content)
        # The study's metric by epoch.
        self.values: dict[int, float] = {}

    @property
    def last_value(self) -> float | None:
        """The metric after the last recorded epoch; `None` before the first."""
        return self.values[max(self.values)] if self.values else None

    @property
    def is_over(self) -> bool:
        """Whether the pruner has found the trial due, and it is no audit, which goes on."""
        return self._due is not None and not self._is_audited

    @property
    def seed(self) -> int:
        """All that is drawn in the training comes from this seed."""
        if self.planned is not None:
            return self.planned.seed
        return trial_seed(self._spec.seed, self._held.number, "trial")

    def load(self) -> None:
        """Reads what is recorded of the trial; nothing is where it was made for this lease."""
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

    def configuration(self) -> Drawn:
        """The recorded configuration of a trial that was taken over, or a fresh one, recorded."""
        if self._frozen.params:
            return Drawn(dict(self._frozen.params), dict(self._frozen.distributions))
        if self.planned is not None:
            planned = planned_configuration(self._spec.space, self.planned.values)
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

    def stop_where_due(self) -> float:
        """The value at which a worker that died found the trial due; what came after is forgotten
        here.
        """
        assert self._due is not None
        self._keep_until(self._due)
        return self.values[self._due]

    def go_on_after(self, epochs: int) -> None:
        """What is recorded after so many epochs is measured again."""
        self._leases.resume_at(self._held, epochs)
        self._keep_until(epochs)

    def _keep_until(self, epochs: int) -> None:
        reported = self._frozen.intermediate_values
        self.values = {epoch: value for epoch, value in reported.items() if epoch <= epochs}

    def record(
        self, training: ResumableTraining, measurement: Measurement, checkpoints: TrialCheckpoints
    ) -> StudyState:
        """Records an epoch, with a checkpoint if one is due; returns the study's state.

        Raises:
            LeaseLost: the trial is not this worker's any more.
        """
        value = measurement.metric(self._spec.metric)
        # Judged before it is recorded: the verdict goes with the report, and whoever takes the
        # trial over keeps to it.
        verdict = self._judge(measurement.epoch, value)
        saved = checkpoints.save_if_due(training)
        try:
            record = EpochRecord(**asdict(measurement))
            state = self._leases.report(self._held, record, value, saved, verdict)
        except LeaseLost:
            if saved is not None:
                checkpoints.discard(saved)
            raise
        self.values[measurement.epoch] = value
        self._place.keeper.epoch_took(measurement.seconds)
        if saved is not None:
            checkpoints.is_named(saved)
        return state

    def _judge(self, epoch: int, value: float) -> dict[str, str]:
        """What to record where the trial is due to be stopped, for the first time and before its
        last epoch.
        """
        self._frozen.intermediate_values = self.values | {epoch: value}
        is_last = epoch == self._spec.training.epochs
        # Nothing that a follow-up has planned is stopped early.
        if self._due is not None or self.planned is not None or is_last:
            return {}

        def read() -> list[FrozenTrial]:
            return self._storage.get_all_trials(self._held.stored.study_id, deepcopy=False)

        if not is_due(self._spec, self._frozen, read):
            return {}
        self._due = epoch
        return due_attribute(epoch)


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
