"""Samplers and pruners as a spec names them, with their options; no Optuna, so that a spec is
checked without it.
"""

from dataclasses import dataclass
from typing import ClassVar

from search.space.domains import Limits
from search.spec.options import count_or_none, flag, number, number_or_none, one_of, whole

# A method that learns draws its first trials in one of these ways: see search.algorithms.usual.
STARTUPS = ("usual", "random")


@dataclass(frozen=True)
class TPE:
    """Tree-structured Parzen estimator; the first `startup_trials` are drawn near what is usual, or
    at random.
    """

    name: ClassVar[str] = "tpe"
    startup_trials: int = whole(5, low=0)
    startup: str = one_of("usual", STARTUPS)


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
    startup_trials: int = whole(10, low=0)
    startup: str = one_of("usual", STARTUPS)


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
    points: int | None = count_or_none(low=2, high=1000)


@dataclass(frozen=True)
class BruteForce:
    """Every configuration once, of a space that holds no more than it can count."""

    name: ClassVar[str] = "brute_force"
    points: ClassVar[None] = None


Sampler = TPE | Random | GP | QMC | CMAES | Grid | BruteForce
# These samplers learn by trials of which the first are drawn in another way.
Learning = TPE | GP
# These samplers draw each configuration once.
Counted = Grid | BruteForce
OfOneObjective = GP | CMAES
SAMPLERS: dict[str, type[Sampler]] = {
    kind.name: kind for kind in (TPE, Random, GP, QMC, CMAES, Grid, BruteForce)
}


# The shares are of the run before the first judgement: schedules and penalties have shown little
# before.
QUARTER, EIGHTH = 1 / 4, 1 / 8


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
    percentile: float = number(25.0, Limits(0.0, 100.0, low_open=True, high_open=True))
    startup_trials: int = whole(5, low=0)
    min_epochs: int = whole(1, low=1, share_of_epochs=QUARTER)


@dataclass(frozen=True)
class Median:
    """Stops a trial whose best value so far is worse than the median of the complete trials at the
    same epoch.
    """

    name: ClassVar[str] = "median"
    percentile: ClassVar[float] = 50.0
    startup_trials: int = whole(5, low=0)
    min_epochs: int = whole(1, low=1, share_of_epochs=QUARTER)


@dataclass(frozen=True)
class ASHA:
    """At min_epochs, min_epochs * reduction_factor, ... goes on with the best 1 / reduction_factor
    seen there.
    """

    name: ClassVar[str] = "asha"
    # Right with less, as it stops no more than the worse half then.
    min_epochs: int = whole(1, low=1, share_of_epochs=EIGHTH)
    reduction_factor: int = whole(2, low=2)


@dataclass(frozen=True)
class Hyperband:
    """Brackets of ASHA, each with a later first rung than the one before."""

    name: ClassVar[str] = "hyperband"
    min_epochs: int = whole(1, low=1)
    reduction_factor: int = whole(3, low=2)


@dataclass(frozen=True)
class Threshold:
    """Stops a trial whose value is below `lower` (of a loss: above `upper`) after min_epochs or
    later.
    """

    name: ClassVar[str] = "threshold"
    lower: float | None = number_or_none()
    upper: float | None = number_or_none()
    min_epochs: int = whole(1, low=1, share_of_epochs=QUARTER)


# These rules compare a trial with others.
Comparing = Percentile | Median | ASHA | Hyperband


@dataclass(frozen=True)
class Patient:
    """What `of` would stop is stopped only when it has not improved for `patience` epochs."""

    name: ClassVar[str] = "patient"
    patience: int = whole(2, low=1, share_of_epochs=QUARTER)
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
    audit: float = number(0.1, Limits(0.0, 1.0))
    # Only trials with as much annealing to come, and as regularized, are compared.
    like_with_like: bool = flag(True)

    @property
    def name(self) -> str:
        """Of the rule."""
        return self.rule.name

    @property
    def judging(self) -> NoRule | Comparing | Threshold:
        """The rule, or that which it waits for."""
        return self.rule.of if isinstance(self.rule, Patient) else self.rule
