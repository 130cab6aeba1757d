"""Measures what a network costs to use."""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from objectives.costs import Costs

# The first passes are not measured: while they run, caches and clocks settle.
PASSES, FIRST_PASSES = 20, 3


@torch.inference_mode()
def measure_costs(
    model: nn.Module, image: Tensor, clock: Callable[[], float] = time.perf_counter
) -> Costs:
    """The costs of `model`, which stays in its mode, on one `image` (1, C, H, W) of its device.

    Multiply-accumulates are those of convolutions and linear layers, biases not counted. Latency is
    the median of PASSES forward passes by the process's threads, the image on the device.
    """
    was_training = model.training
    model.eval()
    counts: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda layer, _, output: counts.append(_macs(layer, output)))
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    model(image)
    for hook in hooks:
        hook.remove()
    seconds = []
    for _ in range(FIRST_PASSES + PASSES):
        _wait_for(image.device)
        started = clock()
        model(image)
        _wait_for(image.device)
        seconds.append(clock() - started)
    model.train(was_training)
    parameters = sum(
        parameter.numel() for parameter in model.parameters() if parameter.requires_grad
    )
    return Costs(parameters, sum(counts), 1000 * median(seconds[FIRST_PASSES:]))


def _macs(layer: nn.Module, output: Tensor) -> int:
    # Each of an image's outputs sums over one output's weights.
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return output[0].numel() * weight[0].numel()


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
