"""A configuration: the values that a trial trains with, by the names of the space."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from objectives.hyperparameters import Hyperparameters
from search.space.domains import Value
from search.space.parameters import PARAMETERS, is_on, switched


@dataclass(frozen=True)
class Configuration:
    """What a trial trains under.

    >>> found = Configuration({"optimizer": "adam", "batch_size": 32, "l1.on": False})
    >>> found.active, found.hyperparameters().l1
    ({'optimizer': 'adam', 'batch_size': 32}, 0.0)
    """

    # The values are as Optuna holds them, with switches.
    values: Mapping[str, Value]

    @property
    def active(self) -> dict[str, Value]:
        """The active parameters under their names in the spec: a strength that is off is not
        there.
        """
        return {name: value for name, value in self.values.items() if switched(name) is None}

    def hyperparameters(self) -> Hyperparameters:
        """What a trial is told; of what is not there, the neutral value."""
        read: dict[str, Any] = {
            each.name: PARAMETERS[each.name].read(self.values) for each in fields(Hyperparameters)
        }
        return Hyperparameters(**read)


def spelt_once(values: Mapping[str, Value | None]) -> dict[str, Value | None]:
    """Values and switches, each strength that is switched on at its neutral value as one that is
    switched off.
    """
    off = {
        each.name
        for each in PARAMETERS.values()
        if values.get(each.switch) and not is_on(each.name, values[each.name])
    }
    kept = {name: value for name, value in values.items() if name not in off}
    return kept | {PARAMETERS[name].switch: False for name in off}
