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


@pytest.mark.long
def test_every_trial_of_a_seeded_study_is_reproduced_bit_for_bit(tmp_path: Path) -> None:
    spec = HARMFUL.replace('"synthetic"', '"digits"').replace("trials = 8", "trials = 2")
    user = User(tmp_path, spec=spec.replace("epochs = 3", "epochs = 1"))
    for number in (0, 1):
        found = json.loads(user.run("reproduce", "s", str(number), "--json", "--threads", "1"))
        assert_documented("reproduce", found, with_timings=False)
        assert (found["verdict"], found["differing_images"]) == ("identical", 0)
    assert notebook.reproduce("s", 0, storage=user.url).found is not None


def test_a_trial_whose_record_was_changed_is_different_and_ends_with_1(tmp_path: Path) -> None:
    user = User(tmp_path)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute(
            "UPDATE trial_params SET param_value = 0.0001, distribution_json ="
            " json_set(distribution_json, '$.attributes.low', 0.0000001) WHERE param_name LIKE"
            " '%.learning_rate' AND trial_id = (SELECT trial_id FROM trials WHERE number = 0)"
        )
    code, said, _ = user.ends("reproduce", "s", "0", "-q")
    assert code == 1
    assert said.startswith("Trial 0: different: more than other seeds explain\n")
    assert said.rstrip().endswith("hypersearch reproduce s 0 --seeds 5")


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
