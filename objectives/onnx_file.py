"""A trained model as an ONNX file, written by PyTorch's own exporter: pixels in, answers out.

The format is https://onnx.ai/onnx/repo-docs/IR.html; the operators are those of OPSET.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from objectives.errors import OnnxMissing
from objectives.evaluation import normalizer
from objectives.imports import imports_unnoticed
from objectives.model_file import TrainedModel
from objectives.onnx_session import INPUT, OUTPUTS

if TYPE_CHECKING:
    from onnx import ModelProto

# PyTorch's operators are written in this version without conversion, and runtimes since 2023 read
# it.
OPSET = 18


class _FromPixels(nn.Module):
    # All that follows decoding and resizing.
    def __init__(self, trained: TrainedModel, temperature: float) -> None:
        super().__init__()
        self.network = trained.network
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(trained.mean))
        self.register_buffer("deviation", torch.tensor(trained.deviation))
        self._normalization = trained.input_normalization
        self._temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        normalize = normalizer(self._normalization, self.mean, self.deviation)
        logits = self.network(normalize(images.float() / 255))
        return logits, torch.softmax(logits / self._temperature, 1)


def onnx_bytes(trained: TrainedModel, temperature: float) -> bytes:
    """The model as the content of an ONNX file; equal models give equal bytes.

    Its input `images` is uint8 (N, C, H, W), for any N of 1 or more; its outputs are `logits` and
    `probabilities`, float32 (N, K) each: the softmax of the logits divided by the temperature. The
    network is on the CPU, and is left in eval mode.

    Raises OnnxMissing where the packages are not installed.

    >>> read_onnx(onnx_bytes(trained, 1.0)).run(images)[0].shape   # doctest: +SKIP
    (800, 10)
    """
    check_onnx_writer()
    config = trained.config
    # With one image for an example, the exporter would take a batch of one for the only one.
    example = torch.zeros((2, config.in_channels, *config.image_size), dtype=torch.uint8)
    with _quietly():
        program = torch.onnx.export(
            _FromPixels(trained, temperature).eval(),
            (example,),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes={INPUT: {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content: bytes = _bare(program.model_proto).SerializeToString(deterministic=True)
    return content


def check_onnx_writer() -> None:
    """Raises OnnxMissing where what writes ONNX files is not installed."""
    with imports_unnoticed():
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise OnnxMissing from error


def _bare(model: "ModelProto") -> "ModelProto":
    """Without what the exporter notes of its own work: lines of source code, and where they lie."""
    graph = model.graph
    model.ClearField("metadata_props")
    for noted in (
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")
    return model


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter logs and warns of itself, of what a user can do nothing about."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)
