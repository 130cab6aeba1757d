"""Keeps the files of each new incumbent: the model, tables, and what its pictures are drawn
from.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from objectives.protocol import ResumableTraining
from search.worker.drawing import undrawn
from search.worker.pictures import EXAMINATION
from storage.artifact_store import ArtifactStore
from storage.artifacts import attributes, read
from storage.direction import Direction
from storage.engine import Database
from storage.errors import ArtifactsUnavailable
from storage.leases.lease import Lease
from storage.owners import Owner
from storage.records import EpochRecord, read_best, read_epochs
from storage.studies import StoredStudy

log = logging.getLogger(__name__)

# The function maps a training after its last epoch, and its epochs, to files by name.
FilesOf = Callable[[ResumableTraining, Sequence[EpochRecord]], Mapping[str, bytes]]


class IncumbentArtifacts:
    """The artifacts of a worker's trials, in the store that all workers share.

    A store that cannot be written costs trials their artifacts, not their results: it is told once.
    `draw` has what the incumbents of the study of that name lack of pictures drawn, and does not
    wait for it.

    >>> kept = artifacts.keep(held, Direction.UP, value, training, files_of)     # doctest: +SKIP
    >>> leases.finish(held, "complete", value=value, system_attributes=kept)   # doctest: +SKIP
    >>> artifacts.see_to_them(held.stored)                                     # doctest: +SKIP
    """

    def __init__(
        self,
        database: Database,
        store: ArtifactStore,
        draw: Callable[[str], None] = lambda study: None,
    ) -> None:
        self._database = database
        self._store = store
        self._draw = draw
        self._owner: Owner | None = None
        # A trial is about to name these files.
        self._named: Mapping[str, bytes] = {}
        self._warned = False

    def claim(self) -> None:
        """Lets no other database remove what trials of this one name already."""
        with self._told_once():
            self._owned()

    def keep(
        self,
        held: Lease,
        direction: Direction,
        value: float,
        training: ResumableTraining,
        files_of: FilesOf | None,
    ) -> dict[str, str]:
        """Stores the files if the trial, which is about to be complete, is better than all that
        are.

        Returns the system attributes that make them the trial's, as JSON texts; without files, or a
        better trial, none.
        """
        if files_of is None:
            return {}
        epochs = read_epochs(self._database, held.trial_id)
        best = read_best(self._database, held.stored.study_id, direction)
        own = direction.order(value, epochs[-1].validation_loss, held.number)
        # The earlier one of equals has its files already, whatever its number.
        if best is not None and direction.order(*best, held.number) <= own:
            return {}
        with self._told_once():
            files = files_of(training, epochs)
            kept = attributes(self._owned().put(files))
            self._named = files
            return {key: json.dumps(value) for key, value in kept.items()}
        return {}

    def keep_file(self, name: str, content: bytes) -> dict[str, str]:
        """Stores one file, which somebody needs: the system attributes that make it the trial's, as
        JSON texts.

        Raises ArtifactsUnavailable.
        """
        self._named = {name: content}
        kept = attributes(self._owned().put(self._named))
        return {key: json.dumps(value) for key, value in kept.items()}

    def load(self, artifact_id: str) -> bytes:
        """Raises ArtifactsUnavailable, ArtifactDamaged."""
        return read(self._store, artifact_id)

    def see_to_them(self, stored: StoredStudy) -> None:
        """Once the trial names what was kept: brings back what a deletion elsewhere has removed
        meanwhile.

        Then its pictures are drawn.
        """
        named, self._named = self._named, {}
        if named:
            with self._told_once():
                self._owned().put(named)
        if EXAMINATION in named:
            self._draw(stored.name)

    def see_to_all(self, stored: StoredStudy) -> None:
        """Has the pictures drawn that a worker who died has left undrawn."""
        if undrawn(self._database, stored.study_id):
            self._draw(stored.name)

    def _owned(self) -> Owner:
        if self._owner is None:
            self._owner = Owner(self._database, self._store)
        return self._owner

    @contextmanager
    def _told_once(self) -> Iterator[None]:
        try:
            yield
        except ArtifactsUnavailable as error:
            if not self._warned:
                log.warning("%s; trials go on without artifacts", error)
            self._warned = True
