"""This checkout, and how a process that the lab or a benchmark starts imports from it."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(**more: str) -> dict[str, str]:
    """The variables of this process and `more`; Python looks in this checkout first, then where it
    looks here.

    >>> environment(HYPERSEARCH_SYNTHETIC_SECONDS="0.1")["HYPERSEARCH_SYNTHETIC_SECONDS"]
    '0.1'
    """
    folders = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(folders)} | more
