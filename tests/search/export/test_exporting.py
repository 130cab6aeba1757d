"""What is exported is the best trial's model, calibrated, checked, and the same each time."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hypersearch
from objectives.errors import OnnxMissing
from objectives.model_file import model_bytes, read_model
from search.analysis.comparison import compare_study
from search.export.errors import ExportFailed, ExportRefused
from search.export.validation import ROUNDING, largest_difference, validate
from search.export.winner import Winner, find_winner
from search.machine.settings import Settings
from search.machine.this_machine import Machine
from search.spec.reading import parse_spec
from search.worker.events import nobody
from storage.artifacts import open_artifact_store
from storage.engine import open_database
from tests.search.export.conftest import CLASSES, Study, make_images, spec_of


def machine_of(study: Study) -> Machine:
    settings = Settings.from_environment({"XDG_CACHE_HOME": str(study.cache)})
    return settings.machine(settings.files(study.url, None))


def winner_of(study: Study) -> Winner:
    store = open_artifact_store(machine_of(study).files.artifact_root)
    with open_database(study.url) as database:
        return find_winner(database, store, study.name)


def test_the_folder_holds_what_was_recorded_and_says_how_it_came_about(
    study: Study, exported: Path
) -> None:
    config = json.loads((exported / "config.json").read_text())
    best = hypersearch.compare(study.name, storage=study.url).incumbent
    assert best is not None
    assert sorted(path.name for path in exported.iterdir()) == [
        "README.md",
        "config.json",
        "labels.txt",
        "model.onnx",
        "model.safetensors",
    ]
    assert config["score"] == {
        "metric": "accuracy",
        "split": "validation",
        "recorded": best.value,
        "read_back": best.value,
        "images": 16,
        "confirmed": False,
    }
    assert config["classes"] == list(CLASSES)
    assert (exported / "labels.txt").read_text().splitlines() == list(CLASSES)
    assert config["pixels"]["scales"] == {"16 bits": [0.0, 4095.0]}
    assert config["exported"] == "1970-01-02 00:00:00 UTC"
    assert config["hyperparameters"]["optimizer"] == "adam"
    assert config["onnx"]["opset"] == 18
    for name, digest in config["files"].items():
        assert hashlib.sha256((exported / name).read_bytes()).hexdigest() == digest
    assert (exported / "model.safetensors").read_bytes() == winner_of(study).held_out.model
    card = (exported / "README.md").read_text()
    for said in ("Not confirmed", "95 % interval", "on the same images", "| c\\|d |", "Limits"):
        assert said in card


def test_the_same_trial_gives_the_same_bytes_but_for_the_date(
    study: Study, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    again = study.export(tmp_path / "again")
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in exported.iterdir()
    }
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    study.export(again, force=True, formats=["safetensors"])
    assert sorted(path.name for path in again.iterdir()) == [
        "README.md",
        "config.json",
        "labels.txt",
        "model.safetensors",
    ]
    assert "exported 1970-01-01 00:00:00 UTC" in (again / "README.md").read_text()


def test_what_cannot_be_exported_is_told_with_what_can(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused) as told:
        study.export(tmp_path / "model", trial=7)
    assert str(told.value) == "study 'odd' has no complete trial 7: what can be exported is trial 0"
    with pytest.raises(ExportRefused) as told:
        study.export(tmp_path / "model", formats=["pickle"])
    assert (
        str(told.value) == "--format pickle: give onnx or safetensors, or both with a comma between"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_was_never_the_best_has_no_model(tmp_path: Path) -> None:
    spec = spec_of("two", tmp_path / "images")
    make_images(tmp_path / "images")
    spec["study"] = {**spec["study"], "trials": 2, "metric": "loss"}  # type: ignore[dict-item]
    # The second trial trains next to nothing, and comes out worse.
    spec["space"] = {**spec["space"], "adam.learning_rate": {"low": 1e-9, "high": 0.01}}  # type: ignore[dict-item]
    spec["trial"] = [{"adam.learning_rate": 0.01}, {"adam.learning_rate": 1e-9}]
    url = f"sqlite:///{tmp_path}/a.db"
    hypersearch.run(parse_spec(spec), storage=url, device="cpu", threads=1)
    with open_database(url) as database:
        assert [trial.number for trial in compare_study(database, "two").trials] == [0, 1]
    with pytest.raises(ExportRefused) as told:
        hypersearch.export("two", tmp_path / "model", trial=1, storage=url)
    assert str(told.value) == (
        "no model of trial 1 of study 'two' was kept, as only those that were the best so far are:"
        " what can be exported is trial 0; --refit trains it again, on all images"
    )
    refitted = hypersearch.export(
        "two",
        tmp_path / "refit",
        trial=1,
        refit=True,
        storage=url,
        formats=["safetensors"],
        threads=1,
    )
    # Its own network, which calibrates, was trained beside it, as the trial was.
    config = json.loads((tmp_path / "refit" / "config.json").read_text())
    held_out = config["refit"]["score_without_the_validation_images"]
    assert held_out["recorded"] == held_out["read_back"] == refitted.value
    found = hypersearch.export(
        "two", tmp_path / "model", storage=url, formats=["safetensors"], trial=0
    )
    assert (found.trial, found.metric) == (0, "loss")
    # Other images than those that the trial has seen are none to check it on.
    (tmp_path / "images" / CLASSES[0] / "2.png").unlink()
    with pytest.raises(ExportRefused) as told:
        hypersearch.export("two", tmp_path / "other", storage=url)
    assert str(told.value) == (
        f"trial 0 of study 'two' was not trained on the images that are in images:{tmp_path}/images"
        " now: restore them, or say where they lie with --data-map STORED=HERE or --data-root DIR"
    )


def test_another_model_than_the_trials_is_not_exported(study: Study) -> None:
    winner = winner_of(study)
    trained = read_model(winner.held_out.model)
    for weight in trained.network.parameters():
        weight.data.neg_()
    run = replace(winner.held_out, model=model_bytes(trained))
    with pytest.raises(ExportFailed) as told:
        validate(winner, run, machine_of(study), nobody)
    assert str(told.value).startswith("the kept model of trial 0 scores ")


def test_runtimes_that_do_not_agree_are_found_out(study: Study) -> None:
    winner = winner_of(study)
    validated = validate(winner, winner.held_out, machine_of(study), nobody)

    def run(images: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        logits = np.stack(
            [
                validated.logits[(validated.images == image).all((1, 2, 3)).argmax()]
                for image in images
            ]
        )
        exponentials = np.exp(logits)
        return logits + error, exponentials / exponentials.sum(1, keepdims=True)

    assert validated.is_exact
    assert largest_difference(lambda images: run(images, 0.0), validated, 1.0) <= ROUNDING
    assert largest_difference(lambda images: run(images, 0.01), validated, 1.0) > ROUNDING
    assert largest_difference(lambda images: run(images, 0.0), validated, 1.5) > ROUNDING


def test_without_the_onnx_packages_safetensors_alone_is_exported(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(OnnxMissing):
        study.export(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    study.export(tmp_path / "model", formats=["safetensors"])
    (first, *_) = hypersearch.predict(tmp_path / "model", [study.images / CLASSES[0] / "2.png"])
    assert first.predicted in CLASSES


def test_a_study_in_postgresql_with_artifacts_in_a_bucket_is_exported(
    postgresql: object,
    new_database: "object",
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HYPERSEARCH_ARTIFACTS", bucket)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    url = new_database("postgresql")  # type: ignore[operator]
    make_images(tmp_path / "images")
    hypersearch.run(
        parse_spec(spec_of("team", tmp_path / "images")), storage=url, device="cpu", threads=1
    )
    found = hypersearch.export("team", tmp_path / "model", storage=url, formats=["safetensors"])
    image = tmp_path / "images" / CLASSES[1] / "2.png"
    (by_folder,) = hypersearch.predict(found.folder, [image])
    (by_study,) = hypersearch.predict("team", [image], storage=url)
    assert by_folder == by_study
