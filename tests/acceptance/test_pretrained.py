"""`confirm --baseline pretrained` as a user runs it, with a file of weights that nobody has
trained.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model

import hypersearch as notebook
from search.analysis.confirmation import Confirmation
from search.spec.follow_up import PlannedTraining
from search.studies.followups.refused import FollowUpRefused
from storage.artifacts import id_of
from storage.engine import open_database
from storage.predictions import read_predictions
from storage.slots import read_slots
from storage.studies import find_study
from tests.acceptance.test_confirm import assert_documented
from tests.forked import Started, hypersearch

SPEC = """
[study]
name = "s"
trials = 2
sampler = "random"
pruner = "none"
[data]
dataset = "images:photos"
[training]
epochs = 2
[model]
channels = [4]
hidden_units = 8
"""
# Nobody listens there: nothing is downloaded.
OFFLINE = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
ASKED = ("--baseline", "pretrained", "--backbone", "mobilenet_v3_small", "--seeds", "2")
# Nothing is measured first.
HOW = ("--threads", "1")
WITH = (*ASKED, "--weights", "small.pth")


class User:
    """Somebody with three classes of pictures, a study of two trials, and two files of weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/a.db"
        random = np.random.RandomState(0)
        for place, name in enumerate(("a", "b", "c")):
            (folder / "photos" / name).mkdir(parents=True)
            for row in range(14):
                pixels = random.randint(0, 90, (8, 8, 3)) + 80 * place
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"photos/{name}/{row}.png")
        torch.manual_seed(0)
        for file, name in (("small.pth", "mobilenet_v3_small"), ("other.pth", "resnet18")):
            torch.save(get_model(name, weights=None).state_dict(), folder / file)
        (folder / "s.toml").write_text(SPEC)
        self.run("run", "s.toml", *HOW)

    def environment(self) -> dict[str, str]:
        own = {"XDG_CACHE_HOME": str(self.folder / "c"), "TORCH_HOME": str(self.folder / "t")}
        return {"HYPERSEARCH_STORAGE": self.url, **own, **OFFLINE}

    def ends(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and error."""
        ended = hypersearch(self.folder, *arguments, **self.environment())
        return ended.returncode, ended.stdout, ended.stderr

    def run(self, *arguments: str) -> str:
        """Standard output of a command that does what it is to do."""
        code, said, errors = self.ends(*arguments)
        assert code == 0, errors
        return said

    def answer(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("confirm", "s", "--json", *arguments))
        return found

    def studies(self) -> list[str]:
        return [each["study"] for each in json.loads(self.run("list", "--json"))]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(tmp_path_factory.mktemp("pretrained"))


def test_what_does_not_go_is_refused_in_one_line_before_anything_is_made(user: User) -> None:
    (user.folder / "text.pth").write_text("no weights")
    (user.folder / "synthetic.toml").write_text(
        SPEC.replace('"s"', '"m"').replace("images:photos", "synthetic")
    )
    user.run("run", "synthetic.toml", *HOW)
    hub = user.folder / "t" / "hub" / "checkpoints"
    for arguments, expected, name in (
        (
            ASKED,
            (3, f"the weights of mobilenet_v3_small are not in {hub}, and cannot be downloaded"),
            "s",
        ),
        ((*ASKED, "--weights", "other.pth"), (2, "--weights other.pth: these are no weights"), "s"),
        ((*ASKED, "--weights", "text.pth"), (2, "--weights text.pth: it holds no weights"), "s"),
        ((*ASKED, "--weights", "no.pth"), (2, "--weights no.pth: it cannot be read"), "s"),
        (("--weights", "small.pth"), (2, "--weights goes with --baseline pretrained alone"), "s"),
        (WITH, (2, "--baseline pretrained: study 'm' is synthetic"), "m"),
    ):
        code, printed, said = user.ends("confirm", name, *arguments, "--enqueue")
        (line,) = said.splitlines()
        assert (code, printed) == (expected[0], "")
        assert line.startswith(f"hypersearch: {expected[1]}")
        assert len(line) < 400
    assert user.studies() == ["s", "m"]
    with pytest.raises(FollowUpRefused, match="goes with --baseline pretrained alone"):
        notebook.confirm("s", weights="small.pth", storage=user.url)
    user.run("delete", "m", "--yes")


def test_the_choice_of_the_search_is_compared_with_a_regression_on_its_features(user: User) -> None:
    found = user.answer(*WITH, *HOW, "--workers", "2", "--timings")
    assert_documented("confirm", found, with_timings=True)
    runs = [each for each in found["runs"] if each["arm"] == "pretrained"]
    assert [(each["purpose"], each["state"]) for each in runs] == [("judge", "complete")] * 2
    *searched, baseline = found["configurations"]
    sha256 = sha256_of(user.folder / "small.pth")
    assert baseline["params"] == {"backbone": "mobilenet_v3_small", "weights": sha256}
    assert (baseline["is_baseline"], baseline["trial"]) == (True, None)
    # It is no candidate, however good it is.
    assert (baseline["may_be_best"], baseline["is_choice"]) == (False, False)
    (choice,) = [each for each in searched if each["is_choice"]]
    assert found["pretrained"]["weights_sha256"] == sha256
    assert found["pretrained"]["difference"] == pytest.approx(choice["mean"] - baseline["mean"])
    test = found["test"]
    assert test["difference"] == pytest.approx(test["mean"] - test["baseline_mean"])
    # What is printed, on the page, and of the studies that it made.
    printed = user.run("confirm", "s", *WITH)
    one_line = " ".join(printed.split())
    assert "The pretrained baseline is a logistic regression on features of mobilenet" in one_line
    assert f"Trial {found['choice']} less the pretrained baseline, on the validation" in one_line
    assert "pretrained (baseline)" in user.run("report", "s", "-o", "-")
    safetensors = ("--format", "safetensors", "--force", "-o", "model")
    user.run("export", "s", *safetensors)
    card = " ".join((user.folder / "model" / "README.md").read_text().split())
    assert (
        "A logistic regression on features of mobilenet_v3_small, a network that others have"
        f" trained, came to {baseline['mean']:.4f}" in card
    )
    # A copy has the weights, too.
    there = ("--to", f"sqlite:///{user.folder}/b.db", "--to-artifact-root", "there")
    user.run("copy", "s", *there)
    assert list((user.folder / "there").rglob(sha256))
    user.run("status", "s:confirm:1", "--json")
    user.run("compare", "s:confirm:1")
    code, _, said = user.ends("export", "s:confirm:1", "--trial", "2", "-o", "model")
    assert (code, len(said.splitlines())) == (2, 1)


@pytest.mark.long
def test_on_a_fold_for_each_seed_the_baseline_has_the_same_folds(user: User) -> None:
    folds = SPEC.replace('"s"', '"f"').replace("[training]", "folds = 3\n[training]")
    (user.folder / "folds.toml").write_text(folds)
    user.run("run", "folds.toml", *HOW)
    ask = ("confirm", "f", *WITH, *HOW, "--resplit", "--no-test", "--json", "--timings")
    found = json.loads(user.run(*ask))
    baseline = found["configurations"][-1]
    (choice,) = [each for each in found["configurations"] if each["is_choice"]]
    assert found["pretrained"]["difference"] == pytest.approx(choice["mean"] - baseline["mean"])
    images: dict[str, list[str]] = {arm: [] for arm in (baseline["arm"], choice["arm"])}
    with open_database(user.url) as database:
        stored = find_study(database, found["study"])
        answered = read_predictions(database, stored.study_id, "validation")
        for slot in read_slots(database, stored.study_id):
            arm = PlannedTraining.from_json(slot.slot.content).arm
            if arm in images and slot.trial is not None:
                images[arm].append(answered[slot.trial].split_sha256)
    # Two seeds have two folds, the same ones for both.
    assert images[baseline["arm"]] == images[choice["arm"]]
    assert len(set(images[choice["arm"]])) == 2
    user.run("delete", "f", "--yes")


@pytest.mark.long
def test_a_worker_that_lacks_the_weights_says_so_and_one_that_has_them_goes_on(user: User) -> None:
    ask = ("confirm", "s", *WITH, "--new", "--no-test")
    for _ in range(2):
        assert user.ends(*ask, "--enqueue")[0] == 0
    *_, other, name = user.studies()
    # The weights are the follow-up's own: another one that had them may go, and so may the file.
    user.run("delete", other, "--yes")
    worker = ("worker", "--study", "s", "-q", *HOW)
    code, _, said = user.ends(*worker, "--artifact-root", "elsewhere")
    assert (code, len(said.splitlines())) == (3, 1)
    assert f"study '{name}': the weights of its pretrained baseline are not to be had here" in said
    assert "--artifact-root" in said
    shutil.move(user.folder / "small.pth", user.folder / "away.pth")
    killed = Started(user.folder, *worker, **user.environment())
    time.sleep(2)
    killed.kill()
    killed.communicate()
    user.run(*worker)
    shutil.move(user.folder / "away.pth", user.folder / "small.pth")
    found = in_a_notebook(user)
    assert (found.study, found.state, found.trainings) == (name, "ended", 6)
    # With the last that names them they go as well.
    (kept,) = (user.folder / "a.files").rglob(sha256_of(user.folder / "small.pth"))
    user.run("delete", "s", "--yes")
    assert not kept.exists()


def sha256_of(file: Path) -> str:
    return id_of(file.read_bytes())


def in_a_notebook(user: User) -> Confirmation:
    return notebook.confirm(
        "s",
        baseline="pretrained",
        backbone="mobilenet_v3_small",
        weights=user.folder / "small.pth",
        seeds=2,
        reads_test=False,
        storage=user.url,
    )
