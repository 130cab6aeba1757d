"""Phase 6: several networks side by side in one process, each a captured step on a stream of its
own.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch

from benchmarks.gpu import predictions
from benchmarks.gpu.anchor import HandWritten
from benchmarks.gpu.facts import wait_for
from benchmarks.gpu.lab import Lab, Result
from benchmarks.gpu.measuring import PRECISIONS, lacking, made_up, take_device
from objectives.data.images import LabelledImages

BATCH_SIZE = 64
COUNTS = (1, 2, 4, 8)
STEPS = 500
# So many side by side are judged against one alone.
JUDGED_AT = 4


def measure(lab: Lab) -> Iterator[Result]:
    """Images per second of all together, launched in turns by one thread."""
    device = take_device(lab)
    size, counts, steps = (16, (1, 2), 1) if lab.is_quick else (BATCH_SIZE, COUNTS, STEPS)
    data = made_up(4 * size, device).train
    for precision in PRECISIONS:
        if (lack := lacking(precision, device)) is not None:
            yield Result(precision, lack)
            continue
        yield lab.attempt(
            precision, partial(_side_by_side, data, size, precision, counts, steps, lab.on_cuda)
        )


def _side_by_side(
    data: LabelledImages,
    size: int,
    precision: str,
    counts: Sequence[int],
    steps: int,
    on_cuda: bool,
) -> Result:
    loops = [HandWritten(data, size, precision) for _ in range(max(counts))]
    rates = {count: together(loops[:count], steps, data.labels.device) for count in counts}
    judged = JUDGED_AT if JUDGED_AT in rates else max(rates)
    times = rates[judged] / rates[1]
    said = ", ".join(f"{count}: {found:,.0f}" for count, found in rates.items())
    return Result(
        f"streams {precision}, batch {size}",
        f"{said} images/s; {judged} train {times:.2f} times what 1 trains",
        {"times": times} | {f"images_per_second_{count}": found for count, found in rates.items()},
        predictions.STREAMS[precision] if on_cuda else None,
    )


def together(loops: Sequence[HandWritten], steps: int, device: torch.device) -> float:
    """Images per second, after a tenth of the steps to warm up."""
    for counted in (False, True):
        wait_for(device)
        started = time.perf_counter()
        done = steps if counted else 1 + steps // 10
        for _ in range(done):
            for loop in loops:
                with _stream_of(loop, device):
                    loop.take()
        wait_for(device)
    return done * sum(loop.batch_size for loop in loops) / (time.perf_counter() - started)


def _stream_of(loop: HandWritten, device: torch.device) -> AbstractContextManager[object]:
    return torch.cuda.stream(loop.stream) if device.type == "cuda" else nullcontext()
