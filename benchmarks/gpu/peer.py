"""Phase 10: a search in the style of Optuna's official example, on the same device."""

from collections.abc import Iterator

from benchmarks.gpu.lab import Lab, Result
from benchmarks.gpu.measuring import made_up, take_device
from benchmarks.peers import optuna_example

# The search takes so long; the trial that runs then is finished.
SECONDS = 55.0
# So many trials never end.
ENDLESS = 10_000


def measure(lab: Lab) -> Iterator[Result]:
    """What it gets to within a minute."""
    device = take_device(lab)
    if lab.is_quick:
        found = optuna_example.search(0, 1, None, lab.device, made_up(64, device))
    else:
        found = optuna_example.search(0, ENDLESS, min(SECONDS, lab.seconds_left() - 10), lab.device)
    yield Result(
        "Optuna's example",
        f"{found.epochs} epochs, {found.complete} trials complete and {found.stopped} stopped, "
        f"best validation accuracy {found.validation:.4f}",
        {
            "epochs": found.epochs,
            "complete": found.complete,
            "stopped": found.stopped,
            "best": found.validation,
        },
    )
