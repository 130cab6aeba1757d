"""Samplers and pruners as a spec names them, with their options; no Optuna, so that a spec is
checked without it.
"""

from dataclasses import dataclass
from typing import ClassVar

STARTUPS = (
    "usual",
    "random",
)  # how a method that learns draws its first trials: see search.algorithms.usual


@dataclass(frozen=True)
class TPE:
    """Tree-structured Parzen estimator; the first `startup_trials` are drawn near what is usual, or
    at random.
    """

    name: ClassVar[str] = "tpe"
    startup_trials: int = 5
    startup: str = "usual"


@dataclass(frozen=True)
class Random:
    """Every trial drawn at random."""

    name: ClassVar[str] = "random"


@dataclass(frozen=True)
class GP:
    """Gaussian process over all parameters; the first `startup_trials` are drawn near what is
    usual, or at random.
    """

    name: ClassVar[str] = "gp"
    startup_trials: int = 10
    startup: str = "usual"


@dataclass(frozen=True)
class QMC:
    """Scrambled Sobol points: each trial takes the point of its number."""

    name: ClassVar[str] = "qmc"


@dataclass(frozen=True)
class CMAES:
    """Covariance matrix adaptation, over ranges that every trial has."""

    name: ClassVar[str] = "cmaes"


@dataclass(frozen=True)
class Grid:
    """Every configuration once; a range is `points` values, evenly spaced on its own scale, its
    ends among them.
    """

    name: ClassVar[str] = "grid"
    points: int | None = None


@dataclass(frozen=True)
class BruteForce:
    """Every configuration once, of a space that holds no more than it can count."""

    name: ClassVar[str] = "brute_force"
    points: ClassVar[None] = None


Sampler = TPE | Random | GP | QMC | CMAES | Grid | BruteForce
SAMPLERS: dict[str, type[Sampler]] = {
    kind.name: kind for kind in (TPE, Random, GP, QMC, CMAES, Grid, BruteForce)
}


@dataclass(frozen=True)
class NoRule:
    """Every trial runs all epochs."""

    name: ClassVar[str] = "none"


@dataclass(frozen=True)
class Percentile:
    """Stops a trial whose best value so far is not among the best `percentile` % of complete trials
    at that epoch.
    """

    name: ClassVar[str] = "percentile"
    percentile: float = 25.0
    startup_trials: int = 5
    min_epochs: int = 1


@dataclass(frozen=True)
class Median:
    """Stops a trial whose best value so far is worse than the median of the complete trials at the
    same epoch.
    """

    name: ClassVar[str] = "median"
    percentile: ClassVar[float] = 50.0
    startup_trials: int = 5
    min_epochs: int = 1


@dataclass(frozen=True)
class ASHA:
    """At min_epochs, min_epochs * reduction_factor, ... goes on with the best 1 / reduction_factor
    seen there.
    """

    name: ClassVar[str] = "asha"
    min_epochs: int = 1
    reduction_factor: int = 2


@dataclass(frozen=True)
class Hyperband:
    """Brackets of ASHA, each with a later first rung than the one before."""

    name: ClassVar[str] = "hyperband"
    min_epochs: int = 1
    reduction_factor: int = 3


@dataclass(frozen=True)
class Threshold:
    """Stops a trial whose value is below `lower` (of a loss: above `upper`) after min_epochs or
    later.
    """

    name: ClassVar[str] = "threshold"
    lower: float | None = None
    upper: float | None = None
    min_epochs: int = 1


Comparing = Percentile | Median | ASHA | Hyperband  # with other trials


@dataclass(frozen=True)
class Patient:
    """What `of` would stop is stopped only when it has not improved for `patience` epochs."""

    name: ClassVar[str] = "patient"
    patience: int = 2
    of: Comparing | Threshold = Median()


Rule = NoRule | Comparing | Threshold | Patient
RULES: dict[str, type[Rule]] = {
    kind.name: kind for kind in (NoRule, Median, Percentile, ASHA, Hyperband, Patient, Threshold)
}


@dataclass(frozen=True)
class Pruner:
    """By which rule trials are stopped early, and how far it is trusted.

    `audit` is the share of trials due to be stopped that run all epochs all the same, to see what
    stopping costs.
    """

    rule: Rule
    audit: float = 0.1
    # only trials with as much annealing to come, and as regularized, are compared
    like_with_like: bool = True

    @property
    def name(self) -> str:
        """Of the rule."""
        return self.rule.name
