"""What a page is told of studies that nobody ran."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from objectives.examined import Examination, WrongImage
from search.analysis.by_image import confusion_of, missed_by_all, reliability
from search.analysis.comparison import Comparison
from search.analysis.importance import Bounds
from search.report.page.by_image import ByImage
from search.report.page.facts import (
    AblationFacts,
    ClassShown,
    ConfirmationFacts,
    ConfirmedTrial,
    Examined,
    Missing,
    SplitScore,
    StudyFacts,
    TechniqueEffect,
)
from storage.predictions import SplitPredictions
from tests.search.report.made_up import compared, failed, made_up

STUDY = made_up(40)
FEW = made_up(3)
ONE = made_up(1)


def facts(comparison: Comparison = STUDY, names: Sequence[str] = ("cat", "dog")) -> StudyFacts:
    """Of a study with everything there: data, and a model with one mistake."""
    images = np.arange(2 * 3 * 6 * 8, dtype=np.uint8).reshape(2, 3, 6, 8)
    classes = tuple(ClassShown(name, 20, 5, images) for name in names)
    confusion = np.full((len(names), len(names)), 1, dtype=np.int64)
    wrong = (WrongImage(3, images[0], 0, 1, 0.97),)
    return StudyFacts(
        comparison,
        classes,
        Examined(Examination(confusion, wrong), tuple(names)),
        4096,
        by_image=by_image(names),
    )


def predicted(
    classes: Sequence[int], labels: Sequence[int], probabilities: Sequence[float]
) -> SplitPredictions:
    """What one network answers on a validation split."""
    return SplitPredictions(
        "validation",
        "0" * 64,
        np.array(labels, np.uint16),
        np.array(classes, np.uint16),
        np.array(probabilities, np.float16),
    )


def by_image(names: Sequence[str]) -> ByImage:
    """Of four images of the first two classes, of which all good trials miss the last."""
    answers = predicted([0, 0, 1, 0], [0, 0, 1, 1], [0.875, 0.75, 0.9375, 0.125])
    missed = tuple(missed_by_all([answers] * 3))
    pixels = {3: np.full((1, 4, 4), 128, np.uint8)}
    matrix = confusion_of(answers, len(names))
    return ByImage(
        tuple(names), matrix, reliability(answers, {}), 4, (5, 28, 7), missed, len(missed), pixels
    )


def bare(comparison: Comparison) -> StudyFacts:
    return StudyFacts(comparison, Missing("the images are away"), Missing("no model"), None)


_NARROW, _WIDE = Bounds(0.9, 0.97), Bounds(0.8, 1.0)
CONFIRMATION = ConfirmationFacts(
    trials=(
        ConfirmedTrial(28, False, 0.98, (0.97, 0.96), Bounds(0.95, 0.97), Bounds(0.9, 1), 0, True),
        ConfirmedTrial(0, True, 0.93, (0.92, 0.93), Bounds(0.9, 0.94), Bounds(0.8, 1), 1, False),
    ),
    choice=28,
    test=(
        SplitScore("trial 28", 0.976, Bounds(0.968, 0.983)),
        SplitScore("baseline", 0.968, Bounds(0.958, 0.976)),
    ),
    reading=1,
    sentences=("Lucky seed: 0.27 points.",),
)
ABLATION = AblationFacts(
    trial=28,
    effects=(
        TechniqueEffect("normalization", "batch", True, 2.4, Bounds(1.6, 3.2), "helps", 3),
        TechniqueEffect("l1", "2e-6", False, -0.9, Bounds(-1.6, -0.2), "hurts", 5),
    ),
    sentences=("Effects do not add up.",),
)


def all_failed() -> Comparison:
    trials = [failed(trial, f"out of memory {trial.number}") for trial in FEW.trials]
    return compared(FEW.spec, sorted(trials, key=lambda trial: trial.number))


def none_complete() -> Comparison:
    pruned = [trial for trial in STUDY.trials if trial.state == "pruned"]
    return compared(STUDY.spec, sorted(pruned, key=lambda trial: trial.number))


def with_costs() -> Comparison:
    study = made_up(
        30, study={"minimize": ["parameters"]}, space={"width": {"low": 0.3, "high": 1}}
    )
    trials = [replace(each, costs=(1000.0 * each.number,)) for each in study.trials]
    return compared(study.spec, sorted(trials, key=lambda trial: trial.number))
