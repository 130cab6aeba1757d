"""How a device computes convolutions where there is a choice: it changes their speed, and results
by rounding alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from objectives.device import SHARED


@dataclass(frozen=True)
class Convolutions:
    """The choices of one training."""

    # Weights and images have this format; None: that of memory_format_of.
    memory_format: torch.memory_format | None = None
    # The flag says whether cuDNN times its algorithms for each shape that it meets; None leaves the
    # process's setting.
    benchmark: bool | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Inside, what is a setting of the process is as chosen; threads are inside one at a
        time.
        """
        with SHARED:
            callers = torch.backends.cudnn.benchmark
            try:
                if self.benchmark is not None:
                    torch.backends.cudnn.benchmark = self.benchmark
                yield
            finally:
                torch.backends.cudnn.benchmark = callers


def memory_format_of(device: torch.device, precision: str) -> torch.memory_format:
    """How weights and images lie in memory there: by channel, or the channels of a pixel side by
    side.

    Side by side suits the tensor cores, which float32 does not use: reported of a V100 is 2.76 s
    for 1.68 s by channel. Not measured here on a GPU.
    """
    return (
        torch.contiguous_format
        if device.type == "cuda" and precision == "float32"
        else torch.channels_last
    )
