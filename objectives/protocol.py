"""What a service may ask of any training, of a network or of a made-up curve; no torch."""

from collections.abc import Callable, Iterator
from typing import Protocol

from objectives.costs import Costs
from objectives.measurement import Measurement
from objectives.predicted import Predicted

# Training calls it again and again while it moves; it stops the training by raising.
Pulse = Callable[[], None]


class ResumableTraining(Iterator[Measurement], Protocol):
    """An iterator of one Measurement an epoch that can be left after any of them and gone on with
    elsewhere.

    Whatever the next epoch raises (Diverged, an error of the pulse, Ctrl-C) ends the training: no
    epoch follows it, and what it left half done is never given as a checkpoint: the state before it
    still is.
    """

    @property
    def epoch(self) -> int:
        """How many epochs are finished, those before a resume included."""

    def costs(self) -> Costs:
        """What the network costs to use; it does not change the training."""

    def predictions(self) -> Predicted:
        """What the network answers on the validation split after the last finished epoch."""

    def checkpoint(self, epoch: int | None = None) -> bytes:
        """What the same run goes on from after that epoch, by default the last finished one; 0 is
        before the first.

        The state before the epoch that was begun last is kept too: of one that has just finished,
        whoever records epochs may not know yet. Raises CheckpointError for any other.
        """


def unwatched() -> None:
    """The pulse of a training that nobody watches."""
