"""How values of a metric are written: shares in percent and their differences in points, losses as
they are.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.analysis.inference.components import Interval


@dataclass(frozen=True)
class Scale:
    """Of one metric.

    >>> Scale("accuracy").value(0.98125), Scale("accuracy").change(0.0042)
    ('98.12', '+0.42')
    >>> Scale("loss").value(0.0713)
    '0.0713'
    """

    metric: str

    @property
    def is_share(self) -> bool:
        """Whether it lies between 0 and 1, the more the better."""
        return self.metric != "loss"

    @property
    def unit(self) -> str:
        """What stands above a column of values."""
        return f"{self.metric.replace('_', ' ')} in %" if self.is_share else "loss in nats"

    @property
    def points(self) -> str:
        """What stands behind a difference."""
        return "points" if self.is_share else "nats"

    def value(self, value: float | None, digits: int = 2) -> str:
        """One value; a dash where there is none."""
        if value is None:
            return "-"
        return f"{100 * value:.{digits}f}" if self.is_share else f"{value:.{digits + 2}f}"

    def change(self, value: float, digits: int = 2) -> str:
        """A difference, with its sign."""
        return f"{100 * value:+.{digits}f}" if self.is_share else f"{value:+.{digits + 2}f}"

    def size(self, value: float) -> str:
        """A difference without a sign, as `1.0 points`."""
        shown = f"{100 * value:.1f}" if self.is_share else f"{value:.3f}"
        return f"{shown} {self.points}"

    def interval(self, interval: "Interval | None", digits: int = 1) -> str:
        """From .. to; a dash where there is none."""
        if interval is None:
            return "-"
        return f"{self.value(interval.low, digits)} .. {self.value(interval.high, digits)}"

    def change_interval(self, interval: "Interval", digits: int = 2) -> str:
        """From .. to, with signs."""
        return f"{self.change(interval.low, digits)} .. {self.change(interval.high, digits)}"
