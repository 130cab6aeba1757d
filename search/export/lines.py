"""Predictions as lines, each written when it is there: for people, as CSV, as one JSON document."""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search.analysis.importance import Bounds
from search.export.calibration import Below
from search.export.judging import Judgement
from search.export.predicting import Prediction
from search.export.suspected import SuspectedLabels
from storage.text import on_one_line

# A probability is written with so many digits for programs.
DIGITS = 6
# The CSV of suspects has these columns.
SUSPECTED = ("path", "given", "probability_of_given", "class")


@dataclass(frozen=True)
class Unsure:
    """What a limit of probability meant on the validation images, and what it met here."""

    # Answers with a lower probability are unsure.
    below: float
    # The counts are those of the validation images.
    validation: Below
    # So many images here are below the limit.
    images: int

    def __str__(self) -> str:
        found = self.validation
        rest = "no other was left"
        if found.accuracy is not None:
            within = _between(found.accuracy_interval)
            rest = f"of the rest {found.accuracy:.1%} ({within}) were right"
        return (
            f"{self.images:,} below {self.below:g}, as {found.share:.1%}"
            f" ({_between(found.share_interval)}, 95 %) of {found.images:,} validation images were;"
            f" {rest}"
        )


def _between(interval: Bounds | None) -> str:
    assert interval is not None
    return f"{100 * interval.low:.1f} .. {100 * interval.high:.1f}"


@dataclass(frozen=True, eq=False)
class Summary:
    """What there is to say once all is predicted."""

    # So many images were read.
    images: int
    unreadable: int
    unsure: Unsure | None
    judgement: Judgement | None


class Lines(ABC):
    """How predictions are written: strings that end with their line."""

    def begin(self) -> str:
        """What comes before the first."""
        return ""

    @abstractmethod
    def one(self, prediction: Prediction) -> str:
        """One of them."""

    @abstractmethod
    def end(self, summary: Summary) -> str:
        """What comes after the last."""


class Text(Lines):
    """Path, class and probability with tabs between, further classes and a mark after them."""

    def one(self, prediction: Prediction) -> str:
        """See Lines; nothing of a file that could not be read."""
        if prediction.error is not None:
            return ""
        cells = [on_one_line(prediction.path)]
        for name, probability in prediction.classes:
            cells += [on_one_line(name), f"{probability:.4f}"]
        return "\t".join(cells + ["unsure"] * prediction.is_unsure) + "\n"

    def end(self, summary: Summary) -> str:
        """See Lines."""
        return "" if summary.judgement is None else f"\n{judged_text(summary.judgement)}"


class Csv(Lines):
    """One row a file."""

    def __init__(self, top: int, *, marks: bool, labelled: bool) -> None:
        self._top, self._marks, self._labelled = top, marks, labelled

    def begin(self) -> str:
        """The names of the columns."""
        ranks = ["", *(f"_{rank}" for rank in range(2, self._top + 1))]
        names = [f"{name}{rank}" for rank in ranks for name in ("class", "probability")]
        return _row(
            [
                "path",
                *names,
                *["unsure"] * self._marks,
                *["given"] * self._labelled,
                "error",
            ]
        )

    def one(self, prediction: Prediction) -> str:
        """See Lines."""
        answers: list[object] = [
            cell
            for name, probability in prediction.classes
            for cell in (name, round(probability, DIGITS))
        ]
        answers += [None] * (2 * self._top - len(answers))
        is_unsure = int(prediction.is_unsure) if prediction.error is None else None
        return _row(
            [
                prediction.path,
                *answers,
                *[is_unsure] * self._marks,
                *[prediction.given] * self._labelled,
                prediction.error,
            ]
        )

    def end(self, summary: Summary) -> str:
        """Nothing: a table is rows alone."""
        return ""


