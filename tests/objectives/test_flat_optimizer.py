"""Steps over one flat tensor are those over each parameter, bit for bit, and so is what is saved of
them.
"""

import copy

import pytest
import torch
from torch import Tensor, nn

from objectives.flat_optimizer import FlatOptimizer, ParameterGroups
from objectives.optimizers import load_optimizer

RATE = 0.1


def network() -> nn.Sequential:
    """Weights in channels last, one whose only channel leaves its strides ambiguous, and biases."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 3), nn.Flatten(), nn.Linear(3, 2))
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def groups_of(model: nn.Module, decays: str) -> ParameterGroups:
    every = list(model.parameters())
    first = {
        "all": every,
        "none": [],
        "weights": [parameter for parameter in every if parameter.dim() > 1],
    }[decays]
    members = {id(parameter) for parameter in first}
    others = [parameter for parameter in every if id(parameter) not in members]
    return [{"params": first, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}]


def flat(model: nn.Module, decays: str) -> FlatOptimizer:
    rate = torch.tensor(RATE)

    def build(parameter: nn.Parameter) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD([parameter], lr=rate, momentum=0.9)
        optimizer.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
        return optimizer

    return FlatOptimizer(groups_of(model, decays), rate, build)


def ordinary(model: nn.Module, decays: str) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups_of(model, decays), lr=torch.tensor(RATE), momentum=0.9)


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, seed: int, *, plain: bool = False
) -> None:
    """With gradients that lie as the weights do, or in the order of their indices."""
    optimizer.zero_grad()
    images = torch.randn(5, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
    model(images).square().sum().backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        if plain:
            parameter.grad = parameter.grad.contiguous()
    optimizer.step()


def bits(values: list[Tensor]) -> list[object]:
    return [(value.stride(), value.flatten().tolist()) for value in values]


@pytest.mark.parametrize("plain", [False, True], ids=["gradients as weights", "gradients by index"])
@pytest.mark.parametrize("decays", ["all", "weights", "none"])
def test_steps_are_those_over_each_parameter_bit_for_bit(decays: str, plain: bool) -> None:
    ours, theirs = network(), network()
    own, other = flat(ours, decays), ordinary(theirs, decays)
    for seed in range(4):
        step(ours, own, seed, plain=plain)
        step(theirs, other, seed)
    assert bits(list(ours.parameters())) == bits(list(theirs.parameters()))


@pytest.mark.parametrize("own_first", [True, False])
def test_what_it_saves_another_goes_on_from_and_the_other_way_round(own_first: bool) -> None:
    expected, first, second = network(), network(), network()
    makers = (flat, ordinary) if own_first else (ordinary, flat)
    alone, before = ordinary(expected, "weights"), makers[0](first, "weights")
    for seed in range(4):
        step(expected, alone, seed)
    for seed in range(2):
        step(first, before, seed)
    second.load_state_dict(first.state_dict())
    after = makers[1](second, "weights")
    load_optimizer(after, copy.deepcopy(before.state_dict()))
    for seed in range(2, 4):
        step(second, after, seed)
    assert bits(list(second.parameters())) == bits(list(expected.parameters()))


def test_what_it_has_saved_does_not_change_with_its_next_step() -> None:
    model = network()
    optimizer = flat(model, "weights")
    step(model, optimizer, 0)
    saved = optimizer.state_dict()["state"]
    before = bits([state["momentum_buffer"] for state in saved.values()])
    step(model, optimizer, 1)
    assert bits([state["momentum_buffer"] for state in saved.values()]) == before
    assert len(before) == len(list(model.parameters()))


def test_an_optimizer_that_has_not_stepped_yet_is_gone_on_from() -> None:
    ours, theirs = network(), network()
    own, other = flat(ours, "weights"), ordinary(theirs, "weights")
    load_optimizer(own, other.state_dict())
    for seed in range(2):
        step(ours, own, seed)
        step(theirs, other, seed)
    assert bits(list(ours.parameters())) == bits(list(theirs.parameters()))


def test_its_rate_is_the_tensor_of_its_groups() -> None:
    model = network()
    optimizer = flat(model, "weights")
    load_optimizer(optimizer, ordinary(network(), "weights").state_dict())
    before = bits(list(model.parameters()))
    for group in optimizer.param_groups:
        group["lr"].fill_(0.0)
    step(model, optimizer, 0)
    assert bits(list(model.parameters())) == before
