"""How a hyperparameter is declared: once, with all that is said of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from search.space.domains import Domain, Limits, Range, Value

STRENGTH = Limits(low=0.0)
POSITIVE = Limits(low=0.0, low_open=True)
SHARE = Limits(low=0.0, high=1.0, low_open=True)
WITHIN = Limits(low=0.0, high=1.0, low_open=True, high_open=True)
BELOW_ONE = Limits(low=0.0, high=1.0, high_open=True)
NO_LIMITS = Limits()

TUTORIAL = "the reference tutorial"

Values = Mapping[str, Value]


@dataclass(frozen=True)
class Option:
    """One option of a technique, or the technique itself where it is a strength alone."""

    name: str
    formula: str
    source: str


@dataclass(frozen=True)
class Description:
    """What a user reads of a technique."""

    meaning: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Parameter:
    """One name of the space: the technique it belongs to, the values it may take, and the parent
    that it needs.

    `off` is the neutral value, what `false` in a spec stands for: the technique's neutral option,
    or the number that a parameter that is then not there has: 0.0 for a strength; `None` where
    there is no such thing. See `is_on`.
    """

    name: str
    technique: str
    kind: Literal["choice", "bool", "float", "int"]
    default: Domain
    limits: Limits = NO_LIMITS
    # The names are those of a choice of more than what is described.
    names: tuple[str, ...] = ()
    # Studies that are stored may have these names, which some of the options had.
    former_options: tuple[str, ...] = ()
    off: str | float | None = None
    # A definition holds it where it is not the default alone, so that those from before keep their
    # hash: its default never changes.
    added_later: bool = False
    # The parent's name comes with the values of it that bring this parameter.
    parent: tuple[str, tuple[str, ...]] | None = None
    # A search that learns draws its first trials here; None: anywhere.
    usual: Domain | None = None
    # It draws them here without a normalization, as elsewhere a training may diverge; None:
    # anywhere.
    unnormalized: Range | None = None
    branches: "Mapping[str, Branch] | None" = field(default=None, compare=False)
    # A user reads this of the technique that has the parameter's name.
    meaning: str = ""
    described: tuple[Option, ...] = ()
    # A trial trains with what this makes of the parameter's own value and all others; None: the
    # value.
    made: Callable[[Any, Values], object] | None = field(default=None, compare=False)

    @property
    def options(self) -> tuple[str, ...]:
        """The names that a choice may take."""
        if self.kind != "choice":
            return ()
        return self.names or tuple(option.name for option in self.description.options)

    @property
    def description(self) -> Description:
        """What a user reads of the technique that has this name."""
        branches = (self.branches or {}).items()
        of_branches = tuple(Option(name, each.formula, each.source) for name, each in branches)
        return Description(self.meaning, self.described or of_branches)

    @property
    def switch(self) -> str:
        """The name under which Optuna holds whether an optional strength is on."""
        return f"{self.name}.on"

    def read(self, values: Values) -> object:
        """What a trial trains with: of what is not there the neutral value. Raises KeyError where
        there is no such thing.
        """
        value = self._own(values)
        if self.branches is not None:
            return self.branches[str(value)].read(values)
        return value if self.made is None else self.made(value, values)

    def _own(self, values: Values) -> Value:
        if self.kind == "float":
            return float(values.get(self.name, self.off or 0.0))
        value = values[self.name] if self.off is None else values.get(self.name, self.off)
        match self.kind:
            case "choice":
                return str(value)
            case "bool":
                return bool(value)
            case _:
                return int(value)


@dataclass(frozen=True)
class Branch:
    """An option that brings parameters of its own: an optimizer, a schedule.

    They are the fields of `made`, what a trial is told of it.
    """

    made: Callable[..., object]
    formula: str
    source: str
    parameters: tuple[Parameter, ...]

    def read(self, values: Values) -> object:
        """What a trial trains with."""
        own = {each.name.rpartition(".")[2]: each.read(values) for each in self.parameters}
        return self.made(**own)


def branch(
    parent: str, name: str, made: Callable[..., object], formula: str, source: str, *own: Parameter
) -> Branch:
    """The option `name` of the parameter `parent`; its own parameters are named by it, and exist
    under it alone.
    """
    named = tuple(
        replace(each, name=f"{name}.{each.name}", parent=(parent, (name,))) for each in own
    )
    return Branch(made, formula, source, named)
