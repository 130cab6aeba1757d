"""The normalizations against their formulas, computed by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models import names
from models.normalizations import HIDDEN_NORMALIZATIONS, NORMALIZATIONS

# Groups are six, of two channels: no normalization is the same as another.
CHANNELS = 12
SCALE, SHIFT = torch.linspace(0.5, 2.0, CHANNELS), torch.linspace(-1.0, 1.0, CHANNELS)


def with_scale_and_shift(module: nn.Module) -> nn.Module:
    module.load_state_dict({"weight": SCALE, "bias": SHIFT}, strict=False)
    return module


def normalized(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    mean = values.mean(axes, keepdim=True)
    variance = (values - mean).square().mean(axes, keepdim=True)
    return (values - mean) / (variance + 1e-5).sqrt()


def scaled(images: Tensor) -> Tensor:
    return images * SCALE[:, None, None] + SHIFT[:, None, None]


def test_the_names_are_those_of_the_dicts_in_order() -> None:
    assert tuple(NORMALIZATIONS) == tuple(HIDDEN_NORMALIZATIONS) == names.NORMALIZATIONS


@pytest.mark.parametrize(
    ("name", "axes"),
    [("batch", (0, 2, 3)), ("layer", (1, 2, 3)), ("group", (2, 3, 4)), ("instance", (2, 3))],
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_normalization_of_images_follows_its_formula(
    name: str, axes: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    images = 3 * torch.randn(4, CHANNELS, 5, 7, generator=torch.Generator().manual_seed(0)) + 2
    shape = (4, 6, 2, 5, 7) if name == "group" else images.shape
    expected = scaled(normalized(images.reshape(shape), axes).reshape(images.shape))
    module = with_scale_and_shift(NORMALIZATIONS[name](CHANNELS))
    torch.testing.assert_close(
        module(images.to(memory_format=memory_format)), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "axis"), [("batch", 0), ("layer", 1), ("group", 1), ("instance", 1)]
)
def test_a_normalization_of_the_hidden_vector_follows_its_formula(name: str, axis: int) -> None:
    hidden = 3 * torch.randn(5, CHANNELS, generator=torch.Generator().manual_seed(0)) + 2
    module = with_scale_and_shift(HIDDEN_NORMALIZATIONS[name](CHANNELS))
    expected = normalized(hidden, (axis,)) * SCALE + SHIFT
    torch.testing.assert_close(module(hidden), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalizations", [NORMALIZATIONS, HIDDEN_NORMALIZATIONS])
def test_none_leaves_its_input_and_has_no_parameters(
    normalizations: dict[str, Callable[[int], nn.Module]],
) -> None:
    module, values = normalizations["none"](CHANNELS), torch.randn(2, CHANNELS)
    assert torch.equal(module(values), values)
    assert list(module.parameters()) == []


def test_batch_normalization_evaluates_with_the_running_mean_and_variance() -> None:
    images = 3 * torch.randn(4, CHANNELS, 5, 7, generator=torch.Generator().manual_seed(0)) + 2
    module = with_scale_and_shift(NORMALIZATIONS["batch"](CHANNELS))
    module(images)
    mean = 0.1 * images.mean((0, 2, 3), keepdim=True)
    variance = 0.9 + 0.1 * images.var((0, 2, 3), keepdim=True)
    expected = scaled((images[:1] - mean) / (variance + 1e-5).sqrt())
    torch.testing.assert_close(module.eval()(images[:1]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (6, 6), (12, 6), (16, 8), (17, 1), (20, 5), (64, 8)]
)
def test_group_has_the_largest_divisor_up_to_eight(channels: int, groups: int) -> None:
    module = NORMALIZATIONS["group"](channels)
    assert isinstance(module, nn.GroupNorm)
    assert module.num_groups == groups


@pytest.mark.parametrize("name", ["layer", "group", "instance"])
@pytest.mark.parametrize("channels", [1, 8, CHANNELS])
def test_one_image_of_one_pixel_is_normalized_as_in_any_batch(name: str, channels: int) -> None:
    images = torch.randn(2, channels, 1, 1, generator=torch.Generator().manual_seed(0))
    module = NORMALIZATIONS[name](channels)
    torch.testing.assert_close(module(images[:1]), module(images)[:1])


def test_instance_of_one_pixel_is_the_shift() -> None:
    module = with_scale_and_shift(NORMALIZATIONS["instance"](CHANNELS))
    torch.testing.assert_close(
        module(torch.ones(1, CHANNELS, 1, 1)).flatten(), SHIFT, rtol=0, atol=1e-4
    )
