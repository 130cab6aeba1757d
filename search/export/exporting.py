"""An export: the winner's model as files, checked before anybody sees them."""

import hashlib
import platform
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from objectives.data.cache import LabelledArrays
from objectives.model_file import TrainedModel, read_model
from objectives.onnx_file import OPSET, check_onnx_writer, onnx_bytes
from objectives.onnx_session import read_onnx
from search.analysis.comparison import parameters
from search.export.calibration import calibrate
from search.export.card import card
from search.export.config import (
    Answering,
    Json,
    Pixels,
    as_json,
    config_bytes,
    labels_bytes,
    read_config,
)
from search.export.errors import ExportFailed
from search.export.folder import check_place, write_folder
from search.export.formats import CARD, CONFIG, LABELS, ONNX, SAFETENSORS
from search.export.validation import ROUNDING, Validated, answers, largest_difference, validate
from search.export.winner import Winner, find_winner
from search.machine.this_machine import Machine
from search.worker.events import Tell
from storage.artifact_store import ArtifactStore
from storage.engine import Database

_PACKAGES = ("hypersearch", "torch", "numpy", "pillow", "safetensors")
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Exported:
    """What was exported, and where."""

    folder: Path
    study: str
    trial: int
    metric: str
    value: float
    files: tuple[str, ...]
    # The configuration was judged under fresh seeds.
    confirmed: bool
    # The study that has trained it on all images: then the value is that of the trial, which was
    # trained without the validation images.
    refit: str | None = None

    def document(self) -> dict[str, Json]:
        """For scripts."""
        return {**asdict(self), "folder": str(self.folder)}


