"""A trained model as one file: weights in safetensors, and beside them all that classifying an
image takes.

The format is https://github.com/huggingface/safetensors: no code is run by reading it.
"""

import json
from dataclasses import asdict, dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from models.cnn import CNN, CNNConfig
from objectives.device import global_random
from objectives.errors import ModelFileError
from objectives.evaluation import INPUT_NORMALIZATIONS, normalizer

FORMAT_VERSION = 1
# There is one key: safetensors writes several in an order that changes from call to call, and equal
# models give equal bytes.
_METADATA_KEY = "hypersearch"


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A network with what it was built from, the names of its classes, and how its images are
    normalized.
    """

    network: nn.Module
    config: CNNConfig
    class_names: tuple[str, ...]
    # The normalization is a key of INPUT_NORMALIZATIONS.
    input_normalization: str
    # Mean and deviation are those of the training split, by channel.
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W) uint8 on the network's device; the network is left
        in eval mode.
        """
        mean, deviation = (
            torch.tensor(values, device=images.device) for values in (self.mean, self.deviation)
        )
        found: Tensor = self.network.eval()(
            normalizer(self.input_normalization, mean, deviation)(images.float() / 255)
        )
        return found


def model_bytes(trained: TrainedModel) -> bytes:
    """The model as the content of a safetensors file; equal models give equal bytes.

    >>> read_model(model_bytes(trained)).class_names == trained.class_names
    True
    """
    metadata = {
        "format_version": FORMAT_VERSION,
        "config": asdict(trained.config),
        "class_names": trained.class_names,
        "input_normalization": trained.input_normalization,
        "mean": trained.mean,
        "deviation": trained.deviation,
    }
    weights = {
        name: weight.cpu().contiguous() for name, weight in trained.network.state_dict().items()
    }
    return save(weights, {_METADATA_KEY: json.dumps(metadata, sort_keys=True)})


def read_model(content: bytes) -> TrainedModel:
    """The model that `model_bytes` wrote, on the CPU: it gives the same logits, bit for bit.

    Raises ModelFileError.
    """
    try:
        weights = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        metadata = json.loads(header["__metadata__"][_METADATA_KEY])
        if metadata["format_version"] > FORMAT_VERSION:
            raise ModelFileError.newer(metadata["format_version"])
        shape = metadata["config"]
        config = CNNConfig(
            **shape | {name: tuple(shape[name]) for name in ("image_size", "channels")}
        )
        if metadata["input_normalization"] not in INPUT_NORMALIZATIONS:
            raise ValueError(f"input normalization {metadata['input_normalization']!r} is unknown")
        return TrainedModel(
            _network(config, weights),
            config,
            tuple(metadata["class_names"]),
            metadata["input_normalization"],
            tuple(metadata["mean"]),
            tuple(metadata["deviation"]),
        )
    except (SafetensorError, LookupError, ValueError, TypeError, RuntimeError) as error:
        raise ModelFileError.unreadable(f"{type(error).__name__}: {error}") from error


def _network(config: CNNConfig, weights: dict[str, Tensor]) -> nn.Module:
    # The weights that CNN draws are overwritten: nobody's randomness moves.
    with global_random(torch.Generator()):
        network = CNN(config)
    # The format is that of training: the order in which a convolution adds up, and so the last bit,
    # depends on it.
    network.to(memory_format=torch.channels_last)
    network.load_state_dict(weights)
    return network.eval()
