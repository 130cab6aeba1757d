"""Optimizers are the published ones; weight decay and L1 are what autograd makes of their
formulas.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models.cnn import CNN, CNNConfig
from objectives import names
from objectives.hyperparameters import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop
from objectives.measurement import NEAR_ZERO
from objectives.optimizers import (
    OPTIMIZERS,
    build_optimizer,
    l1_penalty,
    near_zero_share,
    parameter_groups,
    penalized,
)

COUPLED: list[Callable[[float, float], Optimizer]] = [
    lambda rate, decay: SGD(rate, momentum=0.9, weight_decay=decay),
    lambda rate, decay: Adagrad(rate, weight_decay=decay),
    lambda rate, decay: RMSprop(rate, weight_decay=decay),
    lambda rate, decay: Adam(rate, weight_decay=decay),
    lambda rate, decay: NAdam(rate, weight_decay=decay),
    lambda rate, decay: RAdam(rate, weight_decay=decay),
]


def small_cnn(normalization: str = "layer") -> CNN:
    """Not batch: a bias before it has no gradient but rounding, which Adam would blow up."""
    torch.manual_seed(0)
    return CNN(
        CNNConfig(1, (6, 6), 3, channels=(4, 6), hidden_units=5, normalization=normalization)
    )


def loss_of(model: nn.Module) -> Tensor:
    images = torch.randn((8, 1, 6, 6), generator=torch.Generator().manual_seed(1))
    return nn.functional.cross_entropy(model(images), torch.arange(8) % 3)


def stepped(
    options: Optimizer, scope: str, steps: int, penalty: Callable[[nn.Module], Tensor] | None
) -> list[Tensor]:
    """The parameters after some steps on the loss, with `penalty` added where there is one."""
    model = small_cnn()
    optimizer = build_optimizer(options, model, scope)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model)
        torch.autograd.backward(loss if penalty is None else loss + penalty(model))
        optimizer.step()
    return [parameter.detach() for parameter in model.parameters()]


def names_of(model: nn.Module, parameters: list[Tensor]) -> list[str]:
    by_id = {id(parameter): name for name, parameter in model.named_parameters()}
    return [by_id[id(parameter)] for parameter in parameters]


def weights_by_name(model: nn.Module) -> list[str]:
    """Conv and linear weights, told by their shape: those of a normalization are vectors."""
    return [name for name, parameter in model.named_parameters() if parameter.dim() > 1]


def test_every_name_is_implemented_and_nothing_else() -> None:
    assert tuple(OPTIMIZERS) == names.OPTIMIZERS


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_scope_weights_takes_conv_and_linear_weights_alone(normalization: str) -> None:
    model = small_cnn(normalization)
    assert names_of(model, penalized(model, "weights")) == weights_by_name(model)
    assert len(weights_by_name(model)) == 4


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_scope_all_takes_every_parameter_as_the_tutorial_does(normalization: str) -> None:
    model = small_cnn(normalization)
    assert names_of(model, penalized(model, "all")) == [
        name for name, _ in model.named_parameters()
    ]


@pytest.mark.parametrize("scope", names.DECAY_SCOPES)
def test_every_parameter_is_in_one_group_and_only_the_penalized_decay(scope: str) -> None:
    model = small_cnn()
    groups = build_optimizer(SGD(0.1, weight_decay=0.5), model, scope).param_groups
    found = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    decayed = {id(p) for p in penalized(model, scope)}
    assert sum(len(group["params"]) for group in groups) == len(found)
    assert found == {id(p): 0.5 if id(p) in decayed else 0.0 for p in model.parameters()}
    assert [group["weight_decay"] for group in parameter_groups(model, 0.5, scope)] == [0.5, 0.0]


@pytest.mark.parametrize(
    "make", COUPLED, ids=["sgd", "adagrad", "rmsprop", "adam", "nadam", "radam"]
)
@pytest.mark.parametrize("scope", names.DECAY_SCOPES)
def test_coupled_weight_decay_is_half_the_squared_weights_in_the_loss(
    make: Callable[[float, float], Optimizer], scope: str
) -> None:
    def penalty(model: nn.Module) -> Tensor:
        squares = [parameter.square().sum() for parameter in penalized(model, scope)]
        return 0.3 / 2 * torch.stack(squares).sum()

    found = stepped(make(0.01, 0.3), scope, 3, None)
    torch.testing.assert_close(found, stepped(make(0.01, 0.0), scope, 3, penalty))
    assert not torch.allclose(found[0], stepped(make(0.01, 0.0), scope, 3, None)[0], atol=1e-3)


@pytest.mark.parametrize("scope", names.DECAY_SCOPES)
def test_adamw_decay_is_decoupled(scope: str) -> None:
    """Loshchilov & Hutter 2019, algorithm 2 with torch's parametrization: w <- w - rate * decay *
    w, then Adam.
    """
    rate, decay = 0.01, 3.0
    model = small_cnn()
    adam = build_optimizer(Adam(rate), model, scope)
    for _ in range(3):
        adam.zero_grad()
        torch.autograd.backward(loss_of(model))
        with torch.no_grad():
            for parameter in penalized(model, scope):
                parameter.mul_(1 - rate * decay)
        adam.step()
    expected = [parameter.detach() for parameter in model.parameters()]
    torch.testing.assert_close(stepped(AdamW(rate, weight_decay=decay), scope, 3, None), expected)


def test_sgd_is_its_formula() -> None:
    """torch's momentum (Sutskever et al. 2013): v <- momentum * v + gradient, w <- w - rate * v."""
    rate, momentum = 0.1, 0.9
    model = small_cnn()
    velocities = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for _ in range(3):
        gradients = torch.autograd.grad(loss_of(model), list(model.parameters()))
        with torch.no_grad():
            for parameter, velocity, gradient in zip(
                model.parameters(), velocities, gradients, strict=True
            ):
                parameter.sub_(rate * velocity.mul_(momentum).add_(gradient))
    torch.testing.assert_close(
        stepped(SGD(rate, momentum), "weights", 3, None),
        [parameter.detach() for parameter in model.parameters()],
    )


