"""Every technique described: its options with formula and source, and the hyperparameters that it
brings.
"""

from dataclasses import dataclass

from search.space.domains import Domain, Range
from search.space.parameter import Option, Parameter
from search.space.parameters import PARAMETERS, TECHNIQUES, description, neutral_value
from search.space.search_space import SearchSpace
from search.spec.document import Toml
from search.spec.space_table import domain_to_toml

THE_TUTORIAL = (
    'the reference tutorial: the post "Pytorch-학습 관련 기술들" on wjddyd66.github.io (23'
    " September 2019)"
)


@dataclass(frozen=True)
class Technique:
    """One technique as a user reads of it."""

    name: str
    # The neutral value is what "without it" means; None where there is no such thing.
    neutral: str | float | None
    meaning: str
    options: tuple[Option, ...]
    parameters: tuple[Parameter, ...]


def techniques() -> tuple[Technique, ...]:
    """All of them, in the order of the search space.

    >>> techniques()[0].name, [option.name for option in techniques()[0].options][:2]
    ('optimizer', ['sgd', 'adagrad'])
    """
    return tuple(_technique(name) for name in TECHNIQUES)


def _technique(name: str) -> Technique:
    parameters = tuple(
        parameter for parameter in PARAMETERS.values() if parameter.technique == name
    )
    said = description(name)
    return Technique(name, neutral_value(name), said.meaning, said.options, parameters)


def default_of(parameter: Parameter) -> Toml:
    """What the parameter may hold where a spec does not name it, as TOML; of the embedded data
    set.
    """
    return domain_to_toml(SearchSpace.default().domain(parameter.name))


def shown_domain(domain: Domain) -> str:
    """A domain as a person reads it: 0.001..1 log, or off."""
    if isinstance(domain, Range):
        text = f"{domain.low:g}..{domain.high:g}{' log' if domain.log else ''}"
        return f"{text}, or off" if domain.optional else text
    toml = domain_to_toml(domain)
    if toml is False:
        return "off"
    return ", ".join(str(value) for value in toml) if isinstance(toml, list) else str(toml)


def exists_under(parameter: Parameter) -> str | None:
    """Which choice brings the parameter; `None`: it is always there."""
    if parameter.parent is None:
        return None
    name, values = parameter.parent
    bringing = frozenset(values)
    others = [option for option in PARAMETERS[name].options if option not in bringing]
    return f"{name} = {values[0]}" if len(values) == 1 else f"{name} other than {', '.join(others)}"
