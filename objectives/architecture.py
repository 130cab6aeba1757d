"""Which network images are shown to: what a spec says of it, and what that comes to; no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Up to this many pixels a side the network is the reference tutorial's, unless a spec says
# otherwise: see docs/decisions/0021.
TUTORIAL_SIDE = 64
TUTORIAL_CHANNELS = (16, 32, 64)
# Further blocks have twice the channels of the one before, but no more than this.
MOST_CHANNELS = 256


@dataclass(frozen=True)
class ModelConfig:
    """The [model] table of a spec; None is what suits the images' size, see `architecture`."""

    # Each block has one of these counts of output channels.
    channels: tuple[int, ...] | None = None
    hidden_units: int = 100
    # The block is one of models.names.BLOCKS.
    block: str = "plain"
    # The head is one of models.names.HEADS.
    head: str | None = None


@dataclass(frozen=True)
class Architecture:
    """A network's shape: see models.cnn.CNNConfig."""

    channels: tuple[int, ...]
    hidden_units: int
    block: str = "plain"
    head: str = "flatten"


def architecture(
    model: ModelConfig,
    image_size: tuple[int, int],
    *,
    width: float = 1.0,
    depth: int | None = None,
    block: str | None = None,
    head: str | None = None,
) -> Architecture:
    """The network of a configuration, whose hyperparameters these are, for images of that (height,
    width).

    Unless the spec says otherwise there is one block more than the reference tutorial's three, and
    the head is the average, from 65 pixels of the longer side on, two from 129 on, and so on: the
    last maps are about as large.

    >>> architecture(ModelConfig(), (128, 96), width=0.5)
    Architecture(channels=(8, 16, 32, 64), hidden_units=50, block='plain', head='average')
    """
    further = max(0, math.ceil(math.log2(max(image_size) / TUTORIAL_SIDE)))
    channels = model.channels or with_depth(TUTORIAL_CHANNELS, len(TUTORIAL_CHANNELS) + further)
    if depth is not None:
        channels = with_depth(channels, depth)
    return Architecture(
        tuple(scaled(count, width) for count in channels),
        scaled(model.hidden_units, width),
        block or model.block,
        head or model.head or ("average" if further else "flatten"),
    )


def with_depth(channels: Sequence[int], depth: int) -> tuple[int, ...]:
    """So many blocks: the first of those, or further ones, each with twice the channels of the one
    before, up to MOST_CHANNELS or what the last has.

    >>> with_depth((16, 32, 64), 2), with_depth((16, 32, 64), 6)
    ((16, 32), (16, 32, 64, 128, 256, 256))
    """
    found = list(channels[:depth])
    while len(found) < depth:
        found.append(max(found[-1], min(2 * found[-1], MOST_CHANNELS)))
    return tuple(found)


def scaled(count: int, width: float) -> int:
    """How many channels or hidden units there are of so many under the factor `width`."""
    return max(1, round(width * count))
