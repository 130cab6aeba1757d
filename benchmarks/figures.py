"""How the benchmarks print what they measured, and on what."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from objectives.processor import processor_model


def spread(values: Sequence[float], digits: int) -> str:
    """Median and range."""
    return (
        f"{statistics.median(values):.{digits}f}"
        f" ({min(values):.{digits}f}..{max(values):.{digits}f})"
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def method_text(method: Mapping[str, object]) -> str:
    """A sampler or pruner as a spec names it.

    >>> method_text({"name": "tpe", "startup_trials": 5})
    'tpe (startup_trials = 5)'
    """
    options = ", ".join(f"{key} = {value}" for key, value in method.items() if key != "name")
    return f"{method['name']}" + (f" ({options})" if options else "")


def machine(*packages: str) -> str:
    """The processor, its cores, what else they do now, and the versions of Python and these
    packages.
    """
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = f"load average {os.getloadavg()[0]:.1f}"
    return (
        f"{processor_model()}, {os.cpu_count()} cores, {load}, Python {platform.python_version()},"
        f" {versions}"
    )
