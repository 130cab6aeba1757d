"""The order of an image batch's numbers in memory, where train() lets it be chosen."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import cast

import torch

from objectives.training import Training, train

LAYOUTS = {"channels_last": torch.channels_last, "plain": torch.contiguous_format}


def why_not() -> str | None:
    """Why train() cannot be told its layout, or None."""
    return None if _choices() else "skipped: this version trains in one layout, channels_last"


def trainer(layout: str | None) -> Callable[..., Training]:
    """train() in that layout; None leaves the choice to it."""
    choices = _choices()
    if layout is None or choices is None:
        return train
    return partial(cast("Callable[..., Training]", train), convolutions=choices.Convolutions(LAYOUTS[layout]))


def _choices() -> ModuleType | None:
    # Measured are versions from before there was a choice too.
    try:
        return import_module("objectives.convolutions")
    except ModuleNotFoundError:
        return None
