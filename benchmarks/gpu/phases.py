"""Which phases there are, in the order in which they run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from benchmarks.gpu.lab import Lab, Result


@dataclass(frozen=True)
class Phase:
    """A part of the whole that is measured in a process of its own."""

    number: int
    name: str
    # The module is one of this package; its `measure` yields the results.
    module: str
    # After so long, its start included, it is stopped.
    limit_seconds: float
    needs_cuda: bool = False

    def load(self) -> Callable[[Lab], Iterator[Result]]:
        """What measures; importing it loads PyTorch."""
        return cast(
            "Callable[[Lab], Iterator[Result]]",
            import_module(f"benchmarks.gpu.{self.module}").measure,
        )


PHASES = (
    # This phase is the first to read PyTorch from the disk.
    Phase(0, "facts", "facts", 40),
    Phase(1, "smoke", "smoke", 30),
    Phase(2, "tests", "suite", 90, needs_cuda=True),
    Phase(3, "single", "single", 80),
    Phase(4, "trainer", "beside", 90),
    Phase(5, "profile", "kernels", 25),
    Phase(6, "streams", "streams", 25),
    Phase(7, "processes", "processes", 40),
    Phase(8, "precision", "accuracy", 20),
    Phase(9, "studies", "studies", 110),
    Phase(10, "peer", "peer", 70),
    Phase(11, "lost", "lost", 100, needs_cuda=True),
)
