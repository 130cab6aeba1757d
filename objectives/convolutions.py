"""How a device computes convolutions where there is a choice: it changes their speed, and results by rounding alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from objectives.device import SHARED


@dataclass(frozen=True)
class Convolutions:
    """The choices of one training. None leaves a choice as it is made without it."""

    benchmark: bool | None = (
        None  # whether cuDNN times its algorithms for each shape that it meets; None: the process's
    )

    @contextmanager
    def active(self) -> Iterator[None]:
        """Inside, what is a setting of the process is as chosen; threads are inside one at a time."""
        with SHARED:
            callers = torch.backends.cudnn.benchmark
            try:
                if self.benchmark is not None:
                    torch.backends.cudnn.benchmark = self.benchmark
                yield
            finally:
                torch.backends.cudnn.benchmark = callers
