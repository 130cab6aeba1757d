"""PyTorch's dropout with a generator of its own, where PyTorch's draws from the global one alone.

The masks are PyTorch's, bit for bit on a CPU, where the generator is in the state of the global one.

>>> Dropout2d(0.25, torch.Generator().manual_seed(0))(torch.ones(8, 16, 5, 5)).shape
torch.Size([8, 16, 5, 5])
"""

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """nn.Dropout whose masks come from `generator`, of the values' device; without one from the global one."""

    def __init__(self, p: float, generator: torch.Generator | None) -> None:
        super().__init__(p)
        self.generator = generator

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape; outside of training as they are."""
        if not self.training:
            return values
        return values * _mask(torch.empty_like(values), self.p, self.generator)


class Dropout2d(nn.Dropout2d):
    """nn.Dropout2d whose masks come from `generator`, of the values' device; without one from the global one."""

    def __init__(self, p: float, generator: torch.Generator | None) -> None:
        super().__init__(p)
        self.generator = generator

    def forward(self, values: Tensor) -> Tensor:
        """Values (B, C, H, W); outside of training as they are."""
        if not self.training:
            return values
        return values * _mask(values.new_empty((*values.shape[:2], 1, 1)), self.p, self.generator)


def _mask(empty: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    # 0 with probability p; what is kept is scaled up, so that the mean stays.
    return empty.bernoulli_(1 - p, generator=generator).div_(1 - p)
