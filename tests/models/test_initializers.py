"""The initializers against the deviations and bounds of their formulas."""

from math import prod, sqrt

import pytest
import torch
from torch import Tensor, nn

from models import names
from models.initializers import INITIALIZERS, initialize

# The shapes are of conv and linear weights, with fan_in above and below fan_out.
SHAPES = [
    (64, 32, 3, 3),
    (100, 784),
    (256, 16, 3, 3),
]
DEVIATIONS = {
    "normal": lambda fan_in, fan_out: 0.02,
    "xavier_uniform": lambda fan_in, fan_out: sqrt(2 / (fan_in + fan_out)),
    "xavier_normal": lambda fan_in, fan_out: sqrt(2 / (fan_in + fan_out)),
    "he_uniform": lambda fan_in, fan_out: sqrt(2 / fan_in),
    "he_normal": lambda fan_in, fan_out: sqrt(2 / fan_in),
}


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    torch.manual_seed(0)
    weight = torch.full(shape, 9.0)
    INITIALIZERS[name](weight)
    return weight


def deviation(name: str, shape: tuple[int, ...]) -> float:
    pixels = prod(shape[2:])
    return DEVIATIONS[name](shape[1] * pixels, shape[0] * pixels)


def test_the_names_are_those_of_the_dict_in_order() -> None:
    assert tuple(INITIALIZERS) == names.INITIALIZERS


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", DEVIATIONS)
def test_weights_have_the_deviation_of_the_formula(name: str, shape: tuple[int, ...]) -> None:
    weight, expected = drawn(name, shape), deviation(name, shape)
    # Four standard errors: of a mean expected / sqrt(n); of a normal sample's deviation expected /
    # sqrt(2 n), and less of a uniform one's.
    assert weight.mean().item() == pytest.approx(0, abs=4 * expected / sqrt(weight.numel()))
    assert weight.std().item() == pytest.approx(expected, rel=4 / sqrt(2 * weight.numel()))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", DEVIATIONS)
def test_uniform_weights_fill_their_bound_and_normal_ones_pass_it(
    name: str, shape: tuple[int, ...]
) -> None:
    share = drawn(name, shape).abs().max().item() / (sqrt(3) * deviation(name, shape))
    if name.endswith("uniform"):
        assert 0.999 < share < 1 + 1e-6
    else:
        # The limit lies at 3.46 deviations, where one weight in 1,900 is.
        assert share > 2


@pytest.mark.parametrize("shape", [*SHAPES, (16, 1, 3, 3), (10, 100)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = drawn("orthogonal", shape).flatten(1)
    if shape[0] > matrix.shape[1]:
        matrix = matrix.T
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), rtol=0, atol=1e-5)


def test_default_leaves_weights_and_biases() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 6))
    before = [parameter.clone() for parameter in module.parameters()]
    initialize(module, "default")
    assert all(map(torch.equal, module.parameters(), before))


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name != "default"])
def test_conv_and_linear_weights_are_drawn_anew_their_biases_zero_and_all_else_is_left(
    name: str,
) -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.Sequential(nn.Linear(5, 6)),
        nn.BatchNorm2d(4),
        nn.Linear(2, 3, False),
    )
    before = {key: parameter.clone() for key, parameter in module.named_parameters()}
    initialize(module, name)
    after = dict(module.named_parameters())
    assert {key for key in after if not torch.equal(before[key], after[key])} == (
        {"0.weight", "0.bias", "1.0.weight", "1.0.bias", "3.weight"}
    )
    assert not after["0.bias"].any()
    assert not after["1.0.bias"].any()
