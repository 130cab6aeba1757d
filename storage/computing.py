"""How a trial is computed, as far as its results depend on that by rounding alone."""

from dataclasses import dataclass

# Attempts on a CPU from before the piece was recorded had this one.
PIECE_BEFORE = 64


@dataclass(frozen=True)
class Computing:
    """What a trial begins and ends with, whoever works on it: on a CPU it gives the same values
    then, bit for bit.
    """

    threads: int
    # Images that go through the network at a time; None: as many as go by default on that kind of
    # device, or no network is trained.
    piece: int | None = None


@dataclass(frozen=True)
class Computed:
    """How an attempt at a trial was computed, and where."""

    device: str
    threads: int
    # The piece is the recorded one.
    piece: int | None

    def goes_on_with(self, own: Computing, device: str, most_threads: int) -> Computing:
        """How the next attempt computes on that device, by a worker whose new trials compute as its
        `own`.

        As this one did, with more threads than cores, too; but not on another kind of device, nor
        with more threads than `most_threads`.

        >>> Computed("cuda:1", 1, None).goes_on_with(Computing(2, 64), "cpu", most_threads=64)
        Computing(threads=2, piece=64)
        >>> Computed("cpu", 8, None).goes_on_with(Computing(2, 128), "cpu", most_threads=64)
        Computing(threads=8, piece=64)
        """
        if _kind(device) != _kind(self.device) or self.threads > most_threads:
            return own
        before = PIECE_BEFORE if self.device == "cpu" else None
        return Computing(self.threads, before if self.piece is None else self.piece)


def _kind(device: str) -> str:
    # The kind of the device cuda:1 is cuda.
    return device.partition(":")[0]
