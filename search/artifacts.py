"""Keeps the files of each new incumbent: model, learning curve, confusion matrix, wrongly classified images."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from objectives.protocol import ResumableTraining
from storage.artifacts import ArtifactStore, attributes, put
from storage.engine import Database
from storage.errors import ArtifactsUnavailable
from storage.leases import Lease
from storage.records import EpochRecord, read_best, read_epochs

log = logging.getLogger(__name__)

# (training after its last epoch, its epochs) -> files by name
FilesOf = Callable[[ResumableTraining, Sequence[EpochRecord]], Mapping[str, bytes]]


class IncumbentArtifacts:
    """The artifacts of a worker's trials, in the store that all workers share.

    >>> leases.finish(held, "complete", value=value,              # doctest: +SKIP
    ...               system_attributes=artifacts.keep(held, "maximize", value, training, files_of))
    """

    def __init__(self, database: Database, store: ArtifactStore) -> None:
        self._database = database
        self._store = store
        self._warned = False

    def keep(
        self,
        held: Lease,
        direction: Literal["maximize", "minimize"],
        value: float,
        training: ResumableTraining,
        files_of: FilesOf | None,
    ) -> dict[str, str]:
        """Stores the files if the trial, which is about to be complete, is better than all that are.

        Returns the system attributes that make them the trial's, as JSON texts; without files, or a better trial, none.
        A store that cannot be written costs the trial its artifacts, not its result.
        """
        if files_of is None:
            return {}
        epochs = read_epochs(self._database, held.trial_id)
        best = read_best(self._database, held.stored.study_id, direction)
        sign = 1 if direction == "maximize" else -1
        if best is not None and (sign * best[0], -best[1]) >= (sign * value, -epochs[-1].validation_loss):
            return {}
        try:
            kept = attributes(put(self._store, files_of(training, epochs)))
        except ArtifactsUnavailable as error:
            if not self._warned:
                log.warning("%s; trials go on without artifacts", error)
            self._warned = True
            return {}
        return {key: json.dumps(value) for key, value in kept.items()}
