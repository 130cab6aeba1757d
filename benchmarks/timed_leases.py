"""The leases of a worker, with a clock."""

import time
from collections.abc import Mapping, Sequence

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage

from storage.engine import Database
from storage.leases.lease import Lease, Worker
from storage.leases.recording import Cause, Outcome
from storage.leases.taking import TrialLeases
from storage.studies import StoredStudy, StudyState
from storage.study_data import TrainingData


class TimedLeases(TrialLeases):
    """Notes the seconds of each acquire, from there to the configuration (reading, sampling), and
    of each finish.
    """

    def __init__(self, database: Database, optunas: BaseStorage, me: Worker) -> None:
        super().__init__(database, optunas, me)
        self.acquire_seconds: list[float] = []
        self.suggest_seconds: list[float] = []
        self.finish_seconds: list[float] = []
        self._taken_at = 0.0

    def acquire(
        self, stored: StoredStudy, most: int | None = None, data: TrainingData | None = None
    ) -> Lease:
        """As TrialLeases.acquire; where there is nothing to take, nothing is noted."""
        started = time.perf_counter()
        held = super().acquire(stored, most, data)
        self._taken_at = time.perf_counter()
        self.acquire_seconds.append(self._taken_at - started)
        return held

    def record_parameters(
        self,
        held: Lease,
        values: Mapping[str, float],
        distributions: Mapping[str, BaseDistribution],
        system_attributes: Mapping[str, str] | None = None,
    ) -> None:
        """As TrialLeases.record_parameters."""
        self.suggest_seconds.append(time.perf_counter() - self._taken_at)
        super().record_parameters(held, values, distributions, system_attributes)

    def finish(
        self,
        held: Lease,
        outcome: Outcome,
        *,
        value: float | None = None,
        costs: Sequence[float] = (),
        cause: Cause | None = None,
        reason: str | None = None,
        system_attributes: Mapping[str, str] | None = None,
    ) -> StudyState:
        """As TrialLeases.finish."""
        started = time.perf_counter()
        state = super().finish(
            held,
            outcome,
            value=value,
            costs=costs,
            cause=cause,
            reason=reason,
            system_attributes=system_attributes,
        )
        self.finish_seconds.append(time.perf_counter() - started)
        return state
