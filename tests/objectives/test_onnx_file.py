"""An ONNX file answers as the model does that it was written of, and needs nothing but itself."""

import math
import sys
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.cnn import CNN, CNNConfig
from models.names import NORMALIZATIONS
from objectives.errors import ModelFileError, OnnxMissing
from objectives.evaluation import normalizer
from objectives.model_file import TrainedModel
from objectives.names import INPUT_NORMALIZATIONS
from objectives.onnx_file import OPSET, onnx_bytes
from objectives.onnx_session import read_onnx

SHAPES = ((1, 28, 28), (3, 32, 32), (3, 17, 40))
TEMPERATURE = 1.7


class Several(nn.Module):
    """Networks side by side, each behind an input normalization of its own, their logits one after
    another: one file for all of them, as writing one takes seconds.
    """

    def __init__(self, networks: Mapping[str, list[nn.Module]], channels: int) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({name: nn.ModuleList(of) for name, of in networks.items()})
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.rand(channels))
        self.register_buffer("deviation", 0.2 + torch.rand(channels))

    def forward(self, shares: Tensor) -> Tensor:
        logits = []
        for name, networks in self.networks.items():
            batch = normalizer(name, self.mean, self.deviation)(shares)
            logits += [network(batch) for network in networks]  # type: ignore[union-attr]
        return torch.cat(logits, dim=1)


def network(config: CNNConfig) -> nn.Module:
    """One whose statistics are not those that it was built with."""
    built = CNN(config).to(memory_format=torch.channels_last)
    with torch.no_grad():
        built(torch.rand(8, config.in_channels, *config.image_size))
    return built.eval()


def several(shape: tuple[int, int, int]) -> TrainedModel:
    """One network of each layer normalization, behind an input normalization that is another one
    in every shape: over all shapes each layer normalization meets each input normalization.
    """
    torch.manual_seed(0)
    networks: dict[str, list[nn.Module]] = {name: [] for name in INPUT_NORMALIZATIONS}
    for place, name in enumerate(NORMALIZATIONS):
        config = CNNConfig(shape[0], shape[1:], 3, (3, 4), 6, name, "he_normal", dropout=0.3)
        before = INPUT_NORMALIZATIONS[(place + SHAPES.index(shape)) % len(INPUT_NORMALIZATIONS)]
        networks[before].append(network(config))
    return model(Several(networks, shape[0]), shape)


def model(
    network: nn.Module | None = None,
    shape: tuple[int, int, int] = (1, 4, 4),
    input_normalization: str = "none",
) -> TrainedModel:
    """By default with next to nothing of a network."""
    torch.manual_seed(0)
    mean = tuple(torch.rand(shape[0]).tolist())
    return TrainedModel(
        (network or nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 3))).eval(),
        CNNConfig(shape[0], shape[1:], 3),
        ("a", "b", "c"),
        input_normalization,
        mean,
        tuple(0.2 + each for each in mean),
    )


@cache
def small() -> bytes:
    return onnx_bytes(model(input_normalization="minmax"), TEMPERATURE)


def images(count: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.random.RandomState(count).randint(0, 256, (count, *shape)).astype(np.uint8)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 4, 4)])
def test_onnx_runtime_answers_as_the_model_does_for_any_number_of_images(
    shape: tuple[int, int, int],
) -> None:
    is_small = shape not in SHAPES
    written = model(input_normalization="minmax") if is_small else several(shape)
    content = small() if is_small else onnx_bytes(written, TEMPERATURE)
    session = read_onnx(content, threads=1)
    assert session.shape == shape
    for count in (1, 5):
        batch = images(count, shape)
        if is_small:
            # The image is constant, and minmax may not divide by its range.
            batch[0] = 7
        logits, probabilities = session.run(batch)
        expected = written.logits(torch.from_numpy(batch))
        assert np.abs(logits - expected.numpy()).max() <= 1e-4
        shares = torch.softmax(expected / TEMPERATURE, 1)
        assert np.abs(probabilities - shares.numpy()).max() <= 1e-5


def test_equal_models_are_equal_bytes_that_say_what_they_are_and_not_where_they_were_made() -> None:
    content = onnx_bytes(model(input_normalization="minmax"), TEMPERATURE)
    assert content == small()
    found = onnx.load_model_from_string(content)
    onnx.checker.check_model(found)
    assert [(each.domain, each.version) for each in found.opset_import] == [("", OPSET)]
    assert [each.name for each in found.graph.input] == ["images"]
    assert [each.name for each in found.graph.output] == ["logits", "probabilities"]
    for told in (b".py", b"stack_trace", b"Several"):
        assert told not in content


def with_a_file_beside_it() -> bytes:
    found = onnx.load_model_from_string(small())
    weight = found.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    return found.SerializeToString()


def with_a_constant_from_a_file() -> bytes:
    tensor = onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    found = onnx.load_model_from_string(small())
    found.graph.node.append(onnx.helper.make_node("Constant", [], ["more"], value=tensor))
    return found.SerializeToString()


@pytest.mark.parametrize("make", [with_a_file_beside_it, with_a_constant_from_a_file])
def test_numbers_from_other_files_are_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(ModelFileError) as told:
        read_onnx(make())
    assert str(told.value) == (
        "the ONNX file takes numbers from other files, which this program never writes and does not"
        " read: export the model again"
    )


def test_what_is_no_exported_onnx_file_is_told_in_one_line() -> None:
    whole = small()
    for content in (
        b"",
        b"\x80\x04N.",
        whole[: len(whole) // 2],
        onnx.ModelProto().SerializeToString(),
    ):
        with pytest.raises(ModelFileError) as told:
            read_onnx(content)
        assert "\n" not in str(told.value)


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for call in (lambda: onnx_bytes(model(), 1.0), lambda: read_onnx(b"")):
        with pytest.raises(OnnxMissing) as told:
            call()
        assert str(told.value) == (
            "ONNX needs packages that are not installed: pip install 'hypersearch[onnx]', or leave"
            " it out with --format safetensors, --runtime torch"
        )
