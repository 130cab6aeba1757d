"""Into how many workers and threads a machine's cores are divided: which shares there are, and
which is chosen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# More threads or workers must be better by more than this factor.
TIE = 1.05
# So many images go through the network at a time where nothing says that more are faster.
PIECE = 64
# No more workers than these are measured and chosen; whoever wants more says so.
WORKERS_AT_MOST = 64
# Each worker needs so much memory: objectives.device.keep_freed_memory measured 1.26 GB at batch
# 256.
WORKER_BYTES = 1_300_000_000
# The same of its GPU's memory, whatever the small batches that are measured take: 1 GB for CUDA
# itself and 1.5 GB for 512 images of 28 x 28 at once, in training, in its graph and in evaluation.
# Estimated, not measured.
GPU_WORKER_BYTES = 2_500_000_000
# A worker on a GPU needs no more threads: its thread launches work, and computes next to nothing.
GPU_THREADS = 1


@dataclass(frozen=True, order=True)
class Share:
    """So many workers, each with so many threads; fewer workers come first, then fewer threads."""

    workers: int
    threads: int

    @property
    def cores(self) -> int:
        """How many it keeps busy, each thread one."""
        return self.workers * self.threads

    def __str__(self) -> str:
        return f"{self.workers} x {self.threads}"


@dataclass(frozen=True)
class Measured:
    """What a share has trained, all its workers together."""

    share: Share
    images_per_second: float


@dataclass(frozen=True)
class Division:
    """What this machine trains best with, and what that was chosen from."""

    device: str
    # One worker alone has so many threads.
    alone: int
    # The share is that of as many workers as pay.
    together: Share
    table: tuple[Measured, ...]
    # Other programs used so much of the processor while it was measured.
    busy_percent: float
    # The time is in UTC, as ISO 8601 writes it.
    measured_at: str
    # One worker has so many images go through the network at a time on a processor.
    piece: int = PIECE


@dataclass(frozen=True)
class Room:
    """How many workers a machine has memory for, and how many GPUs they take in turn."""

    workers: int
    gpus: int = 0


# --- which shares there are, and which is best


def thread_counts(cores: int) -> list[int]:
    """Powers of two, and all cores.

    >>> thread_counts(6), thread_counts(8)
    ([1, 2, 4, 6], [1, 2, 4, 8])
    """
    return sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})


def room_for(
    running: int,
    worker_bytes: int,
    available_bytes: int,
    gpus: int = 0,
    gpu_bytes: int = 0,
    free_gpu_bytes: int = 0,
) -> Room:
    """Beside so many workers that run: by what one takes of memory, and of its GPU, where that is
    known.

    >>> room_for(2, 10**9, 5 * 10**9)
    Room(workers=5, gpus=0)
    >>> room_for(2, 10**9, 50 * 10**9, gpus=2, gpu_bytes=10**9, free_gpu_bytes=8 * 10**9)
    Room(workers=8, gpus=2)
    """
    workers = running + available_bytes // max(worker_bytes, WORKER_BYTES)
    if gpu_bytes:
        workers = min(workers, gpus * (1 + free_gpu_bytes // max(gpu_bytes, GPU_WORKER_BYTES)))
    return Room(workers, gpus)


def shares_together(cores: int, alone: int, room: Room) -> list[Share]:
    """Shares of several workers that may be best, where one worker trains best with `alone`
    threads.

    On a processor they take all cores, and none has more threads than pay for one worker. On GPUs,
    each of which has as many workers, the number of workers doubles.

    >>> shares_together(8, 4, Room(workers=99)), shares_together(8, 1, Room(workers=5, gpus=2))
    ([Share(workers=2, threads=4), Share(workers=4, threads=2), Share(workers=8, threads=1)], \
[Share(workers=2, threads=1), Share(workers=4, threads=1)])
    """
    most = min(room.workers, WORKERS_AT_MOST)
    if room.gpus:
        counts = [room.gpus * 2**power for power in range(cores.bit_length())]
        shares = {
            Share(count, min(alone, cores // count))
            for count in counts
            if count <= min(cores, most)
        }
    else:
        shares = {
            Share(min(cores // each, most), each) for each in thread_counts(cores) if each <= alone
        }
    return sorted(share for share in shares if share.workers > 1)


def fewest(table: Iterable[Measured]) -> Share:
    """The best share; of those that are as good within the tie, that with the fewest workers, then
    threads.
    """
    table = list(table)
    best = max(each.images_per_second for each in table)
    return min(each.share for each in table if each.images_per_second * TIE >= best)


def best_threads(table: Iterable[Measured]) -> int:
    """Of one worker."""
    return fewest(each for each in table if each.share.workers == 1).threads


def best_piece(rates: Mapping[int, float]) -> int:
    """The one by which most images are trained each second; the smallest of those that are as good
    within the tie.

    >>> best_piece({64: 3000.0, 128: 3400.0, 256: 3500.0})
    128
    """
    best = max(rates.values())
    return min(piece for piece, rate in rates.items() if rate * TIE >= best)


def choose(
    device: str,
    table: Sequence[Measured],
    busy_percent: float,
    measured_at: str,
    piece: int = PIECE,
) -> Division:
    """The best for one worker, and the best of all."""
    return Division(
        device, best_threads(table), fewest(table), tuple(table), busy_percent, measured_at, piece
    )


# --- what was asked for


def is_gpu(device: str) -> bool:
    """Of a device by its name, in which auto may be either.

    >>> is_gpu("cuda:1"), is_gpu("mps"), is_gpu("cpu"), is_gpu("auto")
    (True, True, False, False)
    """
    return device not in ("cpu", "auto")


def needs_measuring(
    workers: int | None, threads: int | None, cores: int, device: str = "cpu"
) -> bool:
    """Whether the answer to what was asked (`None`: to be found) depends on a measurement.

    On a GPU the number of workers does, and on a processor that of threads, from which the workers
    follow. On auto, which may be a GPU, both may.

    >>> [needs_measuring(*asked, 8, "cpu") for asked in ((None, None), (8, None), (None, 2))]
    [True, False, False]
    >>> needs_measuring(1, None, 8, "cuda"), needs_measuring(None, 2, 8, "cuda")
    (False, True)
    >>> needs_measuring(None, 2, 8, "auto")
    True
    """
    on_processor = threads is None and cores > (workers or 1)
    on_gpu = workers is None and cores > 1
    return (device != "cpu" and on_gpu) or (not is_gpu(device) and on_processor)


def share_out(
    workers: int | None,
    threads: int | None,
    cores: int,
    room: int,
    division: Division | None,
    device: str = "cpu",
) -> Share:
    """What was asked for, the rest by the division; workers that are not asked for are no more than
    there is room for.

    Without a division, where none is needed, or none is to be had: two cores for each worker of
    auto, one for a GPU.

    >>> share_out(3, None, 8, 99, None), share_out(None, 4, 8, 99, None)
    (Share(workers=3, threads=2), Share(workers=2, threads=4))
    >>> share_out(None, None, 8, 3, None)
    Share(workers=3, threads=2)
    >>> share_out(3, None, 8, 99, None, "cuda"), share_out(None, None, 8, 99, None, "cuda")
    (Share(workers=3, threads=1), Share(workers=1, threads=1))
    """
    if is_gpu(device if division is None else division.device):
        pays = 1 if division is None else max(1, min(division.together.workers, room))
        return Share(workers or pays, threads or GPU_THREADS)
    if workers is None:
        each = threads or (2 if division is None else division.together.threads)
        pays = cores // each if threads or division is None else division.together.workers
        workers = max(1, min(pays, room))
        if threads is None and division is not None and workers == division.together.workers:
            return division.together
    if threads is None:
        threads = max(1, min(cores // workers, cores if division is None else division.alone))
    return Share(workers, threads)
