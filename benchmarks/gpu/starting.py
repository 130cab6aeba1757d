"""How processes are started that import PyTorch."""

import multiprocessing
from multiprocessing.context import ForkContext, SpawnContext


def context_of(device: str) -> ForkContext | SpawnContext:
    """Anew for a GPU, which a forked process cannot use once its parent has; forked for the CPU,
    which is quicker.

    Whoever forks has computed nothing with several threads before.
    """
    return (
        multiprocessing.get_context("fork")
        if device == "cpu"
        else multiprocessing.get_context("spawn")
    )
