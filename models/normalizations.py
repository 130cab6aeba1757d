"""The layer normalizations: after a convolution (B, C, H, W) and on the hidden vector (B, C)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class _GroupNorm(nn.GroupNorm):
    # Where a group is a single value (one channel, one pixel), nn.GroupNorm refuses a batch of one,
    # even in evaluation, and nn.InstanceNorm2d any batch. The formula has an answer there: a value
    # is its own mean, the shift is left.
    def forward(self, input: Tensor) -> Tensor:
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def layer(channels: int) -> nn.Module:
    """Normalizes over C, H and W of each image (Ba et al. 2016); scale and shift per channel."""
    return _GroupNorm(1, channels)


def group(channels: int) -> nn.Module:
    """Normalizes over H, W and the channels of a group of each image (Wu & He 2018).

    As many groups as the largest divisor of `channels` up to 8: one for a prime above 7, which is
    `layer`; one for each channel up to 8, which is `instance`.
    """
    return _GroupNorm(max(groups for groups in range(1, 9) if channels % groups == 0), channels)


def instance(channels: int) -> nn.Module:
    """Normalizes over H and W of each channel of each image (Ulyanov et al. 2016); of one pixel,
    the shift is left.
    """
    return _GroupNorm(channels, channels)


# Batch normalization is Ioffe & Szegedy 2015; in training it raises ValueError where a channel
# holds one value in the whole batch.
NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "batch": nn.BatchNorm2d,
    "layer": layer,
    "group": group,
    "instance": instance,
}

# A vector has no pixels: over groups or single units nothing would be left of it, so all of these
# are LayerNorm.
HIDDEN_NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "group": nn.LayerNorm,
    "instance": nn.LayerNorm,
}
