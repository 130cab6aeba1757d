"""Optimizers by name, and the penalties on weights: decay (L2) and L1."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from objectives import hyperparameters as hp
from objectives.flat_optimizer import FlatOptimizer, ParameterGroups
from objectives.imports import imports_unnoticed
from objectives.measurement import NEAR_ZERO

# Fused where torch has it on every device. A step of the default CNN on one thread of an EPYC,
# torch 2.15: sgd 0.09 ms (foreach 0.21), adam and adamw 0.21 (0.58); as they come, adagrad 0.48 and
# rmsprop 0.52. A batch of 64 takes 28 ms.  A step that is replayed (see objectives/captured.py)
# sees no number of Python change, so its learning rate `rate` is a tensor, and its count of steps
# is on the device: that is `capturable`. foreach is torch's own choice on CUDA. nadam and radam
# have long formulas, and step over one flat tensor: a whole step of theirs is 99 and 96 operators
# on a CPU (views not counted); of lists of tensors it was 128 and 210, and sgd's is 62.


def _sgd(
    groups: ParameterGroups, options: hp.SGD, rate: float | Tensor, replayable: bool
) -> torch.optim.Optimizer:
    # Nesterov's step without momentum is the plain one.
    nesterov = options.nesterov and options.momentum > 0
    return torch.optim.SGD(
        groups, lr=rate, momentum=options.momentum, nesterov=nesterov, fused=True
    )


def _adagrad(
    groups: ParameterGroups, options: hp.Adagrad, rate: float | Tensor, replayable: bool
) -> torch.optim.Optimizer:
    # Where it is not fused, the count of steps stays on the host, and replays do not count. Only
    # torch's own decay of the rate, which is off, would ask for it.
    fused = isinstance(rate, Tensor) and _has_fused_adagrad(rate.device)
    return torch.optim.Adagrad(groups, lr=rate, fused=fused or None)


@cache
def _has_fused_adagrad(device: torch.device) -> bool:
    # A CPU has it since torch 2.11, CUDA since 2.15.
    weight = nn.Parameter(torch.zeros(1, device=device))
    weight.grad = torch.zeros_like(weight)
    try:
        torch.optim.Adagrad([weight], fused=True).step()
    except RuntimeError:
        return False
    return True


def _rmsprop(
    groups: ParameterGroups, options: hp.RMSprop, rate: float | Tensor, replayable: bool
) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(
        groups,
        lr=rate,
        alpha=options.alpha,
        momentum=options.momentum,
        centered=options.centered,
        capturable=replayable,
        foreach=replayable or None,
    )


def _adam(
    groups: ParameterGroups, options: hp.Adam, rate: float | Tensor, replayable: bool
) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        groups,
        lr=rate,
        betas=_betas(options),
        amsgrad=options.amsgrad,
        fused=True,
        capturable=replayable,
    )


def _adamw(
    groups: ParameterGroups, options: hp.AdamW, rate: float | Tensor, replayable: bool
) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        groups,
        lr=rate,
        betas=_betas(options),
        amsgrad=options.amsgrad,
        fused=True,
        capturable=replayable,
    )


def _nadam(
    groups: ParameterGroups, options: hp.NAdam, rate: float | Tensor, replayable: bool
) -> torch.optim.Optimizer:
    if not isinstance(rate, Tensor):
        return torch.optim.NAdam(groups, lr=rate, betas=_betas(options))

    def build(flat: nn.Parameter) -> torch.optim.Optimizer:
        optimizer = torch.optim.NAdam(
            [flat], lr=rate, betas=_betas(options), capturable=True, foreach=False
        )
        optimizer.state[flat] = _counted_in_float64(flat) | {
            "mu_product": torch.ones((), device=flat.device)
        }
        return optimizer

    return FlatOptimizer(groups, rate, build)


def _radam(
    groups: ParameterGroups, options: hp.RAdam, rate: float | Tensor, replayable: bool
) -> torch.optim.Optimizer:
    if not isinstance(rate, Tensor):
        return torch.optim.RAdam(groups, lr=rate, betas=_betas(options))

    def build(flat: nn.Parameter) -> torch.optim.Optimizer:
        optimizer = torch.optim.RAdam(
            [flat], lr=rate, betas=_betas(options), capturable=True, foreach=False
        )
        optimizer.state[flat] = _counted_in_float64(flat)
        return optimizer

    return FlatOptimizer(groups, rate, build)


def _counted_in_float64(flat: nn.Parameter) -> dict[str, Tensor]:
    # On the device torch computes 1 - beta2**step in the type of its count. There float32 is too
    # little: at beta2 = 0.9999 it finds 6.3 in RAdam's second step where 2.0 is right, and takes it
    # for one to rectify, which begins above 5. So here is the state that the first step would make,
    # but for that type.
    return {
        "step": torch.zeros((), dtype=torch.float64, device=flat.device),
        "exp_avg": torch.zeros_like(flat),
        "exp_avg_sq": torch.zeros_like(flat),
    }


def _betas(options: hp.Adam | hp.AdamW | hp.NAdam | hp.RAdam) -> tuple[float, float]:
    return options.beta1, options.beta2


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
    "nadam": _nadam,
    "radam": _radam,
}


def build_optimizer(
    options: hp.Optimizer, model: nn.Module, decay_scope: str, *, replayable: bool = False
) -> torch.optim.Optimizer:
    """The torch optimizer of `model`'s parameters, weight decay included.

    With `replayable`, for CUDA, its step may be recorded and replayed; its first step comes before
    that.
    """
    groups = parameter_groups(model, options.weight_decay, decay_scope)
    rate: float | Tensor = options.learning_rate
    if replayable:
        rate = torch.tensor(rate, device=next(model.parameters()).device)
    return OPTIMIZERS[options.name](groups, options, rate, replayable)


def load_optimizers(device: torch.device) -> None:
    """Has PyTorch import what it imports when the first optimizer is made, its compiler too: a
    second or more.

    A worker does so before it holds a trial.
    """
    weight = nn.Parameter(torch.zeros(1, device=device))
    weight.grad = torch.zeros_like(weight)
    with imports_unnoticed():
        torch.optim.SGD([weight]).step()


def load_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Makes a fresh optimizer go on from another one's state_dict(), which may have computed on
    another device.

    How it computes stays as it was built: that stands in the groups. Its rate is the saved one.
    What it holds of each parameter is brought to that one's memory format: PyTorch goes through
    both in the order of memory.
    """
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({**saved, "param_groups": groups})
    set_learning_rate(optimizer, float(saved["param_groups"][0]["lr"]))
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if (
                isinstance(value, Tensor)
                and value.shape == parameter.shape
                and value.stride() != parameter.stride()
            ):
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float | Tensor) -> None:
    """The rate of the next steps, recorded ones included; the device is not waited for.

    A tensor, without dimensions and on the device, is for an optimizer whose step may be recorded.
    """
    filled = None
    for group in optimizer.param_groups:
        if not isinstance(group["lr"], Tensor):
            group["lr"] = rate
        # Groups share their rate's tensor.
        elif group["lr"] is not filled:
            filled = group["lr"].fill_(rate)


