"""The initializers of conv and linear weights: they draw in place from torch's global generator."""

from collections.abc import Callable

from torch import Tensor, nn


def default(weight: Tensor) -> None:
    """Leaves what torch drew: uniform within 1 / sqrt(fan_in), biases too."""


def normal(weight: Tensor) -> None:
    """Normal with deviation 0.02 (the reference tutorial's)."""
    nn.init.normal_(weight, std=0.02)


def xavier_uniform(weight: Tensor) -> None:
    """Uniform within sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    nn.init.xavier_uniform_(weight)


def xavier_normal(weight: Tensor) -> None:
    """Normal with deviation sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    nn.init.xavier_normal_(weight)


def he_uniform(weight: Tensor) -> None:
    """Uniform within sqrt(6 / fan_in) (He et al. 2015)."""
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


def he_normal(weight: Tensor) -> None:
    """Normal with deviation sqrt(2 / fan_in) (He et al. 2015)."""
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def orthogonal(weight: Tensor) -> None:
    """Orthonormal rows, or columns where rows are more, of the weight as (outputs, fan_in) (Saxe et
    al. 2014).
    """
    nn.init.orthogonal_(weight)


INITIALIZERS: dict[str, Callable[[Tensor], None]] = {
    "default": default,
    "normal": normal,
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "orthogonal": orthogonal,
}


def initialize(module: nn.Module, initializer: str) -> None:
    """Applies the initializer of that name to each conv and linear weight; biases become zero,
    except for default.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            INITIALIZERS[initializer](layer.weight)
            if initializer != "default" and layer.bias is not None:
                nn.init.zeros_(layer.bias)
