"""Networks of torchvision that others have trained on ImageNet, as functions from images to
features: what of them is before the layers that name their classes.
"""

import io
import math
import os
import urllib.error
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from objectives.device import global_random
from objectives.errors import DataError, DataUnavailable
from objectives.protocol import Pulse, unwatched

# By names.BACKBONES: the attribute that turns features into classes.
HEADS = {
    "resnet18": "fc",
    "resnet34": "fc",
    "resnet50": "fc",
    "mobilenet_v3_small": "classifier",
    "mobilenet_v3_large": "classifier",
}
# The weights of each architecture's own paper, not later recipes: features of networks that were
# trained with label smoothing are worse for others' classes (Kornblith, Shlens & Le 2019, table 3).
WEIGHTS = "IMAGENET1K_V1"
# Another number says that features of the same images by the same weights have changed.
FEATURES_VERSION = "1"
# Images that go through the network at a time, by type of device: 40 MB of pixels on a CPU.
IMAGES_AT_ONCE = {"cpu": 64, "cuda": 256, "mps": 128}


@dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen network with what its images are to be."""

    # The network has no head, and is in eval mode: (B, 3, h, w) to (B, F).
    network: nn.Module
    # Mean and deviation (3, 1, 1) are those of pixels in 0..1.
    mean: Tensor
    deviation: Tensor
    # It was trained on squares of this side, in pixels.
    side: int

    @torch.no_grad()
    def features(self, images: Tensor, pulse: Pulse = unwatched) -> Tensor:
        """(N, F) float32 of images (N, C, H, W) uint8 on its device, C = 1 or 3; `pulse` is called
        after each batch.

        A grey image is repeated over three channels. Each image is brought to as many pixels as
        the network was trained on, its shape kept, bilinear and antialiased.
        """
        size = size_of(images.shape[2], images.shape[3], self.side)
        # Where images are enlarged it changes nothing, and not every device has it.
        shrinks = images.shape[2] > size[0]
        found = []
        for batch in torch.split(images, IMAGES_AT_ONCE[images.device.type]):
            pixels = (batch.float() / 255).expand(-1, 3, -1, -1)
            pixels = nn.functional.interpolate(pixels, size, mode="bilinear", antialias=shrinks)
            pixels = ((pixels - self.mean) / self.deviation).contiguous(
                memory_format=torch.channels_last
            )
            found.append(self.network(pixels).float())
            pulse()
        return torch.cat(found)


def size_of(height: int, width: int, side: int) -> tuple[int, int]:
    """Of about side x side pixels, in the proportions of height and width.

    >>> size_of(32, 32, 224), size_of(17, 40, 224)
    ((224, 224), (146, 344))
    """
    shape = math.sqrt(height / width)
    return max(1, round(side * shape)), max(1, round(side / shape))


def open_backbone(name: str, content: bytes, source: str, device: torch.device) -> Backbone:
    """The network of that name (a key of HEADS) with the weights of a file's content, on the
    device.

    The file is a state dict, by torch.save or as safetensors; reading it runs no code. Its head may
    be of any classes, or missing. Raises DataError, which names the `source`, for any other.
    """
    # The weights that are drawn are overwritten: nobody's randomness moves.
    with global_random(torch.Generator()):
        network: nn.Module = get_model(name, weights=None)
    head = HEADS[name]
    setattr(network, head, nn.Identity())
    tensors = {
        key: value
        for key, value in _tensors(content, source).items()
        if not key.startswith(f"{head}.")
    }
    _check_architecture(name, network, tensors, source)
    network.load_state_dict(tensors, strict=False)
    network = network.to(device).to(memory_format=torch.channels_last)
    network = network.eval().requires_grad_(False)
    expected = get_model_weights(name)[WEIGHTS].transforms()
    mean, deviation = (
        torch.tensor(values, device=device).view(3, 1, 1)
        for values in (expected.mean, expected.std)
    )
    return Backbone(network, mean, deviation, int(expected.crop_size[0]))


def _tensors(content: bytes, source: str) -> Mapping[str, Tensor]:
    # A safetensors file begins with the length of its header, 8 bytes, and the header.
    is_safetensors = content[8:9] == b"{"
    try:
        # What it warns of is refused or read, and nothing in between.
        with warnings.catch_warnings(action="ignore"):
            found = (
                load(content)
                if is_safetensors
                else torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            )
    # A file of others may be anything, and so is what reading it raises.
    except Exception as error:
        raise DataError(
            f"{source}: it holds no weights that can be read without running its code"
            f" ({type(error).__name__}): write them by torch.save(model.state_dict(), FILE)"
        ) from error
    if not isinstance(found, Mapping) or not all(
        isinstance(value, Tensor) for value in found.values()
    ):
        raise DataError(
            f"{source}: it holds other things than weights by their names: write them by"
            " torch.save(model.state_dict(), FILE)"
        )
    return found


def _check_architecture(
    name: str, network: nn.Module, tensors: Mapping[str, Tensor], source: str
) -> None:
    wanted = network.state_dict()
    # Files from before PyTorch 0.4.1 have no such counts, which matter in training alone.
    missing = [
        key for key in wanted if key not in tensors and not key.endswith(".num_batches_tracked")
    ]
    foreign = [key for key in tensors if key not in wanted]
    odd = [key for key in wanted if key in tensors and tensors[key].shape != wanted[key].shape]
    for keys, what in (
        (missing, "it has no"),
        (foreign, "that network has no"),
        (odd, "it has another shape of"),
    ):
        if keys:
            raise DataError(
                f"{source}: these are no weights of torchvision's {name} ({what}"
                f" {str(keys[0])[:60]!r}): name their network with --backbone"
            )
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise DataError(f"{source}: some of its weights are no finite numbers: take another file")


def torchvisions_weights(name: str) -> bytes:
    """The content of the file of weights that torchvision has for that network, from where it keeps
    them, downloaded where it is not there.

    Raises DataUnavailable where it is not to be had.
    """
    url, file = _published(name)
    # torchvision names its files by the beginning of their SHA-256.
    hash_prefix = file.stem.rpartition("-")[2]
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, os.fspath(file), hash_prefix, progress=False)
        return file.read_bytes()
    except (OSError, RuntimeError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise DataUnavailable(
            f"the weights of {name} are not in {file.parent}, and cannot be downloaded"
            f" ({' '.join(str(reason).split())}): get {url} elsewhere, and name the file with"
            " --weights FILE"
        ) from error


def torchvisions_file(name: str) -> Path | None:
    """Where torchvision keeps that file; `None` where it is not there."""
    _, file = _published(name)
    return file if file.exists() else None


def _published(name: str) -> tuple[str, Path]:
    url = str(get_model_weights(name)[WEIGHTS].url)
    return url, Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
