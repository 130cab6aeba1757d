"""`confirm --resplit` as a user runs it: each seed is judged on a fold of its own."""

import json
import time
from pathlib import Path

import pytest

import hypersearch as notebook
from objectives.data.config import Fold
from search.report.confirmation import sentences
from storage.engine import open_database
from storage.predictions import read_predictions
from storage.slots import read_slots
from storage.studies import find_study
from tests.acceptance.test_confirm import SPEC, User, assert_documented
from tests.forked import Started

FOLDED = SPEC.replace("[training]", "folds = 4\n[training]")
DIGITS = FOLDED.replace('"synthetic"', '"digits"').replace("trials = 12", "trials = 2")
DIGITS = DIGITS.replace('"random"', '"random"\npruner = "none"').replace("epochs = 3", "epochs = 1")
DIGITS += "[model]\nchannels = [4]\nhidden_units = 8\n"


def folds_of(user: User, name: str) -> dict[tuple[str, int], Fold | None]:
    """By purpose and index of the seed; the same for all that are judged."""
    found: dict[tuple[str, int], Fold | None] = {}
    for each in user.trainings(name):
        key = (each.purpose, each.seed_index)
        assert found.setdefault(key, each.fold) == each.fold
    return found


def test_each_seed_has_a_fold_of_its_own_and_the_intervals_say_so(tmp_path: Path) -> None:
    user = User(tmp_path, spec=FOLDED)
    found = user.answer("--resplit", "--timings")
    assert_documented("confirm", found, with_timings=True)
    assert (found["folds"], found["images"], found["trainings"]) == (4, 3000, 25)
    assert [each["fold"] for each in found["runs"][-5:]] == [
        {"shuffle": shuffle, "number": number}
        for shuffle, number in ((1, 3), (2, 1), (2, 2), (2, 3), (3, 1))
    ]
    # The fold of the search judges none, and after the others they are shuffled anew.
    expected = {
        ("judge", 0): Fold(0, 1),
        ("judge", 1): Fold(0, 2),
        ("judge", 2): Fold(0, 3),
        ("judge", 3): Fold(1, 1),
        ("judge", 4): Fold(1, 2),
        ("test", 5): Fold(1, 3),
        ("test", 6): Fold(2, 1),
        ("test", 7): Fold(2, 2),
        ("test", 8): Fold(2, 3),
        ("test", 9): Fold(3, 1),
    }
    assert folds_of(user, "s:confirm:1") == expected
    for each in found["configurations"]:
        assert each["these_images"] is None
        low, high = each["new_images"]
        assert low <= each["mean"] <= high
    assert found["test"]["reading"] == 1
    assert found["test"]["split_luck"] is None
    printed = user.run("confirm", "s", "--resplit")
    said = " ".join(printed.split())
    assert "These intervals include the split: each seed was trained and judged on another" in said
    assert "Seeds after the first 3 have the same images, shuffled anew." in said
    assert "another training split" not in said
    assert "these images" not in printed
    assert max(map(len, printed.splitlines())) <= 100
    frozen = notebook.confirm("s", resplit=True, storage=user.url)
    assert [list(arm.values) for arm in frozen.arms] == [
        each["values"] for each in found["configurations"]
    ]
    # So the report says it.
    assert any(line.startswith("These intervals include the split") for line in sentences(frozen))


def test_more_seeds_go_on_from_those_of_the_same_kind_alone(tmp_path: Path) -> None:
    user = User(tmp_path, spec=FOLDED)
    how = ("--top", "2", "--no-test", "--baseline", "none")
    plain = user.answer("--seeds", "2", *how)
    first = user.answer("--seeds", "2", "--resplit", *how)
    assert (first["study"], first["goes_on_from"]) == ("s:confirm:2", None)
    assert set(folds_of(user, plain["study"]).values()) == {None}
    more = user.answer("--seeds", "3", "--resplit", *how)
    assert (more["study"], more["goes_on_from"]) == ("s:confirm:3", "s:confirm:2")
    also = user.answer("--seeds", "3", *how)
    assert (also["study"], also["goes_on_from"]) == ("s:confirm:4", "s:confirm:1")
    for before, after in ((first, more), (plain, also)):
        for one, other in zip(before["configurations"], after["configurations"], strict=True):
            assert other["values"][:2] == one["values"]
    assert first["configurations"][0]["values"] != plain["configurations"][0]["values"]


@pytest.mark.long
def test_one_that_is_killed_keeps_its_folds(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "u", tmp_path / "k"
    for folder in (undisturbed, killed):
        folder.mkdir()
    how = ("--resplit", "--seeds", "3", "--top", "2")
    expected = User(undisturbed, spec=FOLDED).answer(*how)
    user = User(killed, spec=FOLDED)
    environment = {"HYPERSEARCH_STORAGE": user.url, "HYPERSEARCH_SYNTHETIC_SECONDS": "0.1"}
    environment["XDG_CACHE_HOME"] = str(killed / "c")
    process = Started(killed, "confirm", "s", *how, **environment)
    time.sleep(3)
    process.kill()
    process.communicate()
    assert user.answer(*how) == expected


def test_real_images_are_divided_as_the_slots_say(tmp_path: Path) -> None:
    user = User(tmp_path, spec=DIGITS, how=("--threads", "1"))
    one = ("--top", "1", "--baseline", "none", "--no-test", "--threads", "1")
    found = user.answer("--resplit", "--seeds", "4", *one)
    assert found["folds"] == 4
    with open_database(user.url) as database:
        stored, parent = find_study(database, "s:confirm:1"), find_study(database, "s")
        answered = read_predictions(database, stored.study_id, "validation")
        (of_search,) = {
            each.split_sha256
            for each in read_predictions(database, parent.study_id, "validation").values()
        }
        slots = read_slots(database, stored.study_id)
    # Five divisions, the search's among them, and no two are judged on the same images.
    splits = {answered[each.trial].split_sha256 for each in slots if each.trial is not None}
    assert len(splits | {of_search}) == len(slots) + 1 == 5
    # Whoever reads a training's row knows its fold, and how many images that is.
    trained = zip(slots, user.trainings("s:confirm:1"), strict=True)
    images = {
        each.fold: len(answered[slot.trial].labels)
        for slot, each in trained
        if slot.trial is not None
    }
    assert images == {Fold(0, 1): 360, Fold(0, 2): 359, Fold(0, 3): 359, Fold(1, 1): 360}
    # 1,438 images are not test: three of the four folds judge.
    assert found["images"] == 1438 - 360
    number = found["choice"]
    user.run("export", "s", "-o", "m", "--trial", str(number), "--format", "safetensors")
    card = " ".join((tmp_path / "m" / "README.md").read_text().split())
    assert "the other 3 of 4 folds, so that the interval includes the split" in card
    assert json.loads((tmp_path / "m" / "config.json").read_text())["data"]["folds"] == 4


def test_other_answers_stay_on_the_fold_of_the_search(tmp_path: Path) -> None:
    user = User(tmp_path, spec=FOLDED)
    user.run("ablate", "s", "--seeds", "2", "--no-retune")
    user.run("reproduce", "s", "0")
    for name in ("s:ablate:1", "s:reproduce:1"):
        assert {each.fold for each in user.trainings(name)} == {None}
