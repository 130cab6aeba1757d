"""The answer of `compare` fits the terminal, at every width and for studies of every size.

$ python -m tests.search.report.test_ranking      writes what is expected here, to be looked at
"""

import fcntl
import json
import os
import pty
import struct
import termios
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from search.analysis.comparison import Comparison, TrialNotFound
from search.report.one_trial import trial_text, trial_whole_document
from search.report.ranking import column_name
from search.report.tables import table, unbroken, width_of, wrapped
from search.report.text import compare_text
from tests.search.report.made_up import failed, made_up

EXPECTED = Path(__file__).parent / "expected"
WIDTHS = (40, 80, 120, 200)
SIZES = (1, 40, 1000)

_STUDIES = {size: made_up(size) for size in SIZES}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", SIZES)
def test_the_answer_fits_the_width(size: int, width: int) -> None:
    text = compare_text(_STUDIES[size], width)
    assert text == (EXPECTED / f"compare-{size}-{width}.txt").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_one_trial_is_shown_whole(width: int) -> None:
    text = trial_text(_STUDIES[40], 0, width)
    assert text == (EXPECTED / f"trial-{width}.txt").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= width


def test_all_rows_are_shown_where_they_are_asked_for() -> None:
    study = _STUDIES[1000]
    few, whole = (compare_text(study, 80, every_row=each) for each in (False, True))
    assert "--all shows them" in few
    assert "--all shows them" not in whole
    shown = [line.split()[:2] for line in whole.splitlines()[5:1005]]
    assert shown == [[str(n), str(each.number)] for n, each in enumerate(study.trials, start=1)]


def test_an_empty_study_says_so() -> None:
    assert "\n\nno trial has begun yet\n\n" in compare_text(made_up(0), 80)


def test_the_front_fits_the_width_and_is_cut_too() -> None:
    study = made_up(
        200, study={"minimize": ["parameters"]}, space={"width": {"low": 0.3, "high": 1.0}}
    )
    costed = [
        replace(trial, costs=(float(round(3e5 * (trial.value or 0.0) ** 4)),))
        for trial in study.trials
    ]
    study = replace(study, trials=tuple(costed))
    for width in WIDTHS:
        text = compare_text(study, width)
        assert max(map(len, text.splitlines())) <= width
    assert f"{len(study.front) - 10} more: hypersearch compare demo --all" in text
    assert "more:" not in compare_text(study, 80, every_row=True)


def test_what_a_branch_brings_is_never_shown_without_the_branch() -> None:
    for width in range(30, 200, 5):
        head = "".join(compare_text(_STUDIES[40], width).split("\n\n")[1].split("\n1")[0])
        assert "learning_" not in head or "optimizer" in head
        assert "period" not in head.split("no room")[0] or "scheduler" in head


def test_columns_are_named_without_their_branch() -> None:
    names = ("sgd.learning_rate", "adamw.weight_decay", "step.factor", "augmentation.strength", "?")
    assert [column_name(name) for name in names] == [
        "learning_rate",
        "weight_decay",
        "factor",
        "augmentation.strength",
        "?",
    ]


def test_a_failed_trial_is_shown_with_its_reason() -> None:
    study = made_up(3)
    bad = failed(study.trials[0], "out of memory: 3 GB were asked for")
    study = replace(study, trials=(*study.trials[1:], bad))
    assert trial_text(study, bad.number, 80).startswith(
        f"study demo, trial {bad.number}: failed, rank 3 of 3, validation accuracy none\n"
        "reason: out of memory: 3 GB were asked for\n"
    )
    assert trial_text(study, bad.number, 80).endswith("it has no epoch yet")


def test_a_trial_that_is_not_there_is_refused() -> None:
    with pytest.raises(TrialNotFound) as caught:
        trial_text(_STUDIES[40], 40, 80)
    assert str(caught.value) == "study 'demo' has no trial 40: its trials are 0-39"
    with pytest.raises(TrialNotFound) as caught:
        trial_text(made_up(0), 0, 80)
    assert str(caught.value) == "study 'demo' has no trial 0: it has no trial yet"


def test_a_trial_as_a_document_has_its_curve_and_no_times_unless_asked() -> None:
    study: Comparison = _STUDIES[40]
    found = trial_whole_document(study, 0, timings=False)
    timed = trial_whole_document(study, 0, timings=True)
    trial, rank = study.ranked(0)
    assert (found["study"], found["rank"], found["number"]) == ("demo", rank, 0)
    curve = json.loads(json.dumps(found["curve"]))
    assert [each["validation_accuracy"] for each in curve] == [
        each.validation_accuracy for each in trial.epochs
    ]
    assert "seconds" not in json.dumps(found)
    assert "seconds" in json.dumps(timed)


# --- widths


def test_what_is_no_terminal_has_100_columns_unless_columns_says_otherwise() -> None:
    stream = StringIO()
    said = [
        width_of(stream, {"COLUMNS": each}) for each in ("", "72", "0", "7", "x", "²", "9" * 50)
    ]
    assert said == [100, 72, 100, 100, 100, 100, 100]
    assert width_of(stream, {}) == 100
    stream.close()
    assert width_of(stream, {}) == 100


def test_a_terminal_has_its_own_columns() -> None:
    other, side = pty.openpty()
    with os.fdopen(side, "w") as stream:
        for columns, expected in ((63, 63), (0, 100)):
            fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            assert width_of(stream, {}) == expected
            assert width_of(stream, {"COLUMNS": "50"}) == 50
    os.close(other)


def test_a_table_drops_what_is_spare_then_cuts_its_longest_cells_in_the_middle() -> None:
    header, rows = ("name", "n", "more"), [("a" * 10 + "b" * 10, "1", "x"), ("c", "22", "y")]
    assert table(header, rows) == (
        f"name{' ' * 18} n  more\n{'a' * 10}{'b' * 10}   1  x\nc{' ' * 21}22  y"
    )
    assert table(header, rows, 24, spare=["more"]) == (
        f"name{' ' * 18} n\n{'a' * 10}{'b' * 10}   1\nc{' ' * 21}22"
    )
    assert table(header, rows, 15, spare=["more"]) == (
        "name          n\naaaaa…bbbbb   1\nc            22"
    )


def test_a_command_stays_on_one_line() -> None:
    assert wrapped(f"see: {unbroken('a bc def')}", 9, " ") == "see:\n a bc def"
    assert wrapped("see a long/path/of/a/file", 8) == "see a\nlong/path/of/a/file"


def _write() -> None:
    EXPECTED.mkdir(exist_ok=True)
    for width in WIDTHS:
        for size, study in _STUDIES.items():
            text = compare_text(study, width)
            (EXPECTED / f"compare-{size}-{width}.txt").write_text(text, encoding="utf-8")
        (EXPECTED / f"trial-{width}.txt").write_text(
            trial_text(_STUDIES[40], 0, width), encoding="utf-8"
        )


if __name__ == "__main__":
    _write()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", SIZES)
def test_only_a_line_with_a_name_that_is_longer_is_wider(size: int, width: int) -> None:
    name = "n" * 64
    study = _STUDIES[size]
    study = replace(
        study,
        spec=replace(study.spec, name=name),
        record=replace(study.record, stored=replace(study.record.stored, name=name)),
    )
    texts = [compare_text(study, width, every_row=each) for each in (False, True)]
    texts.append(trial_text(study, 0, width))
    for line in "\n".join(texts).splitlines():
        # Neither a name nor a command that is to be copied is broken.
        assert len(line) <= width or (name in line and len(line) - len(name) < 40), line