class Suspects(Lines):
    """The files whose given class is the least likely, as CSV, once all is predicted."""

    def one(self, prediction: Prediction) -> str:
        """Nothing yet."""
        return ""

    def end(self, summary: Summary) -> str:
        """See Lines."""
        assert summary.judgement is not None
        names = (*SUSPECTED, "probability")
        rows: list[Sequence[object]] = [
            [
                each.path,
                each.given,
                round(each.given_probability or 0.0, DIGITS),
                each.predicted,
                round(each.classes[0][1], DIGITS),
            ]
            for each in summary.judgement.suspected()
        ]
        return _row(names) + "".join(map(_row, rows))


class JsonDocument(Lines):
    """One document, of which each prediction is a line."""

    def __init__(self, *, marks: bool) -> None:
        self._marks = marks
        self._comma = ""

    def begin(self) -> str:
        """See Lines."""
        return '{"predictions": ['

    def one(self, prediction: Prediction) -> str:
        """See Lines."""
        document: dict[str, object] = {"path": prediction.path}
        if prediction.error is None:
            document["classes"] = [
                {"class": name, "probability": round(probability, DIGITS)}
                for name, probability in prediction.classes
            ]
            if self._marks:
                document["unsure"] = prediction.is_unsure
        else:
            document["error"] = prediction.error
        if prediction.given is not None:
            document["given"] = prediction.given
        comma, self._comma = self._comma, ","
        return f"{comma}\n  {json.dumps(document)}"

    def end(self, summary: Summary) -> str:
        """See Lines."""
        unsure, judgement = summary.unsure, summary.judgement
        document = {
            "images": summary.images,
            "unreadable": summary.unreadable,
            "unsure": (
                None
                if unsure is None
                else {
                    "below": unsure.below,
                    "images": unsure.images,
                    "validation_images": unsure.validation.images,
                    "validation_share": unsure.validation.share,
                    "validation_share_interval": _ends(unsure.validation.share_interval),
                    "validation_accuracy_of_the_rest": unsure.validation.accuracy,
                    "validation_accuracy_interval": _ends(unsure.validation.accuracy_interval),
                }
            ),
            "labelled": (
                None
                if judgement is None
                else {
                    "accuracy": judgement.accuracy,
                    "recall": dict(zip(judgement.class_names, judgement.recalls, strict=True)),
                    "confusion": judgement.confusion.tolist(),
                }
            ),
        }
        return f"\n], {json.dumps(document)[1:]}\n"


def _ends(interval: Bounds | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def suspected_csv(found: SuspectedLabels) -> str:
    """The validation images whose label the good trials of a study contradict."""
    rows: list[Sequence[object]] = [
        [each.path, each.given, round(each.given_probability, DIGITS), each.predicted]
        for each in found.files
    ]
    return _row(SUSPECTED) + "".join(map(_row, rows))


def judged_text(judgement: Judgement) -> str:
    """Accuracy, recall by class, and the confusion matrix, for a person."""
    if judgement.accuracy is None:
        return "no image to judge by\n"
    right, images = int(judgement.confusion.trace()), judgement.images
    names = [on_one_line(name) for name in judgement.class_names]
    counts = judgement.confusion.sum(1)
    recalls = (
        [name, f"{count:,}", "-" if recall is None else f"{recall:.2%}"]
        for name, count, recall in zip(names, counts, judgement.recalls, strict=True)
    )
    places = [str(place) for place in range(len(names))]
    matrix = (
        [place, name, *(str(count) if count else "." for count in row)]
        for place, name, row in zip(places, names, judgement.confusion.tolist(), strict=True)
    )
    return "\n".join(
        (
            f"accuracy {judgement.accuracy:.2%}: {right:,} of {images:,} images are of the class"
            " that their folder says",
            "",
            *_table([["class", "images", "recall"], *recalls], texts=1),
            "",
            "rows: the class of the folder; columns: the predicted one",
            *_table([["", "class", *places], *matrix], texts=2),
            "",
        )
    )


def _table(rows: Sequence[Sequence[str]], texts: int) -> Iterable[str]:
    """Columns under one another, the first `texts` of them to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _row(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
