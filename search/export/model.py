"""A model that answers: from an exported folder, or of a study's winner."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from objectives.errors import ModelFileError
from objectives.processor import usable_cores
from search.export.calibration import probabilities_of
from search.export.config import Answering, labels_bytes, read_config
from search.export.errors import ModelFolderError, RuntimeRefused
from search.export.formats import CONFIG, LABELS, ONNX, SAFETENSORS
from search.machine.this_machine import Machine
from search.worker.events import Tell
from storage.errors import ForeignStudy, NotThereYet, StudyNotFound

if TYPE_CHECKING:
    from objectives.model_file import TrainedModel
    from search.export.validation import Validated

RUNTIMES = ("torch", "onnx")
# Each batch under way takes the memory of a network's widest layer.
MOST_AT_ONCE = 8

# The function maps images (N, C, H, W) to probabilities (N, K).
ImagesToLogits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
# The storage's URL, and where the files and the images of its studies lie.
Studies = Callable[[], tuple[str, Machine]]


@dataclass(frozen=True, eq=False)
class Model:
    """What answers, and how a file becomes what it is asked."""

    answering: Answering
    answer: ImagesToLogits
    # So many threads may ask at a time; it computes for each on one core where these are several.
    at_once: int = 1


def open_model(
    model: str, device: str, studies: Studies, tell: Tell, *, runtime: str | None = None
) -> Model:
    """The exported folder of that name if there is one, else the winner of the study of that name,
    calibrated on its validation images; where studies lie is not asked before one is needed. A
    folder without any part of an exported model is as like as not the study's images.

    `runtime`: torch or onnx (`None`: torch, where the folder has safetensors). No code that lies in
    the folder is run: it is read as JSON, safetensors and ONNX without files beside it.

    Raises:
        ModelFolderError: the folder is no exported model, or not as it was exported; or there is
            neither a folder nor a study.
        RuntimeRefused, OnnxMissing, DeviceError: it cannot be computed so.
        What export_model raises, of a study.
    """
    if runtime not in (None, *RUNTIMES):
        raise RuntimeRefused.unknown(runtime or "")
    if runtime == "onnx" and device not in ("auto", "cpu"):
        raise RuntimeRefused.on_device(device)
    folder = Path(model)
    if any((folder / part).exists() for part in (CONFIG, LABELS, SAFETENSORS, ONNX)):
        return open_folder(folder, device, runtime)
    if runtime == "onnx" and not folder.is_dir():
        raise ModelFolderError.study_by_onnx(model)
    if runtime == "onnx":
        raise ModelFolderError.missing(folder, CONFIG)
    url, machine = studies()
    try:
        validated = _validated(model, url, machine, tell)
    except ModelFolderError as error:
        if folder.is_dir():
            raise ModelFolderError.missing(folder, CONFIG) from error
        raise
    from search.export.exporting import answering_of

    answering = answering_of(validated)
    temperature = answering.calibration.temperature
    return Model(answering, _answer_of(validated.trained, temperature, device))


def open_folder(folder: Path, device: str = "cpu", runtime: str | None = None) -> Model:
    """See open_model."""
    answering = read_config(folder)
    if _checked(folder, LABELS, answering) != labels_bytes(answering.class_names):
        raise ModelFolderError.changed(folder, LABELS)
    if runtime == "onnx" and ONNX not in answering.files:
        raise ModelFolderError.without_onnx(folder)
    if runtime == "torch" and SAFETENSORS not in answering.files:
        raise ModelFolderError.without_safetensors(folder)
    if runtime == "onnx" or SAFETENSORS not in answering.files:
        return _by_onnx(folder, answering)
    return _by_torch(folder, answering, device)


def _by_onnx(folder: Path, answering: Answering) -> Model:
    from objectives.onnx_session import read_onnx

    # Batches side by side, each on a core of its own, take less time than one after another on all
    # cores: the threads of one batch wait for each other after every layer.
    cores = usable_cores()
    at_once = min(cores, MOST_AT_ONCE)
    try:
        session = read_onnx(_checked(folder, ONNX, answering), threads=cores // at_once)
    except ModelFileError as error:
        raise ModelFolderError.unreadable(folder, ONNX, str(error)) from error
    if session.shape != answering.pixels.shape or session.classes != len(answering.class_names):
        raise ModelFolderError.changed(folder, CONFIG)
    return Model(answering, lambda images: session.run(images)[1], at_once)


def _by_torch(folder: Path, answering: Answering, device: str) -> Model:
    from objectives.model_file import read_model

    content = _checked(folder, SAFETENSORS, answering)
    try:
        trained = read_model(content)
    except ModelFileError as error:
        raise ModelFolderError.unreadable(folder, SAFETENSORS, str(error)) from error
    config = trained.config
    if (config.in_channels, *config.image_size) != answering.pixels.shape or (
        trained.class_names != answering.class_names
    ):
        raise ModelFolderError.changed(folder, CONFIG)
    return Model(answering, _answer_of(trained, answering.calibration.temperature, device))


def _answer_of(trained: "TrainedModel", temperature: float, device: str) -> ImagesToLogits:
    import torch

    from objectives.device import full_float32, pick_device

    chosen = pick_device(device)
    trained.network.to(chosen)

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with full_float32():
            logits = trained.logits(torch.from_numpy(images).to(chosen))
        return probabilities_of(logits.cpu().numpy(), temperature)

    return answer


def _validated(name: str, url: str, machine: Machine, tell: Tell) -> "Validated":
    from search.export.validation import validate
    from search.export.winner import find_winner
    from storage.artifacts import open_artifact_store
    from storage.engine import open_database

    try:
        with open_database(url) as database:
            store = open_artifact_store(machine.files.artifact_root)
            winner = find_winner(database, store, name)
    except (StudyNotFound, ForeignStudy, NotThereYet) as error:
        raise ModelFolderError.neither(name, error) from error
    return validate(winner, winner.held_out, machine, tell)


def _checked(folder: Path, part: str, answering: Answering) -> bytes:
    """The content of a part, which is what was exported."""
    try:
        content = (folder / part).read_bytes()
    except FileNotFoundError:
        raise ModelFolderError.missing(folder, part) from None
    except OSError as error:
        raise ModelFolderError.unreadable(folder, part, error.strerror or str(error)) from error
    if hashlib.sha256(content).hexdigest() != answering.files.get(part):
        raise ModelFolderError.changed(folder, part)
    return content