# The update maps (step from 1, own state, gradient) to what w loses.
Update = Callable[[int, list[Tensor], Tensor], Tensor]


def by_formula(update: Update, states: int, steps: int = 5) -> list[Tensor]:
    """The parameters after some steps of an update rule, each with `states` tensors of its own that
    start at 0.
    """
    model = small_cnn()
    own = [[torch.zeros_like(parameter) for _ in range(states)] for parameter in model.parameters()]
    for step in range(1, steps + 1):
        gradients = torch.autograd.grad(loss_of(model), list(model.parameters()))
        with torch.no_grad():
            for parameter, state, gradient in zip(model.parameters(), own, gradients, strict=True):
                parameter.sub_(update(step, state, gradient))
    return [parameter.detach() for parameter in model.parameters()]


def moments(
    state: list[Tensor], gradient: Tensor, beta1: float, beta2: float
) -> tuple[Tensor, Tensor]:
    state[0].mul_(beta1).add_((1 - beta1) * gradient)
    state[1].mul_(beta2).add_((1 - beta2) * gradient.square())
    return state[0], state[1]


def nesterov(step: int, state: list[Tensor], gradient: Tensor) -> Tensor:
    """Sutskever et al. 2013 as torch has it: w <- w - rate * (gradient + momentum * v)."""
    velocity = state[0].mul_(0.9).add_(gradient)
    return 0.1 * (gradient + 0.9 * velocity)


def adagrad(step: int, state: list[Tensor], gradient: Tensor) -> Tensor:
    """Duchi et al. 2011."""
    return 0.1 * gradient / (state[0].add_(gradient.square()).sqrt() + 1e-10)


def rmsprop(step: int, state: list[Tensor], gradient: Tensor) -> Tensor:
    """Tieleman & Hinton 2012, centered (Graves 2013), with momentum after the division."""
    square, mean, velocity = state
    square.mul_(0.9).add_(0.1 * gradient.square())
    mean.mul_(0.9).add_(0.1 * gradient)
    deviation = (square - mean.square()).clamp(min=0).sqrt() + 1e-8
    return 0.01 * velocity.mul_(0.5).add_(gradient / deviation)


def adam(step: int, state: list[Tensor], gradient: Tensor) -> Tensor:
    """Kingma & Ba 2015, at betas of 0.8 and 0.9."""
    mean, square = moments(state, gradient, 0.8, 0.9)
    return 0.01 * mean / (1 - 0.8**step) / ((square / (1 - 0.9**step)).sqrt() + 1e-8)


