"""A folder of one's own images, as a user runs it: real processes, real files."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hypersearch as library
from search.spec.document import Document
from search.spec.reading import parse_spec
from tests import forked


def hypersearch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.hypersearch(folder, *arguments, XDG_CACHE_HOME=str(folder / "cache"))


def make(folder: Path, counts: dict[str, int], side: int = 4) -> None:
    """So many images of colour noise in each sub-folder."""
    random = np.random.RandomState(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for row in range(count):
            pixels = random.randint(0, 256, (side, side, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{row}.png")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            {"a": 9},
            "images: 1 sub-folders; give each of two or more classes a sub-folder of images",
        ),
        (
            {"a": 2, "b": 2},
            (
                "validation_fraction 0.2: 1 of 4 images for validation are fewer than the 2"
                " classes; raise it or add images"
            ),
        ),
        (
            {"a": 9, "b": 1},
            (
                'dataset "images:images": class "b" has 1 images outside the test split; add some'
                " until it has 2 or more"
            ),
        ),
    ],
)
def test_a_folder_that_cannot_be_searched_on_is_refused_and_nothing_is_created(
    counts: dict[str, int], expected: str, tmp_path: Path
) -> None:
    make(tmp_path / "images", counts)
    result = hypersearch(tmp_path, "run", "--dataset", "images:images", "--workers", "2")
    assert result.returncode == 2
    assert [line for line in result.stderr.splitlines() if not line.startswith("decoded ")] == [
        f"hypersearch: {expected}"
    ]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["images"]


SPEC = """
[study]
name = "own"
trials = 2
pruner = "none"
[data]
dataset = "images:images"
[training]
epochs = 1
[model]
channels = [4, 8]
hidden_units = 16
"""


@pytest.mark.parametrize(("side", "workers"), [(1, 1), pytest.param(5, 2, marks=pytest.mark.long)])
def test_workers_find_the_images_decoded_and_an_ended_study_needs_them_no_more(
    side: int, workers: int, tmp_path: Path
) -> None:
    make(tmp_path / "images", {"a": 60, "b": 60}, side)
    (tmp_path / "images" / "a" / "notes.txt").write_text("a cat")
    (tmp_path / "own.toml").write_text(SPEC)
    first = hypersearch(tmp_path, "run", "own.toml", "--workers", str(workers), "--threads", "1")
    assert first.returncode == 0, first.stderr
    lines = first.stderr.splitlines()
    assert lines[:3] == [
        "decoded 100 of 120 images",
        "decoded 120 images, once for this machine",
        (
            "WARNING objectives.data.folder: images: 1 files or folders are no images or stand in"
            " no class: a/notes.txt"
        ),
    ]
    assert "decoded" not in "".join(lines[3:])
    status = json.loads(hypersearch(tmp_path, "status", "own", "--json").stdout)
    assert (status["finished"], status["failed"]) == (2, 0)
    shutil.rmtree(tmp_path / "images")
    again = hypersearch(tmp_path, "run", "own.toml")
    assert (again.returncode, again.stderr) == (
        0,
        "study 'own' is finished: nothing is trained again\n",
    )


def test_a_folder_of_any_name_is_searched_on_under_a_name_that_a_study_may_have(
    tmp_path: Path,
) -> None:
    make(tmp_path / "my photos", {"a": 10, "b": 10})
    options = [
        "--trials",
        "1",
        "--epochs",
        "1",
        "--set",
        "model.channels=[2]",
        "--threads",
        "1",
        "--quiet",
    ]
    ran = hypersearch(tmp_path, "run", "--dataset", "images:my photos", *options)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("study my-photos-d3522f7d-default: ended ")


def test_random_labels_of_images_that_are_there_five_times_cannot_be_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that knows each image of training by heart knew those of validation, where they
    were copies.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make(tmp_path / "images", {"a": 30, "b": 30}, side=6)
    for path in list((tmp_path / "images").rglob("*.png")):
        for copy in range(4):
            shutil.copy(path, path.with_name(f"copy {copy} of {path.name}"))
    document: Document = {
        "study": {"name": "noise", "trials": 1},
        "data": {"dataset": f"images:{tmp_path}/images"},
        "training": {"epochs": 4},
        "model": {"channels": [32], "hidden_units": 64},
        "space": {
            "optimizer": "adam",
            "adam.learning_rate": 0.005,
            "adam.weight_decay": False,
            "batch_size": 16,
            "scheduler": "constant",
            "l1": False,
            "dropout": False,
            "label_smoothing": False,
            "augmentation": "none",
            "initializer": "default",
        },
    }
    storage = f"sqlite:///{tmp_path}/a.db"
    found = library.run(parse_spec(document), storage=storage, device="cpu", threads=1).incumbent
    assert found is not None
    assert found.value is not None
    assert found.value < 0.8
