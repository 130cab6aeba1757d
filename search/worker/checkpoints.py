"""The checkpoints of one trial: when its state is written, and which files are kept to go on
from.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from objectives.checkpoint import CheckpointFolder, SavedCheckpoint
from objectives.protocol import ResumableTraining
from storage.leases.lease import Lease
from storage.records import EpochCheckpoint

log = logging.getLogger(__name__)


class TrialCheckpoints:
    """Writes the state of a trial that is held once every so many seconds of training, and whenever
    it is asked to.

    A full disk costs a trial its checkpoints, not its result: that is said once.

    >>> saved = checkpoints.save_if_due(training)           # doctest: +SKIP
    >>> leases.report(held, measurement, value, saved)
    >>> checkpoints.is_named(saved)                         # from now on the last two are kept
    """

    def __init__(
        self, root: Path, held: Lease, every_seconds: float, monotonic: Callable[[], float]
    ) -> None:
        # The root is this database's alone.
        self._root = root
        self._held = held
        self._every_seconds = every_seconds
        self._monotonic = monotonic
        self._folder = CheckpointFolder(root / held.stored.uid / str(held.number), held.attempt)
        # Since then training has gone on, or since the last one was written.
        self._since = monotonic()
        # The database names these two last, the last one last.
        self._named: list[str] = []
        self._warned = False

    def load(self, last: EpochCheckpoint) -> bytes | None:
        """What is named there, from this database's folder or, where it was elsewhere then, from
        the one it had there.

        None where nothing is named, or where it cannot be read and verified.
        """
        if last.name is None or last.sha256 is None:
            return None
        content = self._folder.load(last.name, last.sha256)
        if content is None:
            for folder in self._root.parent.glob(f"*/{self._held.stored.uid}/{self._held.number}"):
                content = content or CheckpointFolder(folder, self._held.attempt).load(
                    last.name, last.sha256
                )
        return content

    def training_starts(self, last: EpochCheckpoint | None = None) -> None:
        """The time until the next one runs from now on; `last` is what training goes on from."""
        self._since = self._monotonic()
        self._named = [] if last is None or last.name is None else [last.name]

    def save_if_due(self, training: ResumableTraining) -> SavedCheckpoint | None:
        """Writes the state after the last finished epoch, once training has gone on for long enough
        without.
        """
        if self._monotonic() - self._since < self._every_seconds:
            return None
        return self.save(training, training.epoch)

    def save(self, training: ResumableTraining, epoch: int) -> SavedCheckpoint | None:
        """Writes the state after that epoch; None where it cannot be written. Raises
        CheckpointError.
        """
        saved = None
        with self._worth_a_warning():
            saved = self._folder.save(epoch, training.checkpoint(epoch))
        # The time counts also where it failed: a disk that is full or slow is not tried at each
        # epoch.
        self._since = self._monotonic()
        return saved

    def is_named(self, saved: SavedCheckpoint) -> None:
        """The database names it now: it and the one before are kept, and no other."""
        self._named = [*self._named, saved.name][-2:]
        with self._worth_a_warning():
            self._folder.keep(self._named)

    def discard(self, saved: SavedCheckpoint) -> None:
        """The database does not name it."""
        with self._worth_a_warning():
            self._folder.discard(saved)

    def remove(self) -> None:
        """The trial has ended: nothing is kept."""
        with self._worth_a_warning():
            self._folder.remove()

    @contextmanager
    def _worth_a_warning(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._warned:
                self._warned = True
                log.warning(
                    "trial %d goes on without a checkpoint: %s: %s; taken over, it starts again"
                    " from the last one",
                    self._held.number,
                    error.filename or self._root,
                    error.strerror,
                )
