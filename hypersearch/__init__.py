"""What a notebook imports; each name is loaded when it is asked for."""

import random
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.notebook import ablate as ablate
    from search.notebook import compare as compare
    from search.notebook import confirm as confirm
    from search.notebook import copy as copy
    from search.notebook import export as export
    from search.notebook import load_spec as load_spec
    from search.notebook import predict as predict
    from search.notebook import report as report
    from search.notebook import reproduce as reproduce
    from search.notebook import run as run

__all__ = [
    "ablate",
    "compare",
    "confirm",
    "copy",
    "export",
    "load_spec",
    "predict",
    "report",
    "reproduce",
    "run",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'hypersearch' has no attribute {name!r}")
    numbers = random.getstate()
    notebook = import_module("search.notebook")
    # Rich draws one when it is imported: a script that has set its seed must not notice.
    random.setstate(numbers)
    return getattr(notebook, name)
