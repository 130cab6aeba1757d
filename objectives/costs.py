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
