"""What a parameter may hold: domains, and the limits of numbers."""

import math
from dataclasses import dataclass
from typing import ClassVar

Value = str | int | float | bool


@dataclass(frozen=True)
class Choice:
    """One of some values; one value alone pins the parameter. `optional`: or off."""

    options: tuple[Value, ...]
    optional: bool = False

    @property
    def is_single(self) -> bool:
        """Whether there is one value, but for off."""
        return len(self.options) == 1

    @property
    def is_searched(self) -> bool:
        """Whether there is a choice: between values, or whether to be off."""
        return self.optional or not self.is_single

    @property
    def stand_in(self) -> Value:
        """What a configuration without the parameter is taken to hold: the first option."""
        return self.options[0]

    def holds(self, value: object) -> bool:
        """Whether it is one of the options; off is none. `False` is not 0.0 here."""
        return any(
            option == value and isinstance(option, bool) == isinstance(value, bool)
            for option in self.options
        )

    def at(self, share: float) -> Value:
        """The option at a share, 0 to 1: equal shares for each."""
        return self.options[min(int(share * len(self.options)), len(self.options) - 1)]


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included; `optional`: or off; `whole`: no fraction.

    >>> Range(8, 11, whole=True).at(0.3), Range(0.01, 1.0, log=True).share_of(0.1)
    (9, 0.5)
    """

    low: float
    high: float
    log: bool = False
    optional: bool = False
    whole: bool = False

    @property
    def is_single(self) -> bool:
        """Whether there is one value, but for off."""
        return self.low == self.high

    @property
    def is_searched(self) -> bool:
        """Whether there is a choice: between values, or whether to be off."""
        return self.optional or not self.is_single

    @property
    def stand_in(self) -> Value:
        """What a configuration without the parameter is taken to hold: the middle, on its scale."""
        return self.at(0.5)

    def holds(self, value: object) -> bool:
        """Whether it is a number that lies inside; off is none."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high

    def at(self, share: float) -> float:
        """The value at a share, 0 to 1, on its own scale: equal shares for each whole number."""
        low, high = self._ends
        value = low * (high / low) ** share if self.log else low + (high - low) * share
        value = min(max(float(round(value)) if self.whole else value, self.low), self.high)
        return int(value) if self.whole else value

    def share_of(self, value: float) -> float:
        """Where a value lies, 0 to 1, on its own scale: what `at` turns back."""
        low, high = self._ends
        if self.log:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    @property
    def _ends(self) -> tuple[float, float]:
        # Each whole number has as much room as the others, half of it to both sides.
        half = 0.5 if self.whole else 0.0
        return self.low - half, self.high + half


@dataclass(frozen=True)
class Off:
    """Pinned off: the technique does not take part."""

    is_searched: ClassVar[bool] = False

    def holds(self, value: object) -> bool:
        """Whether it is a value of it: none is."""
        return False


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
