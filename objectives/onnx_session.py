"""An exported ONNX file, run by ONNX Runtime; no torch."""

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from objectives.errors import ModelFileError, OnnxMissing

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT = "images"
OUTPUTS = ("logits", "probabilities")


class OnnxSession(Protocol):
    """A model in ONNX Runtime."""

    # The shape is (C, H, W), that of its images.
    shape: tuple[int, int, int]
    classes: int

    def run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits and probabilities (N, K) of images (N, C, H, W)."""


class _Session:
    def __init__(self, content: bytes, threads: int | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # What is wrong is raised as well, so nothing but fatal errors is printed.
        options.log_severity_level = 4
        if threads is not None:
            options.intra_op_num_threads = threads
        # Where it falls back to what it has just tried, it prints so among the results.
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        names = [each.name for each in inputs], [each.name for each in outputs]
        if names != ([INPUT], list(OUTPUTS)) or inputs[0].type != "tensor(uint8)":
            raise ValueError(f"inputs {names[0]} and outputs {names[1]}")
        _, channels, height, width = (int(side) if side != "N" else 0 for side in inputs[0].shape)
        self.shape = channels, height, width
        self.classes = int(outputs[0].shape[1])

    def run(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, probabilities = self._session.run(list(OUTPUTS), {INPUT: images})
        return logits, probabilities


def read_onnx(content: bytes, threads: int | None = None) -> OnnxSession:
    """The model that `onnx_bytes` wrote, in ONNX Runtime on the CPU, with so many threads (`None`:
    one a core).

    Raises:
        OnnxMissing: the packages are not installed.
        ModelFileError: it is no such model, or wants more than its own bytes: files beside it.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise OnnxMissing from error
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, TypeError) as error:
        raise ModelFileError.unreadable(f"no ONNX: {error}") from error
    if _wants_other_files(model):
        raise ModelFileError.with_other_files()
    try:
        return _Session(content, threads)
    # ONNX Runtime raises classes of its own, which have no common base.
    except Exception as error:
        raise ModelFileError.unreadable(f"ONNX Runtime: {error}") from error


def _wants_other_files(model: "ModelProto") -> bool:
    """Whether any tensor, in whatever graph or function, says that its numbers lie in another
    file.
    """
    from google.protobuf.message import Message
    from onnx import TensorProto

    todo: list[Message] = [model]
    while todo:
        message = todo.pop()
        if isinstance(message, TensorProto) and (
            message.data_location == TensorProto.EXTERNAL or message.external_data
        ):
            return True
        for field, value in message.ListFields():
            if field.message_type is not None:
                todo.extend([value] if isinstance(value, Message) else value)
    return False
