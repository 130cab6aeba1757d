"""What a network costs to use; no torch."""

from dataclasses import asdict, dataclass

from objectives.architecture import Architecture


@dataclass(frozen=True)
class Costs:
    """See names.COSTS."""

    parameters: int
    macs: int
    # The latency is in milliseconds.
    latency: float

    def of(self, name: str) -> float:
        """The cost called `name` in a spec.

        >>> Costs(338_006, 7_652_840, 0.4).of("macs")
        7652840.0
        """
        return float(asdict(self)[name])


def counted_costs(
    image: tuple[int, int, int], classes: int, network: Architecture, *, normalized: bool
) -> dict[str, int]:
    """Parameters and multiply-accumulates of models.cnn.CNN for images (C, H, W), without making
    it.

    >>> counted_costs((1, 28, 28), 10, Architecture((16, 32, 64), 100), normalized=False)
    {'parameters': 338006, 'macs': 7652840}
    """
    inputs, height, width = image
    parameters = macs = normalizations = 0
    for place, outputs in enumerate(network.channels):
        kernels = outputs * inputs * 9
        parameters += kernels + outputs
        macs += kernels * height * width
        normalizations += outputs
        if place > 0:
            height, width = max(1, height // 2), max(1, width // 2)
            if network.block == "residual":
                kernels = outputs * outputs * 9
                parameters += 2 * (kernels + outputs)
                macs += 2 * kernels * height * width
                normalizations += 2 * outputs
        inputs = outputs
    pixels = height * width if network.head == "flatten" else 1
    linear = inputs * pixels * network.hidden_units + network.hidden_units * classes
    parameters += linear + network.hidden_units + classes
    # Each channel and hidden unit has a scale and a shift.
    if normalized:
        parameters += 2 * (normalizations + network.hidden_units)
    return {"parameters": parameters, "macs": macs + linear}


def shown_cost(value: float) -> str:
    """A count with its thousands apart, a measured time in three digits.

    >>> shown_cost(338006.0), shown_cost(0.41235)
    ('338,006', '0.412')
    """
    return f"{value:,.0f}" if value.is_integer() else f"{value:.3g}"
