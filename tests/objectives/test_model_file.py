"""A model that is written and read is the same model, and equal models are equal files."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save

from models.cnn import CNN, CNNConfig
from models.names import NORMALIZATIONS
from objectives.errors import ModelFileError
from objectives.model_file import TrainedModel, model_bytes, read_model

METADATA = "hypersearch"


def trained(normalization: str = "batch", channels: int = 3, seed: int = 0) -> TrainedModel:
    """A network whose weights and statistics are not those that it was built with."""
    config = CNNConfig(channels, (9, 7), 4, (4, 6), 8, normalization, "he_normal", dropout=0.25)
    torch.manual_seed(seed)
    network = CNN(config).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(2):
        network(torch.rand(8, channels, 9, 7)).square().sum().backward()
        optimizer.step()
    mean = torch.rand(channels).tolist()
    return TrainedModel(
        network,
        config,
        ("cat", "dog", "새", "a,b"),
        "standard",
        tuple(mean),
        tuple(x + 0.1 for x in mean),
    )


def images(count: int, channels: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, 9, 7), dtype=torch.uint8)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_read_model_gives_the_same_logits_bit_for_bit(normalization: str, channels: int) -> None:
    written = trained(normalization, channels)
    read = read_model(model_bytes(written))
    batch = images(33, channels)
    assert torch.equal(read.logits(batch), written.logits(batch))
    assert replace(read, network=written.network).__dict__ == written.__dict__


def test_a_read_model_normalizes_its_images() -> None:
    read = read_model(model_bytes(trained(channels=1)))
    batch = images(5, 1)
    normalized = (batch.float() / 255 - read.mean[0]) / read.deviation[0]
    with torch.inference_mode():
        assert torch.equal(read.logits(batch), read.network(normalized))


def test_equal_models_are_equal_bytes_and_others_are_not() -> None:
    contents = {model_bytes(trained()) for _ in range(10)}
    assert len(contents) == 1
    assert model_bytes(read_model(next(iter(contents)))) in contents
    assert model_bytes(trained(seed=1)) not in contents
    assert model_bytes(replace(trained(), class_names=("1", "2", "3", "4"))) not in contents


def test_reading_moves_nobodys_randomness() -> None:
    content = model_bytes(trained())
    before = torch.random.get_rng_state()
    read_model(content)
    assert torch.equal(torch.random.get_rng_state(), before)


def with_metadata(**changes: object) -> bytes:
    written = trained()
    weights = {name: weight.contiguous() for name, weight in written.network.state_dict().items()}
    content = model_bytes(written)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return save(
        weights, {METADATA: json.dumps(json.loads(header["__metadata__"][METADATA]) | changes)}
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: b"", "SafetensorError: "),
        (lambda: model_bytes(trained())[:-1], "SafetensorError: "),
        (lambda: save({"a": torch.ones(1)}), "KeyError: '__metadata__'"),
        (lambda: save({"a": torch.ones(1)}, {METADATA: "[]"}), "TypeError: "),
        (lambda: with_metadata(config={}), "KeyError: 'image_size'"),
        (
            lambda: with_metadata(input_normalization="x"),
            "ValueError: input normalization 'x' is unknown",
        ),
        (lambda: with_metadata(config=asdict(CNNConfig(3, (9, 7), 5))), "RuntimeError: "),
    ],
)
def test_what_is_no_model_file_is_told_in_one_line(
    content: Callable[[], bytes], reason: str
) -> None:
    with pytest.raises(ModelFileError) as told:
        read_model(content())
    message = str(told.value)
    assert message.startswith(f"this is no model file of hypersearch ({reason}")
    assert message.endswith("): write it again")
    assert "\n" not in message


def test_a_file_of_a_later_format_says_so() -> None:
    with pytest.raises(ModelFileError) as told:
        read_model(with_metadata(format_version=2))
    assert (
        str(told.value)
        == "the model file has format 2, newer than this program: pip install -U hypersearch"
    )
