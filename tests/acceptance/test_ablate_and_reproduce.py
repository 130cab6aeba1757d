"""`ablate` and `reproduce` as a user runs them, and what the report says then."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import hypersearch as notebook
from search.analysis.ablation import REFERENCE
from tests.acceptance.test_confirm import User, assert_documented

# A space in which dropout truly costs accuracy, and the initializer does nothing.
HARMFUL = """
[study]
name = "s"
trials = 8
sampler = "random"
pruner = "none"
[data]
dataset = "synthetic"
[training]
epochs = 3
[space]
optimizer = "sgd"
"sgd.learning_rate" = 0.1
"sgd.momentum" = 0.9
"sgd.weight_decay" = false
l1 = false
label_smoothing = false
augmentation = "shift"
"augmentation.strength" = 0.5
scheduler = "constant"
normalization = "batch"
batch_size = 32
input_normalization = "standard"
initializer = ["he_normal", "xavier_normal"]
dropout = { low = 0.85, high = 0.9, optional = true }
[[trial]]
dropout = 0.9
initializer = "he_normal"
"""


def ablation(user: User, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(user.run("ablate", "s", "--json", *arguments))
    return found


@pytest.mark.long
def test_what_truly_harms_is_found_and_what_does_nothing_is_not_claimed(tmp_path: Path) -> None:
    user = User(tmp_path, spec=HARMFUL)
    found = ablation(user, "--trial", "0", "--workers", "2")
    assert_documented("ablate", found, with_timings=False)
    effects = {each["technique"]: each for each in found["techniques"]}
    assert effects["dropout"]["verdict"] == "hurts"
    assert effects["dropout"]["effect"] < -0.01
    # It is told at the first look.
    assert effects["dropout"]["seeds"] == 3
    nothing = ("initializer", "input_normalization")
    assert [effects[name]["verdict"] for name in nothing] == ["not told"] * 2
    # These two truly help, a little.
    for name in ("augmentation", "normalization"):
        assert effects[name]["verdict"] in ("helps", "not told")
    printed = user.run("ablate", "s", "--trial", "0")
    assert "hurts: dropout." in printed
    assert max(map(len, printed.splitlines())) <= 100
    # The same answer again, from one worker elsewhere, and from a notebook.
    (tmp_path / "other").mkdir()
    other = User(tmp_path / "other", spec=HARMFUL)
    assert ablation(other, "--trial", "0") == found
    frozen = notebook.ablate("s", trial=0, storage=other.url)
    assert [each.effect.value for each in frozen.techniques if each.effect is not None] == [
        each["effect"] for each in found["techniques"]
    ]


@pytest.mark.long
def test_an_ablation_takes_looks_and_tunes_all_arms_alike(tmp_path: Path) -> None:
    user = User(tmp_path)
    found = ablation(user, "--seeds", "2,4", "--retune", "3")
    trainings = user.trainings(found["study"])
    arms = {REFERENCE, *(each["technique"] for each in found["techniques"])}
    tuned = [each for each in trainings if each.purpose == "tune"]
    assert {each.arm for each in tuned} == arms
    assert len(tuned) == 3 * len(arms)
    judged = [each for each in trainings if each.purpose == "judge"]
    # No run that finds a learning rate has a seed of a run that is judged.
    assert not {each.seed for each in tuned} & {each.seed for each in judged}
    counts = {arm: sum(each.arm == arm for each in judged) for arm in arms}
    assert counts.pop(REFERENCE) == 8
    assert set(counts.values()) <= {2, 4}
    went_on = [arm for arm, count in counts.items() if count == 4]
    assert len(went_on) == max(1, len(counts) // 2)
    assert found["trainings"] == len(trainings)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        readings = connection.execute("SELECT count(*) FROM hypersearch_reading").fetchone()
    assert readings == (0,)


def test_an_ablation_is_of_the_last_confirmations_choice(tmp_path: Path) -> None:
    user = User(tmp_path)
    choice = user.answer("--no-test")["choice"]
    found = ablation(user, "--seeds", "2", "--no-retune", "--technique", "augmentation")
    assert found["trial"] == choice
    assert [each["technique"] for each in found["techniques"]] == ["augmentation"]


# Without momentum rounding does not grow; with it other seeds move so good a network by little.
DIGITS = """
[study]
name = "s"
trials = 4
sampler = "random"
pruner = "none"
[data]
dataset = "digits"
[training]
epochs = 2
[model]
channels = [16, 16]
hidden_units = 16
[space]
optimizer = "sgd"
"sgd.learning_rate" = { low = 0.05, high = 0.1, log = true }
"sgd.momentum" = { low = 0.0, high = 0.9 }
"sgd.weight_decay" = false
l1 = false
dropout = false
label_smoothing = false
augmentation = "none"
scheduler = "constant"
normalization = "batch"
batch_size = 32
input_normalization = "standard"
initializer = "he_normal"
"""
DIGITS += '[[trial]]\n"sgd.learning_rate" = 0.1\n"sgd.momentum" = 0.0\n' * 2
DIGITS += '[[trial]]\n"sgd.learning_rate" = 0.05\n"sgd.momentum" = 0.9\n' * 2
ONE_THREAD = ("--threads", "1")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> User:
    """Somebody with four small networks trained on digits; each test has one to itself."""
    return User(tmp_path_factory.mktemp("digits"), spec=DIGITS, how=ONE_THREAD)


def reproduced(user: User, number: int) -> tuple[int, dict[str, Any]]:
    command = ("reproduce", "s", str(number), "--json", "-q", *ONE_THREAD)
    code, said, errors = user.ends(*command)
    assert said, errors
    found: dict[str, Any] = json.loads(said)
    assert_documented("reproduce", found, with_timings=False)
    return code, found


def change(user: User, statement: str, number: int) -> None:
    """Changes what is recorded of the search's trial of that number."""
    trial = f"trial_id = (SELECT trial_id FROM trials WHERE study_id = 1 AND number = {number})"
    with closing(sqlite3.connect(user.folder / "a.db")) as connection, connection:
        assert connection.execute(f"{statement} AND {trial}").rowcount == 1


