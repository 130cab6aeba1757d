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
from objectives.model_file import read_model
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
from storage.text import on_one_line

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
    confirmed: bool  # whether its configuration was judged under fresh seeds

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
    force: bool = False,
    seconds_since_1970: float,
) -> Exported:
    """Writes the model of the study's best trial, or of the one of that number, as a new folder.

    `formats` are of search.export.config.FORMATS. The same trial gives the same bytes on the same
    versions, but for the date, of `seconds_since_1970`.

    Raises:
        ExportRefused, OnnxMissing: it cannot be as it is asked for.
        ExportFailed, ModelFileError: what was made is not what it should be.
        StudyNotFound, ForeignStudy, ArtifactsUnavailable, ArtifactDamaged: see find_winner.
        DataError, DataUnavailable: see validate.
    """
    check_place(folder, replace=force)
    if "onnx" in formats:
        check_onnx_writer()
    winner = find_winner(database, store, name, trial)
    validated = validate(winner, machine, tell)
    answering = answering_of(validated)
    files = {}
    if "safetensors" in formats:
        files[SAFETENSORS] = winner.model
    if "onnx" in formats:
        files[ONNX] = onnx_bytes(validated.trained, answering.calibration.temperature)
    files[LABELS] = "".join(f"{on_one_line(each)}\n" for each in answering.class_names).encode()
    digests = {each: hashlib.sha256(content).hexdigest() for each, content in files.items()}
    answering = replace(answering, files=digests)
    date = datetime.fromtimestamp(seconds_since_1970, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    files[CONFIG] = config_bytes(answering, _facts(winner, validated, formats, date))
    files[CARD] = card(winner, validated, answering, date).encode()
    write_folder(folder, files, lambda made: _check(made, winner, validated), replace=force)
    return Exported(
        folder,
        winner.spec.name,
        winner.trial.number,
        winner.spec.metric,
        winner.value,
        tuple(sorted(files)),
        winner.judged is not None,
    )


def answering_of(validated: Validated) -> Answering:
    """How the model answers, calibrated on its validation images."""
    channels, height, width = (int(side) for side in validated.images.shape[1:])
    return Answering(
        validated.trained.class_names,
        Pixels((channels, height, width), validated.facts.pixel_scales, validated.resize),
        calibrate(validated.logits, validated.labels),
        {},
    )


def _facts(
    winner: Winner, validated: Validated, formats: Collection[str], date: str
) -> Mapping[str, Json]:
    trained, trial, spec = validated.trained, winner.trial, winner.spec
    packages = (*_PACKAGES, *(_ONNX_PACKAGES if "onnx" in formats else ()))
    facts: dict[str, Json] = {
        "exported": date,
        "study": spec.name,
        "trial": trial.number,
        "chosen": (
            f"the best of {winner.complete} complete trials" if winner.is_best else "by number"
        ),
        "score": {
            "metric": spec.metric,
            "split": "validation",
            "recorded": winner.value,
            "read_back": validated.value,
            "images": len(validated.labels),
            "confirmed": winner.judged is not None,
        },
        "network": as_json(trained.config),
        "input_normalization": {
            "name": trained.input_normalization,
            "mean": list(trained.mean),
            "deviation": list(trained.deviation),
        },
        "hyperparameters": dict(parameters(trial)),
        "training": {
            "epochs": len(trial.epochs),
            "precision": spec.training.precision,
            "device": trial.device,
            "threads": trial.threads,
            "piece": trial.piece,
        },
        "data": {
            "dataset": spec.data.dataset,
            "image_size": spec.data.image_size,
            "validation_fraction": spec.data.validation_fraction,
            "split_seed": spec.data.split_seed,
            "fingerprint": validated.facts.fingerprint,
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
        logits, found = answers(winner, read, split)
        value = float(getattr(found, winner.spec.metric))
        if value != validated.value or not np.array_equal(logits, validated.logits):
            raise ExportFailed.other_score(winner.trial.number, winner.value, value)
    if ONNX in answering.files:
        session = read_onnx((made / ONNX).read_bytes())
        difference = largest_difference(session.run, validated, answering.calibration.temperature)
        if not difference <= ROUNDING:
            raise ExportFailed.disagreement(difference)
