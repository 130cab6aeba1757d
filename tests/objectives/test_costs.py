"""What a network costs is counted from its layers and measured by the clock."""

import itertools
from dataclasses import asdict

import pytest
import torch

from models.blocks import BLOCKS, HEADS
from models.cnn import CNN, CNNConfig
from objectives.architecture import Architecture, scaled
from objectives.cost_measurement import FIRST_PASSES, PASSES, measure_costs
from objectives.costs import Costs, counted_costs
from objectives.names import COSTS


def default_cnn(normalization: str = "none") -> CNN:
    return CNN(CNNConfig(1, (28, 28), 10, normalization=normalization, dropout=0.5))


class Clock:
    """Each pass takes as many seconds as its number; what lies between two takes none."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0

    def __call__(self) -> float:
        self.calls += 1
        if self.calls % 2 == 0:
            self.now += self.calls / 2
        return self.now


def test_the_tutorials_network_costs_what_its_layers_do() -> None:
    model = default_cnn()
    clock = Clock()
    found = measure_costs(model, torch.zeros(1, 1, 28, 28), clock)
    # Written out: outputs times inputs a kernel reaches.
    convolutions = 28 * 28 * 16 * 9 + 28 * 28 * 32 * 16 * 9 + 14 * 14 * 64 * 32 * 9
    linear = 64 * 7 * 7 * 100 + 100 * 10
    assert found.macs == convolutions + linear
    assert found.parameters == 338_006
    assert found.latency == pytest.approx(1000 * (FIRST_PASSES + (PASSES + 1) / 2))
    assert clock.calls == 2 * (FIRST_PASSES + PASSES)
    assert [found.of(name) for name in COSTS] == [found.parameters, found.macs, found.latency]


def test_measuring_leaves_the_network_and_randomness_alone() -> None:
    model = default_cnn("batch").train()
    before, state = (
        {name: value.clone() for name, value in model.state_dict().items()},
        torch.get_rng_state(),
    )
    assert isinstance(measure_costs(model, torch.zeros(1, 1, 28, 28)), Costs)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module._forward_hooks for module in model.modules())


def test_costs_that_are_counted_are_those_of_the_network_that_is_made() -> None:
    cases = itertools.product(
        [(1, 8, 8), (3, 33, 5), (1, 1, 1)],
        ["none", "batch", "group"],
        [(4,), (3, 5, 7, 2)],
        itertools.product(BLOCKS, HEADS),
    )
    for (image, normalization, channels, (block, head)), width in zip(
        cases, itertools.cycle((1.0, 0.3, 2.5))
    ):
        shape = Architecture(
            tuple(scaled(count, width) for count in channels), scaled(9, width), block, head
        )
        model = CNN(CNNConfig(image[0], image[1:], 4, **asdict(shape), normalization=normalization))
        made = measure_costs(model, torch.zeros(1, *image))
        found = counted_costs(image, 4, shape, normalized=normalization != "none")
        assert found == {"parameters": made.parameters, "macs": made.macs}
