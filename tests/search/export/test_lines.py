"""What is printed of predictions, whole."""

import json

import pytest

from search.export.calibration import Below
from search.export.judging import Judgement
from search.export.lines import Csv, JsonDocument, Lines, Summary, Suspects, Text, Unsure
from search.export.predicting import Prediction

MADE = (
    Prediction("a,\n.png", (("cat", 0.75), ("dog", 0.25)), given="cat", given_probability=0.75),
    Prediction("b.png", (), given="dog", error="the file is empty"),
    Prediction(
        "c.png",
        (("cat", 0.6), ("dog", 0.4)),
        is_unsure=True,
        given="dog",
        given_probability=0.4,
    ),
)


def judged(suspects: int = 0) -> Judgement:
    judgement = Judgement(("cat", "dog", "eel"), suspects)
    for each in MADE:
        judgement.add(each)
    return judgement


def whole(lines: Lines, suspects: int = 0, *, labelled: bool = False) -> str:
    summary = Summary(
        2, 1, Unsure(0.7, Below(10, 10, 0), 1), judged(suspects) if labelled else None
    )
    return lines.begin() + "".join(map(lines.one, MADE)) + lines.end(summary)


def test_text() -> None:
    assert whole(Text()) == (
        "a,\\n.png\tcat\t0.7500\tdog\t0.2500\nc.png\tcat\t0.6000\tdog\t0.4000\tunsure\n"
    )


def test_text_with_what_was_judged() -> None:
    assert whole(Text(), labelled=True).partition("\n\n")[2] == (
        "accuracy 50.00%: 1 of 2 images are of the class that their folder says\n"
        "\n"
        "class  images   recall\n"
        "cat         1  100.00%\n"
        "dog         1    0.00%\n"
        "eel         0        -\n"
        "\n"
        "rows: the class of the folder; columns: the predicted one\n"
        "   class  0  1  2\n"
        "0  cat    1  .  .\n"
        "1  dog    1  .  .\n"
        "2  eel    .  .  .\n"
    )


def test_csv() -> None:
    assert whole(Csv(2, marks=True, labelled=True)) == (
        "path,class,probability,class_2,probability_2,unsure,given,error\n"
        '"a,\n.png",cat,0.75,dog,0.25,0,cat,\n'
        "b.png,,,,,,dog,the file is empty\n"
        "c.png,cat,0.6,dog,0.4,1,dog,\n"
    )


def test_suspects_come_with_the_least_likely_given_class_first() -> None:
    assert whole(Suspects(), 5, labelled=True) == (
        "path,given,probability_of_given,class,probability\n"
        "c.png,dog,0.4,cat,0.6\n"
        '"a,\n.png",cat,0.75,cat,0.75\n'
    )
    assert [each.path for each in judged(1).suspected()] == ["c.png"]


def test_json() -> None:
    document = json.loads(whole(JsonDocument(marks=False), labelled=True))
    assert document == {
        "predictions": [
            {
                "path": "a,\n.png",
                "classes": [
                    {"class": "cat", "probability": 0.75},
                    {"class": "dog", "probability": 0.25},
                ],
                "given": "cat",
            },
            {"path": "b.png", "error": "the file is empty", "given": "dog"},
            {
                "path": "c.png",
                "classes": [
                    {"class": "cat", "probability": 0.6},
                    {"class": "dog", "probability": 0.4},
                ],
                "given": "dog",
            },
        ],
        "images": 2,
        "unreadable": 1,
        "unsure": {
            "below": 0.7,
            "images": 1,
            "validation_images": 10,
            "validation_share": 1.0,
            "validation_share_interval": [pytest.approx(0.7225, abs=1e-4), 1.0],
            "validation_accuracy_of_the_rest": None,
            "validation_accuracy_interval": None,
        },
        "labelled": {
            "accuracy": 0.5,
            "recall": {"cat": 1.0, "dog": 0.0, "eel": None},
            "confusion": [[1, 0, 0], [1, 0, 0], [0, 0, 0]],
        },
    }


def test_of_equal_suspects_the_first_ones_are_kept() -> None:
    judgement = Judgement(("cat", "dog"), 2)
    for name in ("a", "b", "c"):
        judgement.add(Prediction(name, (("dog", 0.9),), given="cat", given_probability=0.1))
    assert [each.path for each in judgement.suspected()] == ["a", "b"]


def test_what_a_limit_meant_is_said_with_intervals() -> None:
    assert str(Unsure(0.6, Below(1000, 644, 272), 29)) == (
        "29 below 0.6, as 64.4% (61.4 .. 67.3, 95 %) of 1,000 validation images were; of the rest"
        " 76.4% (71.7 .. 80.5) were right"
    )
    assert str(Unsure(1, Below(10, 10, 0), 2)).endswith("; no other was left")
