"""What the kept model answers on the study's validation images, and whether that is what its trial
recorded.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from objectives import device
from objectives.data.cache import LabelledArrays
from objectives.data.config import DataConfig
from objectives.data.images import ImageDataset, open_dataset
from objectives.data.source import DataFacts
from objectives.errors import ModelFileError
from objectives.evaluation import Evaluation, evaluate, normalizer
from objectives.model_file import TrainedModel, read_model
from objectives.run import IMAGES_AT_ONCE
from search.export.calibration import probabilities_of
from search.export.errors import ExportFailed, ExportRefused
from search.export.winner import KeptRun, Winner
from search.machine.folders import needed
from search.machine.this_machine import Machine
from search.studies.data_location import find_data
from search.worker.events import Decoding, Tell
from storage.errors import OtherData

# Two sums of the same numbers in another order, as another processor has it, differ by less.
ROUNDING = 1e-4


@dataclass(frozen=True, eq=False)
class Validated:
    """A model, its study's validation images, and what it answers."""

    trained: TrainedModel
    # The images have shape (N, C, H, W).
    images: NDArray[np.uint8]
    # The labels have shape (N,).
    labels: NDArray[np.int64]
    training_images: int
    # The logits have shape (N, K).
    logits: NDArray[np.float32]
    # The value is that of the study's metric.
    value: float
    # The value is the recorded one, bit for bit.
    is_exact: bool
    facts: DataFacts
    # Files came to this size in the way that objectives.data.image_file.fitted names so.
    resize: str


def validate(winner: Winner, run: KeptRun, machine: Machine, tell: Tell) -> Validated:
    """Scores the kept model of a run of the winner's as its trial was: on the CPU, with the trial's
    threads and piece.

    Raises:
        ModelFileError: the kept file is no model, or of other images.
        ExportFailed: it does not score what the trial recorded.
        ExportRefused: the images are not those that it was trained on.
        DataError, DataUnavailable: the images cannot be used, or are not to be had.
    """
    trained = read_model(run.model)
    dataset = _open(winner, run, machine, tell)
    config = trained.config
    if (config.in_channels, *config.image_size) != dataset.image_shape or (
        trained.class_names != dataset.class_names
    ):
        raise ModelFileError.unreadable(f"it is of other images than {winner.spec.data.dataset}")
    split = dataset.split("validation")
    logits, found = answers(run, trained, split)
    value = float(getattr(found, winner.spec.metric))
    _check_score(winner, run, value, found.loss, logits)
    return Validated(
        trained,
        split.images,
        split.labels,
        len(dataset.positions["train"]),
        logits,
        value,
        value == run.value,
        dataset.facts,
        winner.spec.data.resize,
    )


def answers(
    run: KeptRun, trained: TrainedModel, split: LabelledArrays
) -> tuple[NDArray[np.float32], Evaluation]:
    """Logits (N, K) and scores of a model, computed as its trial was: so many threads, so many
    images at a time.
    """
    images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    normalize = normalizer(
        trained.input_normalization, torch.tensor(trained.mean), torch.tensor(trained.deviation)
    )
    with device.settings_put_back():
        if run.trial.threads is not None:
            device.set_threads(run.trial.threads)
        piece = run.trial.piece or IMAGES_AT_ONCE["cpu"]
        logits = torch.cat([trained.logits(each) for each in torch.split(images, piece)])
        return logits.numpy(), evaluate(trained.network, images, labels, normalize, piece)


def _open(winner: Winner, run: KeptRun, machine: Machine, tell: Tell) -> ImageDataset:
    def show(done: int, total: int) -> None:
        tell(Decoding(done, total))

    def open_data(config: DataConfig) -> ImageDataset:
        return open_dataset(
            config,
            data_root=needed(machine.data_root),
            cache_root=needed(machine.cache_root),
            on_progress=show,
        )

    # A study may have gone on with other images since.
    fingerprint = run.trial.data_fingerprint or winner.stored.data_fingerprint
    stored = replace(winner.stored, data_fingerprint=fingerprint)
    machine = replace(machine, accept_data=False)
    try:
        return find_data(winner.spec, stored, machine, open_data)[1]
    except OtherData as error:
        raise ExportRefused.other_data(
            winner.spec.name, winner.trial.number, winner.spec.data.dataset
        ) from error


def _check_score(
    winner: Winner, run: KeptRun, value: float, loss: float, logits: NDArray[np.float32]
) -> None:
    """Raises ExportFailed where the score is another one by more than rounding: another processor,
    or a GPU, may have trained it.
    """
    if value == run.value:
        return
    recorded = run.trial.validation_loss
    is_close = recorded is not None and abs(loss - recorded) <= ROUNDING * max(1.0, recorded)
    if not is_close or (winner.spec.metric != "loss" and not _is_any_undecided(logits)):
        raise ExportFailed.other_score(winner.trial.number, run.value, value)


def _is_any_undecided(logits: NDArray[np.float32]) -> bool:
    """Whether rounding could change the class of any image."""
    two = np.sort(logits, axis=1)[:, -2:]
    scale = max(1.0, float(np.abs(logits).max()))
    return bool((two[:, 1] - two[:, 0] < 10 * ROUNDING * scale).any())


# The function maps images (N, C, H, W) to logits and probabilities, (N, K) each.
AnswersOfRuntime = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]


def largest_difference(
    run: AnswersOfRuntime, validated: Validated, temperature: float, images_at_once: int = 100
) -> float:
    """Between another runtime's answers and PyTorch's on the validation images: of logits, as a
    share of the largest one, or of probabilities.

    A normalization of next to nothing, as a nearly constant image gives, magnifies the rounding of
    either: what the logits differ by from those of 64 bits is allowed for, four times.
    """
    starts = range(0, len(validated.images), images_at_once)
    found = [run(validated.images[start : start + images_at_once]) for start in starts]
    logits, probabilities = (np.concatenate(each) for each in zip(*found, strict=True))
    scale = max(1.0, float(np.abs(validated.logits).max()))
    rounding = 4 * np.abs(validated.logits - _exact_logits(validated, images_at_once)).max(1)
    expected = probabilities_of(validated.logits, temperature)
    of_logits = (np.abs(logits - validated.logits).max(1) - rounding) / scale
    of_probabilities = np.abs(probabilities - expected).max(1) - rounding / temperature
    return max(float(of_logits.max()), float(of_probabilities.max()))


def _exact_logits(validated: Validated, images_at_once: int) -> NDArray[np.float64]:
    trained = validated.trained
    network = copy.deepcopy(trained.network).double().eval()
    mean, deviation = (
        torch.tensor(values, dtype=torch.float64) for values in (trained.mean, trained.deviation)
    )
    normalize = normalizer(trained.input_normalization, mean, deviation)
    with torch.inference_mode():
        return torch.cat(
            [
                network(normalize(images.double() / 255))
                for images in torch.split(torch.from_numpy(validated.images), images_at_once)
            ]
        ).numpy()
