"""The CNN against the reference tutorial's network, and at every size, depth and technique."""

import hashlib
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models import names
from models.blocks import BLOCKS, HEADS
from models.cnn import CNN, CNNConfig
from models.dropout import Dropout, Dropout2d
from models.initializers import INITIALIZERS
from models.normalizations import NORMALIZATIONS

MNIST = CNNConfig(in_channels=1, image_size=(28, 28), classes=10)
SMALL = CNNConfig(in_channels=3, image_size=(5, 7), classes=4, channels=(12, 10), hidden_units=9)


def seeded(config: CNNConfig) -> CNN:
    torch.manual_seed(0)
    return CNN(config)


def images_for(config: CNNConfig, count: int) -> Tensor:
    shape = (count, config.in_channels, *config.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def tutorial_network(normalization: str, dropout: float) -> nn.Sequential:
    """The reference tutorial's layers, as written there; a forward of any batch."""
    batch = normalization == "batch"
    layers = [
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16) if batch else None,
        nn.ReLU(),
        nn.Dropout2d(dropout),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32) if batch else None,
        nn.ReLU(),
        nn.Dropout2d(dropout),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64) if batch else None,
        nn.ReLU(),
        nn.Dropout2d(dropout),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 100),
        nn.BatchNorm1d(100) if batch else None,
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(100, 10),
    ]
    return nn.Sequential(*(layer for layer in layers if layer is not None))


def test_the_default_network_on_mnist_has_338006_parameters() -> None:
    assert sum(parameter.numel() for parameter in CNN(MNIST).parameters()) == 338_006


@pytest.mark.parametrize(
    ("normalization", "dropout"), [("none", 0.0), ("none", 0.2), ("batch", 0.0), ("batch", 0.2)]
)
def test_the_network_trains_as_the_tutorials_from_the_same_seed(
    normalization: str, dropout: float
) -> None:
    images = images_for(MNIST, 3)
    ours = seeded(replace(MNIST, normalization=normalization, dropout=dropout))
    logits = ours(images)
    torch.manual_seed(0)
    theirs = tutorial_network(normalization, dropout)
    their_logits = theirs(images)
    assert torch.equal(logits, their_logits)
    logits.square().sum().backward()
    their_logits.square().sum().backward()
    for own, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(own.grad, their.grad)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("channels", [(4,), (4, 6, 8, 10)])
@pytest.mark.parametrize("image_size", [(1, 1), (1, 9), (5, 7), (28, 28), (32, 32)])
def test_any_image_size_and_depth_trains_on_odd_batches_and_classifies_one_image(
    normalization: str, channels: tuple[int, ...], image_size: tuple[int, int]
) -> None:
    config = CNNConfig(3, image_size, 5, channels, hidden_units=7, normalization=normalization)
    model = seeded(config)
    for count in (2, 3, 7):
        assert model(images_for(config, count)).shape == (count, 5)
    assert model.eval()(images_for(config, 1)).shape == (1, 5)


@pytest.mark.parametrize(
    ("image_size", "units"),
    [((1, 1), 1), ((1, 9), 2), ((9, 1), 2), ((5, 7), 1), ((28, 28), 49), ((2, 16), 4)],
)
def test_each_block_but_the_first_halves_each_side_down_to_one(
    image_size: tuple[int, int], units: int
) -> None:
    first = CNN(CNNConfig(1, image_size, 2, channels=(4,))).hidden[1]
    third = CNN(CNNConfig(1, image_size, 2, channels=(4, 4, 4))).hidden[1]
    assert (first.in_features, third.in_features) == (4 * image_size[0] * image_size[1], 4 * units)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_an_evaluated_image_does_not_depend_on_the_rest_of_its_batch(normalization: str) -> None:
    config = replace(SMALL, normalization=normalization)
    model, images = seeded(config), images_for(config, 7)
    # A training pass moves the running statistics of batch normalization.
    model(images)
    model.eval()
    torch.testing.assert_close(torch.cat([model(image[None]) for image in images]), model(images))


@pytest.mark.parametrize("normalization", [name for name in NORMALIZATIONS if name != "batch"])
def test_without_batch_normalization_a_batch_of_one_trains(normalization: str) -> None:
    config = replace(SMALL, normalization=normalization)
    model, images = seeded(config), images_for(config, 2)
    torch.testing.assert_close(model(images[:1]), model(images)[:1])


def test_batch_normalization_refuses_to_train_on_a_batch_of_one() -> None:
    config = replace(SMALL, normalization="batch")
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        CNN(config)(images_for(config, 1))


def test_dropout_acts_in_training_alone() -> None:
    config = replace(SMALL, dropout=0.5)
    model, images = seeded(config), images_for(config, 3)
    assert not torch.equal(model(images), model(images))
    assert torch.equal(model.eval()(images), model(images))
    assert torch.equal(model(images), seeded(SMALL)(images))


def test_dropout_drops_whole_channels_after_each_block_and_single_units_before_the_output() -> None:
    model = seeded(replace(SMALL, dropout=0.3))
    dropouts = {
        name: (type(module), module.p)
        for name, module in model.named_modules()
        if isinstance(module, Dropout)
    }
    # Behind the pool of the second block.
    assert dropouts == {
        "blocks.0.3": (Dropout2d, 0.3),
        "blocks.1.4": (Dropout2d, 0.3),
        "hidden.4": (Dropout, 0.3),
    }


