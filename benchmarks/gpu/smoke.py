"""Phase 1: the same training on the CPU and on the GPU, and whether its steps are captured."""

import time
from collections.abc import Iterator

import torch

from benchmarks.gpu.lab import Lab, Result, failure
from benchmarks.gpu.measuring import made_up, take_device
from objectives.hyperparameters import Adam, Hyperparameters
from objectives.run import Run
from objectives.training import train

EPOCHS = 3
# With this rate the curve does not reach zero within the epochs.
LEARNING_RATE = 1e-4
CURVE = ("train_loss", "validation_loss", "validation_accuracy")


def measure(lab: Lab) -> Iterator[Result]:
    """Both curves, how far they are apart, and the path; where it failed, every cause behind it."""
    device = take_device(lab)
    count, batch_size = (128, 32) if lab.is_quick else (4096, 64)
    options = Hyperparameters(Adam(LEARNING_RATE), batch_size=batch_size)
    curves: dict[str, list[dict[str, float]]] = {}
    for name, where in (("cpu", torch.device("cpu")), ("device", device)):
        training = train(Run(options, made_up(count, where, validation=count // 4), EPOCHS, seed=0))
        started = time.perf_counter()
        try:
            curve = [{key: getattr(found, key) for key in CURVE} for found in training]
        # The chain of causes is what this phase is there for.
        except Exception as error:
            yield failure(f"training on {where}", error)
            yield from causes(error)
            continue
        curves[name] = curve
        for key in CURVE:
            numbers = " ".join(f"{epoch[key]:.4f}" for epoch in curve)
            yield Result(
                f"{where} {key}",
                numbers,
                {str(at): epoch[key] for at, epoch in enumerate(curve, start=1)},
            )
        yield Result(f"{where} path", f"{training.path}, {time.perf_counter() - started:.1f} s")
        if where.type == "cuda":
            yield memory(where)
    if len(curves) == 2:
        apart = max(
            abs(there[key] - here[key]) / max(abs(here[key]), 1e-3)
            for here, there in zip(curves["cpu"], curves["device"], strict=True)
            for key in CURVE[:2]
        )
        yield Result(
            "losses of both", f"at most {apart:.1e} apart, relatively", {"relative": apart}
        )


def memory(device: torch.device) -> Result:
    """What one process takes of the GPU, if it is the only one: its context, libraries, and the
    most that PyTorch has held.
    """
    free, whole = torch.cuda.mem_get_info(device)
    taken, reserved = (whole - free) / 1e9, torch.cuda.max_memory_reserved(device) / 1e9
    return Result(
        "memory",
        f"{taken:.2f} GB of the GPU are taken; at most {reserved:.2f} GB by PyTorch's allocator",
        {"taken_gb": taken, "reserved_gb": reserved},
    )


def causes(error: BaseException) -> Iterator[Result]:
    """What an error came of, and what that came of, down to the first."""
    depth = 0
    while (inner := error.__cause__ or error.__context__) is not None:
        depth, error = depth + 1, inner
        yield failure(f"cause {depth}", error)