def weights(model: nn.Module) -> Iterator[Tensor]:
    """The weights of convolutions and linear layers: no biases, nothing of a normalization."""
    return (layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear))


def penalized(model: nn.Module, decay_scope: str) -> list[Tensor]:
    """What weight decay and L1 act on: `weights` under scope "weights", every parameter under
    "all".

    "all" is what the reference tutorial does by giving `model.parameters()` to the optimizer.
    """
    return list(weights(model) if decay_scope == "weights" else model.parameters())


def parameter_groups(model: nn.Module, weight_decay: float, decay_scope: str) -> ParameterGroups:
    """Every parameter of `model` once: those that decay, and those that do not.

    torch adds `weight_decay * w` to the gradient of w (L2: the penalty weight_decay / 2 * sum of
    w^2) except in AdamW, which takes `learning_rate * weight_decay * w` from w itself (Loshchilov &
    Hutter 2019).
    """
    decayed = penalized(model, decay_scope)
    members = {id(parameter) for parameter in decayed}
    others = [parameter for parameter in model.parameters() if id(parameter) not in members]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def l1_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """`strength` times the sum of absolute values: a scalar to add to the loss (the reference
    tutorial's formula).
    """
    return strength * torch.stack([parameter.abs().sum() for parameter in parameters]).sum()


@torch.no_grad()
def near_zero_share(model: nn.Module) -> float:
    """Share, 0 to 1, of conv and linear weights with |w| < NEAR_ZERO."""
    every = torch.cat([weight.flatten() for weight in weights(model)])
    return float((every.abs() < NEAR_ZERO).float().mean())
