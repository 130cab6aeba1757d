"""The conditional search space as data: which parameters there are, what each may hold, and when it
exists.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from objectives.names import SUBJECTS
from search.space.augmentations import DEFAULT_AUGMENTATIONS
from search.space.domains import Choice, Domain, Off, Range, Value
from search.space.parameters import PARAMETERS, is_active

Suggest = Callable[[str, Choice | Range], Value]


@dataclass(frozen=True)
class SearchSpace:
    """What each parameter of a study may hold, by name, complete.

    >>> space = SearchSpace.default()
    >>> def first(name, domain):
    ...     return domain.options[0] if isinstance(domain, Choice) else domain.low
    >>> values = space.suggest(first)
    >>> values["optimizer"], "adam.learning_rate" in values
    ('sgd', False)
    """

    domains: tuple[tuple[str, Domain], ...]

    @classmethod
    def default(
        cls, changes: Mapping[str, Domain] | None = None, dataset: str = "mnist-5k"
    ) -> "SearchSpace":
        """The default space of a data set with some of its domains replaced."""
        # A data set that is not named there is a folder of images.
        subject = SUBJECTS.get(dataset, "photographs")
        domains = {name: parameter.default for name, parameter in PARAMETERS.items()}
        domains["augmentation"] = DEFAULT_AUGMENTATIONS[subject]
        return cls(tuple((domains | dict(changes or {})).items()))

    def suggest(self, suggest: Suggest) -> dict[str, Value]:
        """One configuration: asks `suggest` for each parameter that is active, switches included,
        and for no other.
        """
        values: dict[str, Value] = {}
        for name, domain in self.domains:
            parameter = PARAMETERS[name]
            if isinstance(domain, Off) or not is_active(parameter, values):
                continue
            if domain.optional:
                values[parameter.switch] = suggest(parameter.switch, Choice((True, False)))
                if not values[parameter.switch]:
                    continue
            values[name] = suggest(name, domain)
        return values

    def domain(self, name: str) -> Domain:
        """What the parameter may hold."""
        return dict(self.domains)[name]

    @property
    def searched(self) -> tuple[str, ...]:
        """The parameters with more than one possible value (or that may also be off)."""
        return tuple(name for name, domain in self.domains if domain.is_searched)
