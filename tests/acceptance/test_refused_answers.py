"""What cannot be confirmed, ablated or reproduced is refused: exit code 2, one line, nothing
made.
"""

import shutil
from contextlib import chdir

import optuna
import pytest

from storage.engine import open_database
from storage.records import read_study_names
from tests.acceptance.test_confirm import SPEC, User
from tests.acceptance.test_malformed import call
from tests.acceptance.test_own_images import make

WHOLE_SEEDS = "give a whole number from 2 to 1000"
REFUSED = {
    # Studies that are not there, or cannot be followed up.
    "confirm": "Missing argument 'NAME'",
    "confirm t": "study 't' is not in this storage",
    "confirm s:confirm:1": "study 's:confirm:1' follows 's' up: name 's' instead",
    "confirm s:confirm:9": "study 's:confirm:9' is not in this storage",
    "confirm s:confirm:": "study 's:confirm:' is not in this storage",
    "confirm :": "study ':' is not in this storage",
    "confirm a:b": "study 'a:b' was made by plain Optuna",
    "confirm s:refit:1": "study 's:refit:1' was made by plain Optuna",
    "confirm plain": "study 'plain' was made by plain Optuna",
    "confirm empty": "study 'empty' has no complete trial, which this needs",
    "confirm changed": "images",
    "confirm s extra": "unexpected extra argument",
    "confirm s --storage nonsense": "nonsense",
    # Options of confirm.
    "confirm s --seeds 1": f"--seeds 1: {WHOLE_SEEDS}",
    "confirm s --seeds 0": f"--seeds 0: {WHOLE_SEEDS}",
    "confirm s --seeds x": f"--seeds x: {WHOLE_SEEDS}",
    "confirm s --seeds -3": f"--seeds -3: {WHOLE_SEEDS}",
    "confirm s --seeds 3,5,10": f"--seeds 3,5,10: {WHOLE_SEEDS}",
    "confirm s --seeds 1_0": f"--seeds 1_0: {WHOLE_SEEDS}",
    "confirm s --seeds 1e1": f"--seeds 1e1: {WHOLE_SEEDS}",
    "confirm s --seeds 90": "trainings: add --yes",
    "confirm s --top 0": "--top 0: give a whole number from 1 to 1000",
    "confirm s --top 13": "complete trials: ask for no more than these",
    "confirm s --top 1.5": "--top 1.5: give a whole number from 1 to 1000",
    "confirm s --top all": "--top all: give a whole number from 1 to 1000",
    "confirm s --trial 99": "--trial 99: study 's' has no complete trial",
    "confirm s --trial -1": "--trial -1: give a whole number",
    "confirm s --trial best": "--trial best: give a whole number",
    "confirm s --trial": "requires an argument",
    "confirm s --baseline best": "pretrained, none or a trial's number) best: give a whole number",
    "confirm s --baseline 99": "--baseline 99: study 's' has no trained trial",
    "confirm s --baseline Neutral": "pretrained, none or a trial's number) Neutral: give a whole",
    "confirm changed --baseline first": "the spec of study 'changed' has no [[trial]]",
    "confirm s --resplit": "--resplit: study 's' has no data.folds, and each seed needs",
    "confirm two --resplit": "--resplit: study 'two' has data.folds = 2, and each seed needs",
    "confirm s --timeout soon": "--timeout soon: write a duration",
    "confirm s --timeout 0s": "--timeout 0s: write a duration",
    "confirm s --workers 0": "--workers 0: give a whole number of 1 or more",
    "confirm s --threads many": "--threads many",
    "confirm s --device tpu": "tpu",
    "confirm s --data-map images": "--data-map images",
    "confirm s --new=yes": "does not take a value",
    "confirm s --nwe": "No such option: --nwe",
    # Options of ablate.
    "ablate": "Missing argument 'NAME'",
    "ablate t": "study 't' is not in this storage",
    "ablate s:confirm:1": "study 's:confirm:1' follows 's' up: name 's' instead",
    "ablate empty": "study 'empty' has no complete trial, which this needs",
    "ablate changed": "images",
    "ablate s --trial 99": "no complete trial of that number",
    "ablate s --technique drop": "did you mean dropout?",
    "ablate s --technique optimizer": "no configuration can be without it",
    "ablate s --technique=": "there is no such technique",
    "ablate s --seeds 5,3": "in rising order",
    "ablate s --seeds 3,3": "in rising order",
    "ablate s --seeds 1": WHOLE_SEEDS,
    "ablate s --seeds ,": WHOLE_SEEDS,
    "ablate s --seeds 900": "add --yes",
    "ablate s --retune 1": "give a whole number from 2 to 25",
    "ablate s --retune x": "give a whole number from 2 to 25",
    # Options of reproduce.
    "reproduce": "Missing argument 'NAME'",
    "reproduce s": "Missing argument 'NUMBER'",
    "reproduce t 0": "study 't' is not in this storage",
    "reproduce s:confirm:1 0": "study 's:confirm:1' follows 's' up: name 's' instead",
    "reproduce s 99": "no finished trial 99",
    "reproduce s one": "NUMBER one: give a whole number",
    "reproduce s -1": "No such option",
    "reproduce s 0 --seeds -1": "give a whole number from 0 to 1000",
    "reproduce empty 0": "no finished trial 0",
    "reproduce changed 0": "images",
    # Follow-ups are no studies of a user's.
    "extend s:confirm:1 --trials 99": "takes what its plan says",
    "run --study s:confirm:7": "study.name",
    "create colon.toml": "study.name",
    "export s:confirm:1 -o folder": "s:confirm:1",
}


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    """With a study that is confirmed, one without a trial, one whose images lack a class by now,
    and three that plain Optuna has made.
    """
    found = User(tmp_path_factory.mktemp("user"))
    found.answer("--seeds", "2")
    (found.folder / "colon.toml").write_text(SPEC.replace('"s"', '"s:confirm:7"'))
    (found.folder / "empty.toml").write_text(SPEC.replace('"s"', '"empty"'))
    found.run("create", "empty.toml")
    (found.folder / "two.toml").write_text(
        SPEC.replace('"s"', '"two"').replace("[training]", "folds = 2\n[training]")
    )
    found.run("create", "two.toml")
    make(found.folder / "images", {"a": 9, "b": 9, "c": 9})
    folder = ("--study", "changed", "--dataset", "images:images")
    small = ("--trials", "1", "--epochs", "1", "--pruner", "none")
    small += ("--set", "model.channels=[4]", "--set", "model.hidden_units=8")
    found.run("run", *folder, *small, "--threads", "1")
    shutil.rmtree(found.folder / "images" / "c")
    for name in ("plain", "a:b", "s:refit:1"):
        optuna.create_study(storage=found.url, study_name=name)
    return found


def files_of(user: User) -> list[str]:
    """But those that SQLite keeps beside a database that is open."""
    names = (path.name for path in user.folder.iterdir())
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))


def test_what_cannot_be_answered_is_refused_in_a_line_and_nothing_is_made(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERSEARCH_STORAGE", user.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(user.folder / "c"))
    files = files_of(user)
    with open_database(user.url) as database:
        before = read_study_names(database)
    found = {}
    with chdir(user.folder):
        for line in REFUSED:
            said = call(*line.split(" "))
            found[line] = (said.code, said.out, said.errors.count("\n"), said.errors)
    wrong = [
        (line, answer)
        for line, answer in found.items()
        if answer[:3] != (2, "", 1) or REFUSED[line] not in answer[3]
    ]
    assert not wrong, "\n".join(map(str, wrong))
    assert len(REFUSED) >= 60
    with open_database(user.url) as database:
        assert read_study_names(database) == before
    assert files_of(user) == files
