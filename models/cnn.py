"""The one network: the reference tutorial's CNN, for any image size and any number of classes, and
what makes it one for photographs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.blocks import BLOCKS, HEADS, layer
from models.dropout import Dropout, Dropout2d
from models.initializers import initialize
from models.normalizations import HIDDEN_NORMALIZATIONS


@dataclass(frozen=True)
class CNNConfig:
    """What a CNN is built from: the shape of its images, its widths and its techniques."""

    in_channels: int
    # The size is (height, width).
    image_size: tuple[int, int]
    classes: int
    # Each block has one of these counts of output channels.
    channels: tuple[int, ...] = (16, 32, 64)
    hidden_units: int = 100
    # The normalization is a key of NORMALIZATIONS.
    normalization: str = "none"
    # The initializer is a key of INITIALIZERS.
    initializer: str = "default"
    # Dropout is a probability.
    dropout: float = 0.0
    # The head is a key of HEADS.
    head: str = "flatten"
    # The block is a key of BLOCKS, and all blocks but the first are of it.
    block: str = "plain"


class CNN(nn.Module):
    """Convolution blocks, a hidden layer and an output layer (the reference tutorial's network).

    A block is conv 3x3, normalization, ReLU, Dropout2d and, in all but the first, a pool of 2 over
    each side longer than 1. A residual block, which the first never is, as it works on
    the most pixels, has a residual unit between ReLU and Dropout2d. `head` makes a vector of the
    last maps. The pool is computed before ReLU and Dropout2d, which then have a
    quarter to do: neither changes which pixel is the largest, so every bit of logits and gradients
    is the same. Weights are drawn from torch's global generator, dropout's masks from `masks`, of
    the device of the images, or from the global one too. Names of parameters do not depend on
    dropout.
    """

    def __init__(self, config: CNNConfig, masks: torch.Generator | None = None) -> None:
        super().__init__()
        self.blocks = nn.Sequential()
        inputs, (height, width) = config.in_channels, config.image_size
        for channels in config.channels:
            block = nn.Sequential(*layer(inputs, channels, config.normalization))
            is_first = len(self.blocks) == 0
            if not is_first:
                pool = (min(2, height), min(2, width))
                block.append(nn.MaxPool2d(pool))
                height, width = height // pool[0], width // pool[1]
            block.append(nn.ReLU())
            if not is_first:
                block.extend(BLOCKS[config.block](channels, config.normalization))
            if config.dropout > 0:
                block.append(Dropout2d(config.dropout, masks))
            self.blocks.append(block)
            inputs = channels
        pixels = height * width if config.head == "flatten" else 1
        self.hidden = nn.Sequential(
            HEADS[config.head](),
            nn.Linear(inputs * pixels, config.hidden_units),
            HIDDEN_NORMALIZATIONS[config.normalization](config.hidden_units),
            nn.ReLU(),
        )
        if config.dropout > 0:
            self.hidden.append(Dropout(config.dropout, masks))
        self.output = nn.Linear(config.hidden_units, config.classes)
        initialize(self, config.initializer)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of float images (B, C, H, W), in any memory format.

        Raises ValueError in training with batch normalization and a batch of one: it has no
        deviation.
        """
        logits: Tensor = self.output(self.hidden(self.blocks(images)))
        return logits
