"""What a notebook imports; each name is loaded when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.notebook import compare as compare
    from search.notebook import load_spec as load_spec
    from search.notebook import run as run

__all__ = ["compare", "load_spec", "run"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'hypersearch' has no attribute {name!r}")
    return getattr(import_module("search.notebook"), name)
