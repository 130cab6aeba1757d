"""Dropout with a generator of its own is PyTorch's, bit for bit, in however many pieces a batch
comes.
"""

from contextlib import suppress
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from models.cnn import CNN, CNNConfig
from models.dropout import Dropout, Dropout2d, masks_of_a_batch

CASES = [
    (nn.Dropout, Dropout, (5, 7)),
    *(
        (theirs, ours, shape)
        for theirs, ours in ((nn.Dropout, Dropout), (nn.Dropout2d, Dropout2d))
        for shape in ((4, 3, 6, 5), (1, 2, 1, 1))
    ),
]


def with_gradient(layer: nn.Module, values: Tensor) -> tuple[Tensor, Tensor]:
    values = values.clone().requires_grad_()
    found = layer(values)
    found.square().sum().backward()
    assert values.grad is not None
    return found.detach(), values.grad


@pytest.mark.parametrize("is_own", [True, False], ids=["own generator", "the global one"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("theirs", "ours", "shape"), CASES)
def test_masks_and_gradients_are_pytorchs_and_the_draws_go_on_in_the_generator(
    theirs: type[nn.Module],
    ours: type[Dropout | Dropout2d],
    shape: tuple[int, ...],
    memory_format: torch.memory_format,
    dtype: torch.dtype,
    is_own: bool,
) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    if values.dim() == 4:
        values = values.contiguous(memory_format=memory_format)
    torch.manual_seed(3)
    expected = [with_gradient(theirs(0.3), values) for _ in range(3)]
    torch.manual_seed(3)
    own = torch.Generator().manual_seed(3)
    layer = ours(0.3, own if is_own else None)
    found = [with_gradient(layer, values) for _ in range(3)]
    for one, other in zip(found, expected, strict=True):
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    assert (
        torch.equal(torch.get_rng_state(), torch.Generator().manual_seed(3).get_state()) == is_own
    )


def test_outside_of_training_values_are_as_they_are_and_nothing_is_drawn() -> None:
    own = torch.Generator().manual_seed(3)
    values = torch.randn(4, 3, 2, 2)
    for layer in (Dropout(0.3, own), Dropout2d(0.3, own)):
        assert layer.eval()(values) is values
    assert torch.equal(own.get_state(), torch.Generator().manual_seed(3).get_state())


CONFIG = CNNConfig(
    in_channels=1, image_size=(8, 8), classes=3, channels=(4, 5, 6), hidden_units=7, dropout=0.4
)


def test_every_mask_of_a_network_is_drawn_from_the_generator_that_it_was_given() -> None:
    torch.manual_seed(0)
    model = CNN(CONFIG, torch.Generator().manual_seed(3))
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Dropout | nn.Dropout2d)]
    assert [type(layer) for layer in layers] == [Dropout2d, Dropout2d, Dropout2d, Dropout]
    before = torch.get_rng_state()
    images = torch.ones(6, 1, 8, 8)
    assert not torch.equal(model(images), model(images))
    assert torch.equal(torch.get_rng_state(), before)


# --- a batch in pieces


def network() -> CNN:
    torch.manual_seed(0)
    return CNN(CONFIG, torch.Generator().manual_seed(3)).to(memory_format=torch.channels_last)


def images() -> Tensor:
    made = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return made.contiguous(memory_format=torch.channels_last)


LENGTHS = [(12,), (6, 6), (5, 5, 2), (1,) * 12]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lengths", LENGTHS, ids=repr)
@pytest.mark.parametrize(("kind", "shape"), [(Dropout, (12, 7)), (Dropout2d, (12, 3, 2, 2))])
def test_masks_are_those_of_the_whole_batch_in_any_number_of_pieces(
    kind: type[Dropout], shape: tuple[int, ...], lengths: tuple[int, ...], dtype: torch.dtype
) -> None:
    values = torch.ones(shape, dtype=dtype)
    whole, parted = (kind(0.4, torch.Generator().manual_seed(3)) for _ in range(2))
    for _ in range(2):
        with masks_of_a_batch(parted, 12):
            found = torch.cat([parted(piece) for piece in values.split(list(lengths))])
        assert torch.equal(found, whole(values))


@pytest.mark.parametrize("lengths", LENGTHS, ids=repr)
def test_a_network_draws_layer_after_layer_in_any_number_of_pieces(
    lengths: tuple[int, ...],
) -> None:
    whole, parted = network(), network()
    for _ in range(2):
        with masks_of_a_batch(parted, 12):
            found = torch.cat([parted(piece) for piece in images().split(list(lengths))])
        torch.testing.assert_close(found, whole(images()))


def test_what_comes_after_a_batch_is_one_of_its_own_also_where_that_broke_off() -> None:
    expected, model = network(), network()
    expected(images())
    with suppress(KeyboardInterrupt), masks_of_a_batch(model, 12):
        model(images()[:5])
        raise KeyboardInterrupt
    assert torch.equal(model(images()[:7]), expected(images()[:7]))


def test_in_the_middle_of_a_batch_a_network_can_be_evaluated_copied_and_saved() -> None:
    model, untouched = network(), network().eval()
    with masks_of_a_batch(model, 12):
        model(images()[:5])
        copied = deepcopy(model).eval()
        assert (
            model.state_dict().keys() == copied.state_dict().keys() == untouched.state_dict().keys()
        )
        assert torch.equal(copied(images()), untouched(images()))
        assert torch.equal(model.eval()(images()), untouched(images()))
