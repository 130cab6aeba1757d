"""What a parameter may hold: domains, and the limits of numbers."""

import math
from dataclasses import dataclass

Value = str | int | float | bool


@dataclass(frozen=True)
class Choice:
    """One of some values; one value alone pins the parameter. `optional`: or off."""

    options: tuple[Value, ...]
    optional: bool = False


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included; `optional`: or off."""

    low: float
    high: float
    log: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Off:
    """Pinned off: the technique does not take part."""


Domain = Choice | Range | Off


@dataclass(frozen=True)
class Limits:
    """The values that a number may take at all: an interval, its ends open where `<` would
    stand.
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def hold(self, value: float) -> bool:
        """Whether the value lies inside."""
        above = value > self.low if self.low_open else value >= self.low
        return above and (value < self.high if self.high_open else value <= self.high)

    def mend(self, value: float) -> str:
        """What to say of a value that lies outside; a share that was meant in percent is written as
        one.

        >>> Limits(0.0, 1.0).mend(25)
        'must be 0 <= value <= 1: write 0.25 for 25 %'
        """
        is_percent = self.high == 1 and 2 <= value <= 100 and self.hold(value / 100)
        return f"must be {self}" + (
            f": write {value / 100:g} for {value:g} %" if is_percent else ""
        )

    def __str__(self) -> str:
        text = f"{self.low:g} {'<' if self.low_open else '<='} value"
        return (
            text
            if math.isinf(self.high)
            else f"{text} {'<' if self.high_open else '<='} {self.high:g}"
        )