def test_without_dropout_there_is_no_dropout_module_and_the_parameters_keep_their_names() -> None:
    plain, dropped = CNN(SMALL), CNN(replace(SMALL, dropout=0.5))
    assert not any(isinstance(module, Dropout) for module in plain.modules())
    assert list(plain.state_dict()) == list(dropped.state_dict())


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_the_gradient_reaches_every_parameter(normalization: str, dropout: float) -> None:
    config = replace(SMALL, normalization=normalization, dropout=dropout)
    model = seeded(config)
    nn.functional.cross_entropy(model(images_for(config, 7)), torch.arange(7) % 4).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A bias before a normalization can be cancelled by it, so that rounding alone is left of
        # its gradient.
        assert parameter.grad.any() or (normalization != "none" and name.endswith("bias")), name


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_the_same_seed_builds_the_same_network_and_another_seed_another(initializer: str) -> None:
    config = replace(SMALL, initializer=initializer)
    first, again, other = seeded(config), seeded(config), CNN(config)
    assert all(map(torch.equal, first.parameters(), again.parameters()))
    assert not torch.equal(first.output.weight, other.output.weight)


def test_the_initializer_reaches_every_conv_and_linear_weight_and_bias() -> None:
    parameters = dict(seeded(replace(MNIST, initializer="normal")).named_parameters())
    weights = {name: weight.std().item() for name, weight in parameters.items() if weight.dim() > 1}
    # The tolerance is 3.4 standard errors of 144 weights.
    assert weights == pytest.approx(dict.fromkeys(weights, 0.02), rel=0.2)
    assert len(weights) == 5
    assert not any(bias.any() for bias in parameters.values() if bias.dim() == 1)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_channels_last_gives_the_same_logits_and_gradients(normalization: str) -> None:
    config = replace(SMALL, image_size=(28, 28), normalization=normalization)
    plain, last = seeded(config), seeded(config).to(memory_format=torch.channels_last)
    images = images_for(config, 7)
    logits = plain(images)
    torch.testing.assert_close(
        plain(images.to(memory_format=torch.channels_last)), logits, rtol=1e-4, atol=1e-5
    )
    logits_last = last(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(logits_last, logits, rtol=1e-4, atol=1e-5)
    logits.square().sum().backward()
    logits_last.square().sum().backward()
    for one, other in zip(plain.parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_channels_last_is_kept_through_every_block(normalization: str) -> None:
    config = replace(SMALL, image_size=(28, 28), normalization=normalization)
    model = seeded(config).to(memory_format=torch.channels_last)
    features = images_for(config, 2).to(memory_format=torch.channels_last)
    for block in model.blocks:
        for layer in block:
            features = layer(features)
            assert features.is_contiguous(memory_format=torch.channels_last), layer


# --- blocks and heads for photographs


# The hash is of the weights of the default network for MNIST, one after another, drawn from seed 0.
WEIGHTS_SHA256 = "fc2d0d742529ad8e04c011d9bcabe66ccedac37eb6f8e18fba3fb6e63d80dbdf"
PHOTOGRAPHS = replace(SMALL, channels=(4, 6, 8), block="residual", head="average")


def test_the_default_network_has_the_weights_that_it_always_had() -> None:
    weights = seeded(MNIST).state_dict()
    assert list(weights) == [
        *(f"blocks.{block}.0.{kind}" for block in range(3) for kind in ("weight", "bias")),
        "hidden.1.weight",
        "hidden.1.bias",
        "output.weight",
        "output.bias",
    ]
    digest = hashlib.sha256()
    for weight in weights.values():
        digest.update(weight.numpy().tobytes())
    assert digest.hexdigest() == WEIGHTS_SHA256


def test_every_name_of_a_block_and_a_head_is_implemented_and_nothing_else() -> None:
    assert (tuple(BLOCKS), tuple(HEADS)) == (names.BLOCKS, names.HEADS)


def test_an_average_is_the_mean_of_each_channel_and_needs_no_weight_a_pixel() -> None:
    config = replace(SMALL, head="average")
    model, images = seeded(config), images_for(config, 3)
    maps = model.blocks(images)
    assert torch.equal(model.hidden[0](maps), maps.flatten(2).mean(2))
    assert model.hidden[1].in_features == SMALL.channels[-1]


def test_a_residual_unit_adds_two_layers_to_what_comes_in_and_the_first_block_has_none() -> None:
    model, images = seeded(PHOTOGRAPHS), images_for(PHOTOGRAPHS, 3)
    assert [len(block) for block in model.blocks] == [3, 5, 5]
    before = model.blocks[1][:4](model.blocks[0](images))
    unit = model.blocks[1][4]
    convolved = nn.functional.conv2d(before, unit.first[0].weight, unit.first[0].bias, padding=1)
    again = nn.functional.conv2d(
        convolved.relu(), unit.second[0].weight, unit.second[0].bias, padding=1
    )
    assert torch.equal(unit(before), before + again.relu())


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("image_size", [(1, 1), (1, 9), (17, 40)])
def test_a_network_for_photographs_trains_at_any_size_and_its_gradient_reaches_all(
    normalization: str, image_size: tuple[int, int]
) -> None:
    config = replace(PHOTOGRAPHS, image_size=image_size, normalization=normalization, dropout=0.1)
    model = seeded(config)
    nn.functional.cross_entropy(model(images_for(config, 7)), torch.arange(7) % 4).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert model.eval()(images_for(config, 1)).shape == (1, 4)
