"""What the trials of a study answer for each validation image, as a page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.analysis.comparison import Comparison
from storage.engine import Database

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from objectives.data.cache import Searchable
    from objectives.examined import Examination
    from search.analysis.by_image import MissedImage, Reliability
    from storage.predictions import SplitPredictions

# So many missed images are shown at most.
MOST_MISSED = 24


@dataclass(frozen=True, eq=False)
class ByImage:
    """What is known image by image."""

    class_names: tuple[str, ...]
    # The confusion is that of the best trial: one row a true class.
    confusion: list[list[int]]
    # The reliability is that of the best trial.
    reliability: "Reliability"
    images: int
    # These trials count as good; there are none where too few are complete.
    good: tuple[int, ...]
    # All of these miss the images, of which the first MOST_MISSED are here.
    missed: tuple["MissedImage", ...]
    missed_in_all: int
    # The pixels of the missed images have shape (C, H, W), by index; there may be none.
    pixels: "Mapping[int, NDArray[np.uint8]]"


def read_by_image(
    database: Database,
    comparison: Comparison,
    examination: "Examination | None",
    class_names: tuple[str, ...] | None,
    decoded: "Searchable | None",
) -> ByImage | str:
    """Reads it of the best trial and of the good ones; or why there is nothing to be said.

    `examination` is the best trial's, with its confidence in some wrong answers; `decoded` are the
    study's images, where this machine has them.
    """
    from search.analysis.by_image import confusion_of, good_trials, missed_by_all, reliability
    from storage.predictions import read_predictions

    if comparison.incumbent is None:
        return "no trial has run all epochs"
    ranked = [each.number for each in comparison.trials if each.state == "complete"]
    best, good = ranked[0], good_trials(ranked)
    study_id = comparison.record.stored.study_id
    found = read_predictions(database, study_id, "validation", {best, *good})
    if best not in found:
        return f"trial {best} has not recorded what it answers for each image"
    of_best = found[best]
    same_split = {
        number: each
        for number, each in found.items()
        if number in good and each.split_sha256 == of_best.split_sha256
    }
    is_whole = len(same_split) == len(good)
    missed = missed_by_all(list(same_split.values())) if is_whole and good else []
    classes = max(int(of_best.labels.max()), int(of_best.classes.max())) + 1
    names = class_names or tuple(str(each) for each in range(classes))
    wrong = () if examination is None else examination.wrong
    return ByImage(
        names,
        confusion_of(of_best, len(names)),
        reliability(of_best, {each.index: each.confidence for each in wrong}),
        len(of_best.labels),
        good if is_whole else (),
        tuple(missed[:MOST_MISSED]),
        len(missed),
        _pixels_of(missed[:MOST_MISSED], of_best, decoded),
    )


def _pixels_of(
    missed: "Sequence[MissedImage]", answered: "SplitPredictions", decoded: "Searchable | None"
) -> "Mapping[int, NDArray[np.uint8]]":
    if decoded is None or len(decoded.validation) != len(answered.labels):
        return {}
    rows = decoded.validation
    # Images of another order would be other images.
    if (decoded.arrays.labels[rows] != answered.labels).any():
        return {}
    return {each.index: decoded.arrays.images[rows[each.index]] for each in missed}
