"""With which versions of what this process trains."""

import json
import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from storage.schema import VERSIONS_KEY

VERSIONED = ("hypersearch", "numpy", "torch")


@cache
def versions() -> dict[str, str]:
    """As a system attribute, of what the values of a training depend on by rounding."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return {VERSIONS_KEY: json.dumps(found)}