def amsgrad(step: int, state: list[Tensor], gradient: Tensor) -> Tensor:
    """Reddi et al. 2018: by the largest square so far."""
    mean, square = moments(state, gradient, 0.9, 0.999)
    largest = state[2].copy_(torch.maximum(state[2], square))
    return 0.01 * mean / (1 - 0.9**step) / ((largest / (1 - 0.999**step)).sqrt() + 1e-8)


def nadam(step: int, state: list[Tensor], gradient: Tensor) -> Tensor:
    """Dozat 2016 with his schedule of momentum, 0.96 ** (0.004 * step)."""
    mean, square = moments(state, gradient, 0.8, 0.9)
    rates = [0.8 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in range(1, step + 2)]
    product, after = torch.tensor(rates[:-1]).double().prod(), torch.tensor(rates).double().prod()
    looking_ahead = (1 - rates[-2]) * gradient / (1 - product) + rates[-1] * mean / (1 - after)
    return (0.01 * looking_ahead / ((square / (1 - 0.9**step)).sqrt() + 1e-8)).float()


def radam(step: int, state: list[Tensor], gradient: Tensor) -> Tensor:
    """Liu et al. 2020: plain momentum until the variance of the rate can be estimated, then
    rectified.
    """
    mean, square = moments(state, gradient, 0.8, 0.9)
    limit = 2 / (1 - 0.9) - 1
    length = limit - 2 * step * 0.9**step / (1 - 0.9**step)
    mean = mean / (1 - 0.8**step)
    if length <= 5:
        return 0.01 * mean
    rectified = ((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)) ** 0.5
    return 0.01 * rectified * mean / ((square.sqrt() + 1e-8) / (1 - 0.9**step) ** 0.5)


FORMULAS: list[tuple[Optimizer, Update, int]] = [
    (SGD(0.1, 0.9, nesterov=True), nesterov, 1),
    (Adagrad(0.1), adagrad, 1),
    (RMSprop(0.01, alpha=0.9, momentum=0.5, centered=True), rmsprop, 3),
    (Adam(0.01, beta1=0.8, beta2=0.9), adam, 2),
    (Adam(0.01, amsgrad=True), amsgrad, 3),
    (AdamW(0.01, beta1=0.8, beta2=0.9), adam, 2),
    (AdamW(0.01, amsgrad=True), amsgrad, 3),
    (NAdam(0.01, beta1=0.8, beta2=0.9), nadam, 2),
    (RAdam(0.01, beta1=0.8, beta2=0.9), radam, 2),
]


@pytest.mark.parametrize(
    ("options", "update", "states"), FORMULAS, ids=[repr(each[0]) for each in FORMULAS]
)
def test_an_optimizer_is_its_formula(options: Optimizer, update: Update, states: int) -> None:
    # Divided by their own size, gradients that differ by rounding alone make steps that differ by
    # more.
    torch.testing.assert_close(
        stepped(options, "weights", 5, None), by_formula(update, states), rtol=1e-3, atol=2e-4
    )


def test_nesterov_without_momentum_is_plain() -> None:
    torch.testing.assert_close(
        stepped(SGD(0.1, 0.0, nesterov=True), "weights", 3, None),
        stepped(SGD(0.1), "weights", 3, None),
    )


@pytest.mark.parametrize("scope", names.DECAY_SCOPES)
def test_l1_is_the_sum_of_absolute_values_and_its_gradient_their_sign(scope: str) -> None:
    model = small_cnn()
    parameters = penalized(model, scope)
    with torch.no_grad():
        parameters[0][0] = 0.0
    penalty = l1_penalty(parameters, 0.25)
    gradients = list(torch.autograd.grad(penalty, parameters))
    expected = 0.25 * sum(
        abs(value) for parameter in parameters for value in parameter.flatten().tolist()
    )
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(
        gradients, [0.25 * parameter.detach().sign() for parameter in parameters]
    )


def test_near_zero_share_counts_conv_and_linear_weights_alone() -> None:
    model = small_cnn()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(-NEAR_ZERO if parameter.dim() > 1 else 0.0)
    assert near_zero_share(model) == 0.0
    with torch.no_grad():
        model.output.weight.fill_(0.99 * NEAR_ZERO)
    total = sum(parameter.numel() for parameter in model.parameters() if parameter.dim() > 1)
    assert near_zero_share(model) == pytest.approx(model.output.weight.numel() / total)
