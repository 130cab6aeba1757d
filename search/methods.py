"""Samplers and pruners as a spec names them, with their options; no Optuna, so that a spec is checked without it."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class TPE:
    """Tree-structured Parzen estimator; the first `startup_trials` finished ones are drawn at random."""

    name: ClassVar[str] = "tpe"
    startup_trials: int = 10


@dataclass(frozen=True)
class Random:
    """Every trial drawn at random."""

    name: ClassVar[str] = "random"


@dataclass(frozen=True)
class NoPruner:
    """Every trial runs all epochs."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True)
class Median:
    """Stops a trial whose best value so far is worse than the median of the complete trials at the same epoch."""

    name: ClassVar[str] = "median"
    startup_trials: int = 5
    min_epochs: int = 1


@dataclass(frozen=True)
class ASHA:
    """At min_epochs, min_epochs * reduction_factor, ... goes on with the best 1 / reduction_factor seen there."""

    name: ClassVar[str] = "asha"
    min_epochs: int = 1
    reduction_factor: int = 3


Sampler = TPE | Random
Pruner = NoPruner | Median | ASHA

SAMPLERS: dict[str, type[Sampler]] = {kind.name: kind for kind in (TPE, Random)}
PRUNERS: dict[str, type[Pruner]] = {kind.name: kind for kind in (NoPruner, Median, ASHA)}
