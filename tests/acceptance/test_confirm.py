"""`confirm` as a user runs it: the best configurations under fresh seeds, and the test split read
after the choice.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import hypersearch as notebook
from search.report.answer_fields import DOCUMENTS
from search.spec.follow_up import PlannedTraining
from storage.engine import open_database
from storage.slots import read_slots
from storage.studies import find_study
from tests.forked import Started, hypersearch

SERVERS = ("postgresql", "mariadb")

SPEC = """
[study]
name = "s"
trials = 12
sampler = "random"
[data]
dataset = "synthetic"
[training]
epochs = 3
[[trial]]
optimizer = "sgd"
"sgd.learning_rate" = 0.2
"""


class User:
    """Somebody with a study of 12 made-up trials, whose first is the baseline."""

    def __init__(
        self, folder: Path, url: str | None = None, spec: str = SPEC, how: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        self.url = url or f"sqlite:///{folder}/a.db"
        (folder / "s.toml").write_text(spec)
        self.run("run", "s.toml", *how)

    def ends(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        environment |= {"HYPERSEARCH_STORAGE": self.url, "XDG_CACHE_HOME": str(self.folder / "c")}
        ended = hypersearch(self.folder, *arguments, **environment)
        return ended.returncode, ended.stdout, ended.stderr

    def run(self, *arguments: str, **environment: str) -> str:
        """Standard output of a command that does what it is to do."""
        code, said, errors = self.ends(*arguments, **environment)
        assert code == 0, errors
        return said

    def answer(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("confirm", "s", "--json", *arguments))
        return found

    def trainings(self, name: str) -> list[PlannedTraining]:
        with open_database(self.url) as database:
            stored = find_study(database, name)
            return [
                PlannedTraining.from_json(each.slot.content)
                for each in read_slots(database, stored.study_id)
            ]


TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "null": type(None),
}


def assert_documented(command: str, found: dict[str, Any], *, with_timings: bool) -> None:
    """Every key of the document is documented with its type, and every documented one is there but
    for those below what is null or empty.
    """
    fields = DOCUMENTS[command]
    seen: set[str] = set()
    empty: set[str] = set()

    def visit(key: str, value: Any) -> None:
        if isinstance(value, list) or (value is None and f"{key}[]" in fields):
            seen.add(f"{key}[]")
            empty.update([] if value else [f"{key}[]"])
            for each in value or ():
                visit(f"{key}[]", each)
            return
        kinds = fields[key][0].split(" or ")
        assert any(isinstance(value, TYPES[kind]) for kind in kinds), (key, value)
        seen.add(key)
        if isinstance(value, dict) and any(each.startswith(f"{key}.") for each in fields):
            for name, inner in value.items():
                visit(f"{key}.{name}", inner)
        elif value is None:
            empty.add(key)

    for name, value in found.items():
        visit(name, value)
    below = tuple(f"{each}." for each in empty)
    expected = {key for key in fields if with_timings or not key.startswith("runs[]")}
    assert {key for key in expected if not key.startswith(below)} <= seen | empty


def test_the_answer_is_the_same_however_many_workers_train_it_and_is_printed_again(
    tmp_path: Path,
) -> None:
    one, several = tmp_path / "1", tmp_path / "3"
    for folder in (one, several):
        folder.mkdir()
    user, other = User(one), User(several)
    timed = user.answer("--timings")
    assert_documented("confirm", timed, with_timings=True)
    assert len(timed.pop("runs")) == 25
    found = user.answer()
    assert found == timed
    assert other.answer("--workers", "3") == found
    code, printed, said = user.ends("confirm", "s")
    # Nothing is trained again.
    assert (code, said) == (0, "")
    best = [each for each in found["configurations"] if not each["is_baseline"]]
    assert found["trainings"] == found["planned"] == 25
    assert [each["trial"] for each in best] == found_best(user)
    assert [each["is_baseline"] for each in found["configurations"]] == [False] * 3 + [True]
    (choice,) = [each for each in found["configurations"] if each["is_choice"]]
    steady = [each for each in found["configurations"] if each["may_be_best"]]
    assert choice["mean"] == max(each["mean"] for each in steady)
    assert choice["trial"] == found["choice"]
    for each in found["configurations"]:
        assert each["mean"] == pytest.approx(sum(each["values"]) / 5)
        low, high = each["new_images"]
        assert 0 <= low <= each["mean"] <= high <= 1
    assert found["test"]["reading"] == 1
    assert "never read before (reading 1 of this split)" in printed
    assert f"5 further seeds of trial {found['choice']}\n" in printed
    assert max(map(len, printed.splitlines())) <= 100
    # A notebook gets the same, frozen.
    frozen = notebook.confirm("s", storage=user.url)
    assert frozen.choice == f"trial {found['choice']}"
    assert [list(arm.values) for arm in frozen.arms] == [
        each["values"] for each in found["configurations"]
    ]


def found_best(user: User) -> list[int]:
    ranked = json.loads(user.run("compare", "s", "--json"))["trials"]
    complete = [each["number"] for each in ranked if each["state"] == "complete"]
    return [number for number in complete[:3] if number != 0]


def test_the_test_split_is_read_with_seeds_that_took_no_part_in_the_choice(tmp_path: Path) -> None:
    user = User(tmp_path)
    first = user.answer()
    again = user.answer("--new")
    assert (first["study"], again["study"]) == ("s:confirm:1", "s:confirm:2")
    assert [each["test"]["reading"] for each in (first, again)] == [1, 2]
    seeds: list[set[int]] = []
    for name in ("s:confirm:1", "s:confirm:2"):
        trainings = user.trainings(name)
        judged = {each.seed for each in trainings if each.purpose == "judge"}
        read = {each.seed for each in trainings if each.purpose == "test"}
        assert (len(judged), len(read)) == (5, 5)
        # Every configuration has the same seeds.
        arms = {each.arm for each in trainings if each.purpose == "judge"}
        for arm in arms:
            own = {each.seed for each in trainings if each.arm == arm and each.purpose == "judge"}
            assert own == judged
        seeds += [judged, read]
    # No two of the four have a seed in common.
    assert len(set.union(*seeds)) == 20
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        query = "SELECT number, study_name, score FROM hypersearch_reading ORDER BY number"
        readings = connection.execute(query).fetchall()
    assert readings == [
        (1, "s:confirm:1", pytest.approx(first["test"]["mean"])),
        (2, "s:confirm:2", pytest.approx(again["test"]["mean"])),
    ]


def test_more_seeds_train_only_what_is_missing_and_answer_as_all_at_once(tmp_path: Path) -> None:
    at_once, in_steps = tmp_path / "1", tmp_path / "2"
    for folder in (at_once, in_steps):
        folder.mkdir()
    expected = User(at_once).answer("--seeds", "4")
    user = User(in_steps)
    first = user.answer("--seeds", "2", "--no-test")
    more = ("confirm", "s", "--seeds", "4")
    code, _, said = user.ends(*more, "--enqueue")
    assert code == 0, said
    # No network of the baseline was kept, as no test split was to be read with it.
    assert "20 trainings x 3 epochs, 6 of them there" in said
    # What was taken over is a copy.
    user.run("delete", first["study"], "--yes")
    found = user.answer("--seeds", "4")
    assert (found.pop("study"), found.pop("goes_on_from")) == ("s:confirm:2", "s:confirm:1")
    expected.pop("study")
    expected.pop("goes_on_from")
    assert found == expected
    assert "has looked twice: 95 % is then somewhat less." in user.run(*more).replace("\n", " ")
    # Fewer seeds than there are, or others: another one.
    assert user.answer("--seeds", "3")["goes_on_from"] is None


def test_the_neutral_baseline_has_no_technique_and_a_rate_that_runs_of_its_own_have_found(
    tmp_path: Path,
) -> None:
    user = User(tmp_path)
    found = user.answer("--baseline", "neutral", "--seeds", "2", "--workers", "2")
    best, baseline = found["configurations"][0], found["configurations"][-1]
    assert (baseline["arm"], baseline["trial"], baseline["is_baseline"]) == ("neutral", None, True)
    optimizer = best["params"]["optimizer"]
    kept = {"optimizer", "batch_size", "width"}
    rate = f"{optimizer}.learning_rate"
    assert baseline["params"].pop(rate) != best["params"].pop(rate)
    off = {"scheduler": "constant", "augmentation": "none", "initializer": "default"}
    off |= {"normalization": "none", "input_normalization": "none"}
    assert baseline["params"] == off | {
        name: value
        for name, value in best["params"].items()
        if name in kept or (name.startswith(f"{optimizer}.") and "decay" not in name)
    }
    trainings = user.trainings("s:confirm:1")
    tuned = [each for each in trainings if each.purpose == "tune"]
    assert [each.arm for each in tuned] == ["neutral"] * 5
    assert len({each.seed for each in tuned}) == 1
    assert not {each.seed for each in tuned} & {
        each.seed for each in trainings if each.purpose != "tune"
    }
    rates = [each.values[rate] for each in tuned]
    assert rates == pytest.approx([rates[2] * factor for factor in (0.25, 0.5, 1, 2, 4)])
    # The five, then three candidates and the baseline, then the choice.
    assert found["trainings"] == found["planned"] == 5 + 2 * 4 + 2
    printed = user.run("confirm", "s", "--baseline", "neutral", "--seeds", "2")
    assert f"The neutral baseline is {optimizer} without any technique" in printed
    assert "neutral (baseline)" in user.run("report", "s", "-o", "-")


def test_without_the_test_split_nothing_of_it_is_read(tmp_path: Path) -> None:
    user = User(tmp_path)
    found = user.answer("--no-test", "--top", "2", "--baseline", "none", "--seeds", "3")
    assert (found["trainings"], found["test"]) == (6, None)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        count = "SELECT count(*) FROM hypersearch_reading"
        assert connection.execute(count).fetchone() == (0,)
        count = "SELECT count(*) FROM hypersearch_prediction WHERE split = 'test'"
        assert connection.execute(count).fetchone() == (0,)


def test_one_that_is_killed_goes_on_and_answers_as_if_it_had_not_been(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "u", tmp_path / "k"
    for folder in (undisturbed, killed):
        folder.mkdir()
    expected = User(undisturbed).answer()
    user = User(killed)
    for seconds in (0.5, 1.0, 1.5):
        environment = {
            "HYPERSEARCH_STORAGE": user.url,
            "HYPERSEARCH_SYNTHETIC_SECONDS": "0.02",
            "XDG_CACHE_HOME": str(killed / "c"),
        }
        process = Started(killed, "confirm", "s", "--workers", "2", **environment)
        time.sleep(seconds + 2)
        process.kill()
        process.communicate()
    assert user.answer() == expected
    with closing(sqlite3.connect(killed / "a.db")) as connection:
        (finished,) = connection.execute(
            "SELECT count(DISTINCT s.slot) FROM hypersearch_slot_trial s JOIN trials t"
            " ON t.trial_id = s.trial_id WHERE t.state = 'COMPLETE'"
        ).fetchone()
        (complete,) = connection.execute(
            "SELECT count(*) FROM hypersearch_slot_trial s JOIN trials t"
            " ON t.trial_id = s.trial_id WHERE t.state = 'COMPLETE'"
        ).fetchone()
        readings = connection.execute("SELECT number FROM hypersearch_reading").fetchall()
    assert (finished, complete, readings) == (25, 25, [(1,)])


@pytest.mark.parametrize(
    "backend", ["sqlite", *(pytest.param(each, marks=pytest.mark.long) for each in SERVERS)]
)
def test_workers_elsewhere_train_one_that_is_enqueued_and_it_goes_with_its_parent(
    backend: str, tmp_path: Path, new_database: Callable[[str], str]
) -> None:
    user = User(tmp_path, new_database(backend))
    code, _, said = user.ends("confirm", "s", "--enqueue", "--seeds", "2")
    assert code == 0, said
    assert "it waits for workers: hypersearch worker --study s\n" in said
    user.run("worker", "--study", "s", "--workers", "2", "-q")
    found = user.answer("--seeds", "2")
    assert (found["state"], found["trainings"]) == ("ended", 10)
    assert found["test"]["reading"] == 1
    listed = json.loads(user.run("list", "--json"))
    assert [each["study"] for each in listed] == ["s", "s:confirm:1"]
    # Asked for more seeds, it trains the missing ones: on every database.
    more = user.answer("--seeds", "3")
    assert (more["goes_on_from"], more["trainings"]) == ("s:confirm:1", 15)
    for before, after in zip(found["configurations"], more["configurations"], strict=True):
        assert after["values"][:2] == before["values"]
    user.run("delete", "s", "--yes")
    assert json.loads(user.run("list", "--json")) == []


def test_what_of_the_search_bears_on_the_answer_is_said(tmp_path: Path) -> None:
    spec = SPEC.replace('"random"\n', '"random"\nminimize = ["parameters"]\n')
    user = User(tmp_path, spec=spec.replace("trials = 12", "trials = 6"))
    user.run("extend", "s", "--trials", "7")
    found = user.answer("--no-test", "--seeds", "2", "--top", "1")
    assert found["notes"] == [
        "The search has also minimized parameters; the candidates are those of the best accuracy"
        " alone.",
        "The search has not ended: 6 of 7 trials.",
    ]


def test_an_arm_that_diverges_is_counted_apart_and_never_chosen(tmp_path: Path) -> None:
    user = User(tmp_path)
    # The best trial's record, with a learning rate at which every made-up curve diverges.
    best = found_best(user)[0]
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute(
            "UPDATE trial_params SET param_value = 5000, distribution_json ="
            " json_set(distribution_json, '$.attributes.high', 9000.0) WHERE param_name LIKE"
            " '%.learning_rate' AND trial_id = (SELECT trial_id FROM trials WHERE number = ?)",
            (best,),
        )
    found = user.answer("--seeds", "2", "--no-test")
    (diverged,) = [each for each in found["configurations"] if each["trial"] == best]
    assert (diverged["diverged"], diverged["mean"], diverged["may_be_best"]) == (2, None, False)
    assert found["choice"] != best
    printed = user.run("confirm", "s", "--seeds", "2", "--no-test")
    assert f"Trial {best} diverged in 2 of 2 runs (15.8 to 100 % of runs)" in printed


def test_one_that_is_stopped_says_what_is_known_and_counts_nothing_unfinished(
    tmp_path: Path,
) -> None:
    user = User(tmp_path)
    code, _, said = user.ends("confirm", "s", "--enqueue", "--seeds", "4", "--no-test")
    assert code == 0, said
    environment = {
        "HYPERSEARCH_STORAGE": user.url,
        "HYPERSEARCH_SYNTHETIC_SECONDS": "0.3",
        "XDG_CACHE_HOME": str(tmp_path / "c"),
    }
    process = Started(tmp_path, "worker", "--study", "s", "-q", **environment)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = json.loads(user.run("status", "s:confirm:1", "--json"))
        if status["finished"] and status["running"] and status["running"][0]["epoch"]:
            break
        time.sleep(0.1)
    user.run("stop", "s:confirm:1")
    process.communicate()
    found = user.answer("--seeds", "4", "--no-test")
    assert (found["state"], found["end_reason"], found["choice"]) == ("ended", "stopped", None)
    trained = sum(len(each["values"]) for each in found["configurations"])
    assert trained == found["trainings"] < 16
    assert sum(each["diverged"] for each in found["configurations"]) == 0
    printed = user.run("confirm", "s", "--seeds", "4", "--no-test")
    assert printed.startswith(f"s:confirm:1: {trained} of 16 trainings; what is known so far\n")


def test_a_card_says_what_was_confirmed_and_next_is_what_can_be_done(tmp_path: Path) -> None:
    # With a number of threads the machine is not measured.
    threads = ("--threads", "1")
    spec = SPEC.replace('"synthetic"', '"digits"').replace("trials = 12", "trials = 2")
    spec = spec.replace("epochs = 3", "epochs = 1").replace('"random"', '"random"\npruner = "none"')
    user = User(tmp_path, spec=spec + "[model]\nchannels = [4]\nhidden_units = 8\n", how=threads)
    safetensors = ("--format", "safetensors")
    user.run("export", "s", "-o", "before", *safetensors)
    assert "**Not confirmed.**" in (tmp_path / "before" / "README.md").read_text()
    found = user.answer("--seeds", "3", "--top", "2", *threads)
    user.run("export", "s", "-o", "after", *safetensors)
    card = (tmp_path / "after" / "README.md").read_text()
    number = json.loads((tmp_path / "after" / "config.json").read_text())["trial"]
    (arm,) = [each for each in found["configurations"] if each["trial"] == number]
    assert "**Confirmed.** This is the best of 2 complete trials of study `s`" in card
    assert f"came to {arm['mean']:.4f} on average" in card
    printed = user.run("confirm", "s", "--seeds", "3", "--top", "2")
    next_line = printed.splitlines()[-1]
    assert next_line.endswith(f"hypersearch ablate s --trial {found['choice']}")
    offered = f"hypersearch export s --trial {found['choice']}" in next_line
    code, _, _ = user.ends(
        "export", "s", "-o", "third", "--trial", str(found["choice"]), *safetensors
    )
    assert offered == (code == 0)