def export_model(
    database: Database,
    store: ArtifactStore,
    name: str,
    folder: Path,
    machine: Machine,
    *,
    formats: Collection[str],
    tell: Tell,
    trial: int | None = None,
    refit: str | None = None,
    force: bool = False,
    seconds_since_1970: float,
) -> Exported:
    """Writes the model of the study's best trial, or of the one of that number, or the one that the
    study `refit` has trained, as a new folder.

    `formats` are of search.export.formats.FORMATS. The same trial gives the same bytes on the same
    versions, but for the date, of `seconds_since_1970`.

    Raises:
        ExportRefused, OnnxMissing: it cannot be as it is asked for.
        ExportFailed, ModelFileError: what was made is not what it should be.
        StudyNotFound, ForeignStudy, ArtifactsUnavailable, ArtifactDamaged: see find_winner.
        DataError, DataUnavailable: see validate.
    """
    check_exportable(folder, formats, replace=force)
    winner = find_winner(database, store, name, trial, refit)
    held_out = validate(winner, winner.held_out, machine, tell)
    validated = held_out
    if winner.refit is not None:
        validated = validate(winner, winner.refit, machine, tell)
    date = datetime.fromtimestamp(seconds_since_1970, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    files = _files(winner, held_out, validated, formats, date)
    write_folder(folder, files, lambda made: _check(made, winner, validated), replace=force)
    return Exported(
        folder,
        winner.spec.name,
        winner.trial.number,
        winner.spec.metric,
        winner.value,
        tuple(sorted(files)),
        winner.judged is not None,
        refit,
    )


def _files(
    winner: Winner,
    held_out: Validated,
    validated: Validated,
    formats: Collection[str],
    date: str,
) -> dict[str, bytes]:
    """The files of the folder by name: the model is the one that was `validated`, which answers as
    the one that was `held_out` from the validation images is calibrated.
    """
    answering = answering_of(held_out)
    files = {}
    if "safetensors" in formats:
        files[SAFETENSORS] = winner.run.model
    if "onnx" in formats:
        files[ONNX] = onnx_bytes(validated.trained, answering.calibration.temperature)
    files[LABELS] = labels_bytes(answering.class_names)
    digests = {each: hashlib.sha256(content).hexdigest() for each, content in files.items()}
    answering = replace(answering, files=digests)
    facts = _facts(winner, held_out, validated.trained, formats, date)
    files[CONFIG] = config_bytes(answering, facts)
    files[CARD] = card(winner, held_out, answering, date).encode()
    return files


def check_exportable(folder: Path, formats: Collection[str], *, replace: bool) -> None:
    """Raises ExportRefused, OnnxMissing where nothing could be written there, before anything is
    trained.
    """
    check_place(folder, replace=replace)
    if "onnx" in formats:
        check_onnx_writer()


def answering_of(validated: Validated) -> Answering:
    """How the model answers, calibrated on validation images that it was not trained on."""
    channels, height, width = (int(side) for side in validated.images.shape[1:])
    return Answering(
        validated.trained.class_names,
        Pixels((channels, height, width), validated.facts.pixel_scales, validated.resize),
        calibrate(validated.logits, validated.labels),
        {},
    )


def _facts(
    winner: Winner,
    held_out: Validated,
    trained: TrainedModel,
    formats: Collection[str],
    date: str,
) -> Mapping[str, Json]:
    trial, spec = winner.trial, winner.spec
    run = winner.run.trial
    packages = (*_PACKAGES, *(_ONNX_PACKAGES if "onnx" in formats else ()))
    facts: dict[str, Json] = {
        "exported": date,
        "study": spec.name,
        "trial": trial.number,
        "chosen": (
            f"the best of {winner.complete} complete trials" if winner.is_best else "by number"
        ),
        **_scores(winner, held_out),
        "network": as_json(trained.config),
        "input_normalization": {
            "name": trained.input_normalization,
            "mean": list(trained.mean),
            "deviation": list(trained.deviation),
        },
        "hyperparameters": dict(parameters(trial)),
        "training": {
            "epochs": len(run.epochs),
            "precision": spec.training.precision,
            "device": run.device,
            "threads": run.threads,
            "piece": run.piece,
        },
        "data": {
            "dataset": spec.data.dataset,
            "image_size": spec.data.image_size,
            **(
                {"validation_fraction": spec.data.validation_fraction}
                if spec.data.folds is None
                else {"folds": spec.data.folds}
            ),
            "split_seed": spec.data.split_seed,
            "fingerprint": held_out.facts.fingerprint,
        },
        "versions": {"python": platform.python_version()}
        | {each: _version(each) for each in packages},
    }
    if "onnx" in formats:
        facts["onnx"] = {
            "opset": OPSET,
            "input": {"images": "uint8 (N, C, H, W)"},
            "outputs": {
                "logits": "float32 (N, K)",
                "probabilities": "float32 (N, K), of the logits divided by the temperature",
            },
        }
    return facts


def _scores(winner: Winner, held_out: Validated) -> Mapping[str, Json]:
    """What is known of how good it is. Of a network that was trained on all images nothing is: what
    its configuration came to on the training images alone stands beside that.
    """
    score: Json = {
        "metric": winner.spec.metric,
        "split": "validation",
        "recorded": winner.value,
        "read_back": held_out.value,
        "images": len(held_out.labels),
        "confirmed": winner.judged is not None,
    }
    if winner.refit is None:
        return {"score": score}
    refit: Json = {
        "study": winner.refit_study,
        "trial": winner.refit.trial.number,
        "images": held_out.training_images + len(held_out.labels),
        "score_without_the_validation_images": score,
    }
    return {"score": None, "refit": refit}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _check(made: Path, winner: Winner, validated: Validated) -> None:
    """Of a folder as it was written: what is read back answers as the trial's network did."""
    answering = read_config(made)
    if SAFETENSORS in answering.files:
        read = read_model((made / SAFETENSORS).read_bytes())
        split = LabelledArrays(validated.images, validated.labels)
        logits, found = answers(winner.run, read, split)
        value = float(getattr(found, winner.spec.metric))
        if value != validated.value or not np.array_equal(logits, validated.logits):
            raise ExportFailed.other_score(winner.trial.number, winner.run.value, value)
    if ONNX in answering.files:
        session = read_onnx((made / ONNX).read_bytes())
        difference = largest_difference(session.run, validated, answering.calibration.temperature)
        if not difference <= ROUNDING:
            raise ExportFailed.disagreement(difference)