def test_a_trial_that_is_trained_again_as_it_was_is_identical(digits: User) -> None:
    code, found = reproduced(digits, 0)
    assert (code, found["verdict"], found["differing_images"]) == (0, "identical", 0)
    assert (found["difference"], found["changes"]) == (0.0, {})
    assert notebook.reproduce("s", 0, storage=digits.url).found is not None


@pytest.mark.long
def test_with_other_threads_than_it_had_a_trial_differs_by_rounding_alone(digits: User) -> None:
    # It is trained with the threads and the piece that its record says, which were not its own.
    as_recorded = (
        "UPDATE hypersearch_attempt SET threads = 2, piece = 16 WHERE outcome = 'complete'"
    )
    change(digits, as_recorded, 1)
    code, found = reproduced(digits, 1)
    assert (code, found["verdict"]) == (0, "rounding")


def test_a_trial_of_another_seed_is_not_shown_to_differ(digits: User) -> None:
    # Its number is what its seed comes from.
    change(digits, "UPDATE trials SET number = 11 WHERE state = 'COMPLETE'", 2)
    code, found = reproduced(digits, 11)
    low, high = found["explained"]
    assert (code, found["verdict"]) == (0, "not shown to differ")
    assert low <= found["difference"] <= high


def test_a_trial_whose_record_was_changed_is_different_and_ends_with_1(digits: User) -> None:
    other_rate = (
        "UPDATE trial_params SET param_value = 0.0001, distribution_json ="
        " json_set(distribution_json, '$.attributes.low', 0.0000001)"
        " WHERE param_name = 'sgd.learning_rate'"
    )
    change(digits, other_rate, 3)
    code, said, _ = digits.ends("reproduce", "s", "3", "-q", *ONE_THREAD)
    assert code == 1
    assert said.startswith("Trial 3: different: more than other seeds explain\n")
    assert said.rstrip().endswith("hypersearch reproduce s 3 --seeds 5")


@pytest.mark.long
def test_a_report_says_what_was_confirmed_and_ablated(tmp_path: Path) -> None:
    user = User(tmp_path)
    assert "NOT confirmed" in user.run("report", "s", "-o", "-")
    found = user.answer("--seeds", "3")
    ablation(user, "--seeds", "3", "--no-retune", "--technique", "augmentation")
    page = user.run("report", "s", "-o", "-")
    assert "NOT confirmed" not in page
    assert "reading 1 of this split" in page
    mean = f"{found['test']['mean']:.4f}"
    assert f"Trial {found['choice']} has a test accuracy of {mean}" in page
    assert "Effects do not add up." in page


def test_a_report_of_two_seeds_has_no_intervals(tmp_path: Path) -> None:
    user = User(tmp_path)
    user.answer("--seeds", "2")
    page = user.run("report", "s", "-o", "-")
    assert "NOT confirmed" not in page
    assert "Fresh seeds, validation accuracy, 95 % intervals for the mean" in page
