"""The Optuna storage that samplers and pruners of a worker see: every write of a trial carries the
worker's lease.
"""

import gc
import json
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from copy import copy

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from storage.errors import LeaseLost
from storage.leases.lease import Lease
from storage.leases.taking import TrialLeases
from storage.sampled_trials import SampledTrials
from storage.transactions import Result


class LeasedStorage(BaseStorage):
    """Reads pass through; a write of the trial that is held is fenced; every other write is
    refused.

    It wraps Optuna's cached storage rather than overriding RDBStorage, whose private methods that
    cache calls. A new abstract method of Optuna's then fails here at once instead of passing
    unfenced. Reading what is gone raises LeaseLost.
    """

    def __init__(
        self,
        optunas: BaseStorage,
        leases: TrialLeases,
        held: Lease,
        sampled: SampledTrials | None = None,
    ) -> None:
        self._optunas = optunas
        # One view is made of these trials, where the study is too large to look at all of it.
        self._sampled = sampled
        self._leases = leases
        self._held = held
        self._seen: list[FrozenTrial] | None = None
        self._gathered: dict[str, str] | None = None

    @contextmanager
    def one_view(self) -> Iterator[dict[str, str]]:
        """Inside, all trials are read once, and system attributes of the trial are gathered as JSON
        texts, not written.

        A sampler reads all trials several times for one configuration, and notes for others what it
        is about to draw; the notes go with the parameters.
        """
        self._gathered, self._seen = {}, None
        try:
            yield self._gathered
        finally:
            self._gathered, self._seen = None, None

    def _check(self, trial_id: int) -> None:
        if trial_id != self._held.trial_id:
            raise LeaseLost(trial_id)

    def _read(self, query: Callable[[], Result]) -> Result:
        try:
            return self._leases.persist_read(query)
        except KeyError:
            raise LeaseLost(self._held.trial_id) from None

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        self._check(trial_id)
        with self._leases.fenced(self._held):
            self._optunas.set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        # `TrialLeases.finish` ends a trial, with its lease.
        raise LeaseLost(trial_id)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self._check(trial_id)
        with self._leases.fenced(self._held):
            self._optunas.set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: object) -> None:
        self._check(trial_id)
        with self._leases.fenced(self._held):
            self._optunas.set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: object) -> None:
        self._check(trial_id)
        if self._gathered is not None:
            self._gathered[key] = json.dumps(value)
            return
        with self._leases.fenced(self._held):
            self._optunas.set_trial_system_attr(trial_id, key, value)  # type: ignore[arg-type]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        # `TrialLeases.acquire` creates trials, within the budget.
        raise LeaseLost(-1)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        raise LeaseLost(-1)

    def delete_study(self, study_id: int) -> None:
        raise LeaseLost(-1)

    def set_study_user_attr(self, study_id: int, key: str, value: object) -> None:
        raise LeaseLost(-1)

    def set_study_system_attr(self, study_id: int, key: str, value: object) -> None:
        raise LeaseLost(-1)

    def get_study_id_from_name(self, study_name: str) -> int:
        if study_name == self._held.stored.name:
            return self._held.stored.study_id
        return self._read(lambda: self._optunas.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._read(lambda: self._optunas.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._read(lambda: self._optunas.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, object]:
        return self._read(lambda: self._optunas.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, object]:
        return self._read(lambda: self._optunas.get_study_system_attrs(study_id))

    def get_all_studies(self):  # type: ignore[no-untyped-def]
        return self._read(self._optunas.get_all_studies)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._read(lambda: self._optunas.get_trial(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if self._gathered is None or deepcopy:
            with _no_garbage_collection():
                return self._read(lambda: self._optunas.get_all_trials(study_id, deepcopy, states))
        if self._seen is None:
            with _no_garbage_collection():
                self._seen = None if self._sampled is None else self._sampled.read()
                self._seen = self._seen or self._read(
                    lambda: self._optunas.get_all_trials(study_id, deepcopy=False)
                )
        return [trial for trial in self._seen if states is None or trial.state in states]


class EndsAlone(LeasedStorage):
    """As a sampler of several objectives sees it: nothing of what pruned trials reported.

    Optuna's TPE ranks pruned trials by their last report, for which it asks the study for its one
    direction.
    """

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [
            _without_reports(trial) for trial in super().get_all_trials(study_id, deepcopy, states)
        ]


def _without_reports(trial: FrozenTrial) -> FrozenTrial:
    if trial.state != TrialState.PRUNED:
        return trial
    bare = copy(trial)
    bare.intermediate_values = {}
    return bare


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # A worker's first look at 10,000 trials makes millions of objects that stay; searching them for
    # garbage again and again takes longer than all else.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
