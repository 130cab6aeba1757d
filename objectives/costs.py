"""What a network costs to use; no torch."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Costs:
    """See names.COSTS."""

    parameters: int
    macs: int
    latency: float  # milliseconds

    def of(self, name: str) -> float:
        """The cost called `name` in a spec.

        >>> Costs(338_006, 7_652_840, 0.4).of("macs")
        7652840.0
        """
        return float(asdict(self)[name])


def shown_cost(value: float) -> str:
    """A count with its thousands apart, a measured time in three digits.

    >>> shown_cost(338006.0), shown_cost(0.41235)
    ('338,006', '0.412')
    """
    return f"{value:,.0f}" if value.is_integer() else f"{value:.3g}"
