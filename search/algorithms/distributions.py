"""What Optuna holds of a domain."""

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.space.domains import Choice, Range


def distribution(domain: Choice | Range) -> BaseDistribution:
    """What Optuna holds of a domain."""
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.options)
    if domain.whole:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)
