"""Samplers by name, and how they draw a configuration: one sampler a trial, seeded from (study seed, trial number)."""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from search.methods import TPE, Random, Sampler
from search.space import PARAMETERS, SWITCHES, Choice, Range, SearchSpace, Value


def _tpe(options: TPE, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        # Without groups a third of the conditional parameters would be drawn one by one; see docs/decisions.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(n_startup_trials=options.startup_trials, multivariate=True, group=True, seed=seed)


def _random(options: Random, seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


SAMPLERS: dict[str, Callable[..., BaseSampler]] = {"tpe": _tpe, "random": _random}


def derived_seed(study_seed: int, number: int, purpose: str) -> int:
    """32 bits that differ by study seed, trial number and purpose: the trial's own seed, or its sampler's."""
    digest = hashlib.sha256(f"{study_seed}:{number}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def build_sampler(options: Sampler, study_seed: int, number: int) -> BaseSampler:
    """The sampler of one trial. The same seed in every worker would give all of them the same first suggestions."""
    return SAMPLERS[options.name](options, derived_seed(study_seed, number, "sampler"))


def distribution(name: str, domain: Choice | Range) -> BaseDistribution:
    """What Optuna holds of a domain."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.options)
    if name not in SWITCHES and PARAMETERS[name].kind == "int":
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


@dataclass(frozen=True)
class Configuration:
    """What a trial trains under: values by name, switches included, with their distributions."""

    values: dict[str, Value]
    distributions: dict[str, BaseDistribution]

    def internal(self) -> dict[str, float]:
        """The values in Optuna's internal representation."""
        return {name: self.distributions[name].to_internal_repr(value) for name, value in self.values.items()}


def draw(space: SearchSpace, study: Study, trial: FrozenTrial, fixed: Mapping[str, Value]) -> Configuration:
    """One configuration by `study.sampler`: together where the sampler can, one by one where it cannot; `fixed` wins.

    In `fixed`, False stands for off.
    """
    study.sampler.before_trial(study, trial)
    together = study.sampler.infer_relative_search_space(study, trial)
    drawn = study.sampler.sample_relative(study, trial, together)
    distributions: dict[str, BaseDistribution] = {}

    def suggest(name: str, domain: Choice | Range) -> Value:
        found = distributions[name] = distribution(name, domain)
        if name in SWITCHES and SWITCHES[name].name in fixed:
            return fixed[SWITCHES[name].name] is not False
        if name in fixed:
            return fixed[name]
        if found.single():
            only: Value = domain.options[0] if isinstance(domain, Choice) else found.to_external_repr(domain.low)
            return only
        value: Value = drawn[name] if name in drawn else study.sampler.sample_independent(study, trial, name, found)
        return value

    return Configuration(space.suggest(suggest), distributions)
