"""An optimizer that steps over one flat tensor, for those whose step takes many operators a
tensor.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

ParameterGroups = list[dict[str, Any]]


class FlatOptimizer(torch.optim.Optimizer):
    """Takes the steps of the optimizer that `build` makes of one flat parameter; saves and loads by
    parameter.

    The parameters become parts of the flat one, where they keep their strides. Weight decay is
    torch's: it adds `weight_decay * w` to the gradient of w. `build` gives its optimizer all of its
    state at once, and takes as rate the tensor of the groups.

    >>> FlatOptimizer(groups, rate, lambda flat: NAdam([flat], lr=rate))  # doctest: +SKIP
    """

    def __init__(
        self,
        groups: ParameterGroups,
        rate: Tensor,
        build: Callable[[nn.Parameter], torch.optim.Optimizer],
    ) -> None:
        super().__init__(groups, {"lr": rate})
        self._parameters: list[nn.Parameter] = []
        self._starts = [0]
        self._decays: list[tuple[slice, float]] = []
        for group in self.param_groups:
            first = self._starts[-1]
            for parameter in group["params"]:
                self._parameters.append(parameter)
                self._starts.append(self._starts[-1] + parameter.numel())
            if group["weight_decay"]:
                self._decays.append((slice(first, self._starts[-1]), group["weight_decay"]))
        self._weights = torch.cat(
            [_as_it_lies(parameter.detach(), parameter) for parameter in self._parameters]
        )
        for parameter, part in zip(self._parameters, self._parts(self._weights), strict=True):
            parameter.data = part
        self._flat = nn.Parameter(self._weights)
        self._inner = build(self._flat)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """See torch.optim.Optimizer; every parameter has a gradient."""
        gradient = torch.cat(
            [_as_it_lies(_gradient(parameter), parameter) for parameter in self._parameters]
        )
        for decayed, strength in self._decays:
            gradient[decayed].add_(self._weights[decayed], alpha=strength)
        self._flat.grad = gradient
        self._inner.step()
        self._flat.grad = None

    def state_dict(self) -> dict[str, Any]:
        """As that of an optimizer which holds its state by parameter; copies."""
        copies = (
            {name: value.clone() for name, value in state.items()}
            for state in self._state_by_parameter()
        )
        return {**super().state_dict(), "state": dict(enumerate(copies))}

    @torch.no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes the state alone: what stands in the groups, the rate for one, stays."""
        for index, state in enumerate(self._state_by_parameter()):
            for name, value in state_dict["state"].get(index, {}).items():
                state[name].copy_(value)

    def _state_by_parameter(self) -> Iterator[dict[str, Tensor]]:
        # Parts of the flat tensors, and counts and the like, which all parameters share.
        state = self._inner.state[self._flat]
        parts = {name: self._parts(value) for name, value in state.items() if value.dim() > 0}
        for index in range(len(self._parameters)):
            yield {
                name: parts[name][index] if name in parts else value
                for name, value in state.items()
            }

    def _parts(self, flat: Tensor) -> list[Tensor]:
        return [
            flat.as_strided(parameter.shape, parameter.stride(), start)
            for parameter, start in zip(self._parameters, self._starts[:-1], strict=True)
        ]


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _as_it_lies(values: Tensor, parameter: nn.Parameter) -> Tensor:
    # Flat, in the order in which the parameter's numbers lie in memory.
    if values.stride() != parameter.stride():
        values = torch.empty_like(parameter).copy_(values)
    return values.as_strided((values.numel(),), (1,))
