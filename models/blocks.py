"""What stands in a convolution block, and what makes a vector of the last block's maps."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.normalizations import NORMALIZATIONS


def layer(inputs: int, outputs: int, normalization: str) -> list[nn.Module]:
    """Conv 3x3 that keeps the size, and its normalization; the activation comes behind."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1), NORMALIZATIONS[normalization](outputs)]


def _plain(channels: int, normalization: str) -> list[nn.Module]:
    return []


def _residual(channels: int, normalization: str) -> list[nn.Module]:
    return [Residual(channels, normalization)]


class Residual(nn.Module):
    """Two layers with a way around them, h + F(h) (He et al. 2016): neither size nor channels
    change, so that the way around has no weights (as in Page 2018, "How to train your ResNet").

    >>> Residual(4, "batch")(torch.rand(2, 4, 7, 9)).shape
    torch.Size([2, 4, 7, 9])
    """

    def __init__(self, channels: int, normalization: str) -> None:
        super().__init__()
        self.first = nn.Sequential(*layer(channels, channels, normalization), nn.ReLU())
        self.second = nn.Sequential(*layer(channels, channels, normalization), nn.ReLU())

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) of the same shape."""
        changed: Tensor = self.second(self.first(maps))
        return maps + changed


class Average(nn.Module):
    """Maps (B, C, H, W) -> the mean of each channel (B, C) (Lin et al. 2014)."""

    def forward(self, maps: Tensor) -> Tensor:
        """The means."""
        return torch.mean(maps, (2, 3))


# Each function(channels, normalization) gives what follows the layer of a block that changes
# channels and size.
BLOCKS: dict[str, Callable[[int, str], list[nn.Module]]] = {"plain": _plain, "residual": _residual}
HEADS: dict[str, Callable[[], nn.Module]] = {"flatten": nn.Flatten, "average": Average}
