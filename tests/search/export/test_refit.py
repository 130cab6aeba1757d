"""`--refit` trains the configuration on training and validation images together, and says so."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import hypersearch
from objectives.architecture import ModelConfig
from objectives.data.images import LabelledImages, ResidentData, open_dataset
from objectives.model_file import TrainedModel, read_model
from objectives.run import Run
from objectives.training import train
from search.algorithms.samplers import trial_seed
from search.engines.answers import announce_refit
from search.export.errors import ExportFailed, ExportRefused
from search.export.formats import SAFETENSORS
from search.export.winner import find_winner
from search.space.configuration import Configuration
from search.spec.definition import stored_spec
from search.studies.control import stop
from search.studies.followups.refused import FollowUpRefused
from storage.artifacts import open_artifact_store
from storage.engine import open_database
from storage.hosts import this_host
from storage.records import read_trials
from storage.studies import find_study
from tests.search.export.conftest import CLASSES, Study


@pytest.fixture
def copied(study: Study, tmp_path: Path) -> Study:
    """The study in a database of its own, which may be added to."""
    there = Path(study.url.removeprefix("sqlite:///"))
    folder = Path(shutil.copytree(there.parent, tmp_path / "copy", ignore=ignored))
    return Study(study.name, f"sqlite:///{folder / there.name}", study.images, study.cache)


def ignored(folder: str, names: list[str]) -> list[str]:
    return ["images"] if "images" in names else []


def trained_on_all(study: Study) -> TrainedModel:
    """The model of the best trial's configuration, trained on all images here."""
    with open_database(study.url) as database:
        stored = find_study(database, study.name)
        (trial,) = read_trials(database, stored.study_id)
    spec = stored_spec(stored)
    dataset = open_dataset(
        spec.data, data_root=Path(), cache_root=study.cache / "hypersearch" / "decoded"
    )
    both = dataset.searchable
    images, labels = np.array(both.images), np.array(both.labels)
    validation = dataset.split("validation")
    shares = images.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    data = ResidentData(
        LabelledImages(torch.from_numpy(images), torch.from_numpy(labels)),
        LabelledImages(torch.from_numpy(validation.images), torch.from_numpy(validation.labels)),
        CLASSES,
        torch.tensor(shares.mean(1), dtype=torch.float32),
        torch.tensor(shares.std(1), dtype=torch.float32),
        dataset.facts,
    )
    values = {name: value for name, value in trial.parameters.items() if value is not None}
    training = train(
        Run(
            Configuration(values).hyperparameters(),
            data,
            epochs=2,
            seed=trial_seed(spec.seed, 0, "trial"),
            model=ModelConfig((3, 4), 6),
            piece=trial.piece,
        )
    )
    assert len(list(training)) == 2
    return training.trained()


def test_it_is_trained_on_all_images_and_scored_on_none(
    copied: Study, exported: Path, tmp_path: Path
) -> None:
    found = hypersearch.export(
        copied.name,
        tmp_path / "model",
        refit=True,
        formats=["safetensors"],
        storage=copied.url,
        device="cpu",
        threads=1,
    )
    assert found.refit == "odd:refit:1"
    folders = (exported, tmp_path / "model")
    alone, together = (read_model((each / SAFETENSORS).read_bytes()) for each in folders)
    expected = trained_on_all(copied)
    assert together.mean == pytest.approx(expected.mean, rel=1e-5)
    assert together.mean != alone.mean
    for found_weights, of_others, weights in zip(
        *(each.network.state_dict().values() for each in (together, alone, expected)), strict=True
    ):
        assert torch.allclose(found_weights, weights, atol=1e-5)
        assert not torch.allclose(of_others, weights, atol=1e-3)
    before, config = (json.loads((each / "config.json").read_text()) for each in folders)
    assert config["score"] is None
    assert config["refit"] == {
        "study": "odd:refit:1",
        "trial": 0,
        "images": 39,
        "score_without_the_validation_images": before["score"],
    }
    # What has seen the validation images cannot be calibrated by them.
    assert config["calibration"] == before["calibration"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "**Its own score is unmeasured.**" in card
    assert "39 images for training, 16 of which were for validation before" in card
    # Its figures are not scores, and it is not exported as if they were.
    with pytest.raises(ExportRefused) as told:
        hypersearch.export("odd:refit:1", tmp_path / "other", storage=copied.url)
    assert str(told.value) == (
        "study 'odd:refit:1' follows 'odd' up: name 'odd' instead with 'hypersearch export odd"
        " --refit'"
    )
    # It is not trained a second time.
    again = announce_refit(copied.url, copied.name)
    assert (again.stored.name, again.stored.state) == ("odd:refit:1", "ended")


def test_one_that_was_stopped_is_begun_again(copied: Study, tmp_path: Path) -> None:
    announced = announce_refit(copied.url, copied.name)
    stop(copied.url, announced.stored.name, this_host())
    store = open_artifact_store(str(tmp_path))
    with open_database(copied.url) as database, pytest.raises(ExportFailed) as told:
        find_winner(database, store, copied.name, refit=announced.stored.name)
    assert str(told.value) == (
        "odd:refit:1: it ended without a network: 'hypersearch status odd:refit:1' says why; the"
        " same command begins another"
    )
    assert announce_refit(copied.url, copied.name).stored.name == "odd:refit:2"


def test_nothing_is_trained_for_a_folder_that_cannot_be_written(
    copied: Study, tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / "model"):
        trial = None if folder == tmp_path else 7
        with pytest.raises((ExportRefused, FollowUpRefused)):
            hypersearch.export(copied.name, folder, trial=trial, refit=True, storage=copied.url)
    with open_database(copied.url) as database:
        assert find_study(database, copied.name).budget.trials == 1
        with pytest.raises(Exception, match="odd:refit:1"):
            find_study(database, "odd:refit:1")
