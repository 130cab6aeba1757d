"""Every complete trial leaves what its network answers for each validation image."""

import math
from pathlib import Path

import numpy as np
import torch

from objectives.data.images import LabelledImages, ResidentData, split_sha256
from objectives.hyperparameters import SGD, Hyperparameters
from objectives.predicted import Predicted
from objectives.synthetic import ANSWERED, synthetic_curve
from objectives.training import Run, train
from search.engines.launch import run_study
from search.machine.settings import Settings
from search.spec.document import Document
from search.spec.request import Request
from storage.engine import open_database
from storage.hosts import this_host
from storage.predictions import SplitPredictions, read_predictions
from storage.records import read_trials
from storage.studies import find_study

DOCUMENT: Document = {
    "study": {"name": "s", "trials": 9, "sampler": "random"},
    "data": {"dataset": "synthetic"},
    "training": {"epochs": 4},
}


def studied(
    folder: Path, document: Document
) -> tuple[dict[int, SplitPredictions], dict[int, float]]:
    """The predictions of a study's trials by number, and the values of those that are complete."""
    url = f"sqlite:///{folder}/a.db"
    settings = Settings.from_environment({})
    run_study(
        url,
        Request(document, {}, "test"),
        settings.machine(settings.files(url, None), device="cpu", threads=1),
        host=this_host(),
    )
    with open_database(url) as database:
        stored = find_study(database, "s")
        trials = read_trials(database, stored.study_id)
        values = {
            trial.number: trial.value
            for trial in trials
            if trial.state == "complete" and trial.value is not None
        }
        return read_predictions(database, stored.study_id, "validation"), values


def test_complete_trials_and_no_others_keep_predictions_that_have_their_value(
    tmp_path: Path,
) -> None:
    found, values = studied(tmp_path, DOCUMENT)
    # Some were stopped early.
    assert 0 < len(values) < 9
    assert {number: each.right.sum() for number, each in found.items()} == {
        number: round(value * ANSWERED) for number, value in values.items()
    }
    assert len({each.split_sha256 for each in found.values()}) == 1


def test_what_is_read_of_a_real_training_is_what_it_answered(tmp_path: Path) -> None:
    document: Document = {
        "study": {"name": "s", "trials": 1, "sampler": "random"},
        "data": {"dataset": "digits"},
        "training": {"epochs": 1},
    }
    found, values = studied(tmp_path, document)
    assert found[0].right.mean() == values[0]
    assert found[0].labels.dtype == found[0].classes.dtype == np.uint16
    assert found[0].true_probabilities.dtype == np.float16


def data(count: int = 96, classes: int = 10) -> ResidentData:
    draw = torch.Generator().manual_seed(0)

    def split(size: int) -> LabelledImages:
        images = torch.randint(256, (size, 1, 8, 8), generator=draw).to(torch.uint8)
        return LabelledImages(images, torch.randint(classes, (size,), generator=draw))

    moments = torch.full((1,), 0.5)
    names = tuple(map(str, range(classes)))
    return ResidentData(split(count), split(50), names, moments, moments)


def test_predictions_are_those_that_were_scored_and_do_not_change_the_training() -> None:
    """Their share of right answers is the epoch's accuracy, their probabilities its loss."""
    run = Run(Hyperparameters(SGD(0.05), dropout=0.3, normalization="batch"), data(), 3, seed=0)
    asked, plain = train(run), train(run)
    for measurement, other in zip(asked, plain, strict=True):
        answered = asked.predictions()
        right = answered.classes == answered.labels
        assert right.mean() == measurement.validation_accuracy == other.validation_accuracy
        loss = -np.log(answered.true_probabilities.astype(float)).mean()
        assert math.isclose(loss, measurement.validation_loss, rel_tol=1e-2)
    assert asked.checkpoint() == plain.checkpoint()


def test_a_split_is_known_by_its_images_their_order_and_their_labels() -> None:
    split = data().validation
    turned = LabelledImages(split.images.flip(0), split.labels.flip(0))
    relabelled = LabelledImages(split.images, (split.labels + 1) % 10)
    again = LabelledImages(split.images.clone(), split.labels.clone())
    assert split_sha256(again) == split_sha256(split)
    assert len({split_sha256(each) for each in (split, turned, relabelled)}) == 3


def curve(seed: int) -> Predicted:
    run = synthetic_curve(Hyperparameters(SGD(0.1)), 3, seed)
    list(run)
    return run.predictions()


def test_made_up_predictions_are_a_function_of_configuration_and_seed() -> None:
    one, same, other = curve(1), curve(1), curve(2)
    assert np.array_equal(one.classes, same.classes)
    assert np.array_equal(one.true_probabilities, same.true_probabilities)
    assert one.split_sha256 == other.split_sha256
    assert not np.array_equal(one.classes, other.classes)
    # Two runs answer most images alike: some images are hard for both.
    wrong = [np.flatnonzero(each.classes != each.labels) for each in (one, other)]
    assert len(np.intersect1d(*wrong)) > len(wrong[0]) * len(wrong[1]) / ANSWERED
