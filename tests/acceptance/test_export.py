"""From a study to a folder to answers, by commands, as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w

from tests import forked
from tests.once import made_once
from tests.search.export.conftest import CLASSES, make_images, spec_of

FOLDER = "my model"


def hypersearch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.hypersearch(folder, *arguments, XDG_CACHE_HOME=str(folder / "cache"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with images, a study of them, and its export."""

    def work(place: Path) -> None:
        make_images(place / "images")
        (place / "odd.toml").write_text(tomli_w.dumps(spec_of("odd", Path("images"))))
        for arguments in (["run", "odd.toml", "--threads", "1"], ["export", "odd", "-o", FOLDER]):
            ended = hypersearch(place, *arguments)
            assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith(f"{FOLDER}: trial 0 of study 'odd', validation accuracy 0.")
        assert ended.stdout.endswith(", not confirmed\n")
        assert ended.stderr == f"use it: hypersearch predict '{FOLDER}' IMAGES...\n"

    return made_once(tmp_path_factory, "place of an export", work)


def test_a_folder_and_its_study_answer_alike(place: Path) -> None:
    by_folder = hypersearch(place, "predict", FOLDER, "images/c|d")
    by_study = hypersearch(place, "predict", "odd", "images/c|d")
    assert (by_folder.returncode, by_folder.stderr) == (0, "")
    assert by_study.stdout == by_folder.stdout
    lines = [line.split("\t") for line in by_folder.stdout.splitlines()]
    assert len(lines) == 16
    assert {path.rpartition("/")[0] for path, _, _ in lines} == {"images/c|d"}
    assert {name for _, name, _ in lines} <= set(CLASSES)


def test_a_folder_of_images_does_not_hide_the_study_of_its_name(
    place: Path, tmp_path: Path
) -> None:
    by_study = hypersearch(place, "predict", "odd", "images/c|d")
    (tmp_path / "odd").symlink_to(place / "images")
    (tmp_path / "images").symlink_to(place / "images")
    storage = ("--storage", f"sqlite:///{place}/hypersearch.db")
    found = hypersearch(tmp_path, "predict", "odd", "images/c|d", *storage)
    assert (found.returncode, found.stdout) == (0, by_study.stdout)


def test_labelled_images_are_judged(place: Path) -> None:
    arguments = ["predict", FOLDER, "images", "--labelled", "--runtime", "onnx"]
    whole = json.loads(hypersearch(place, *arguments, "--json", "--unsure", "0.5").stdout)
    right = sum(each["classes"][0]["class"] == each["given"] for each in whole["predictions"])
    assert whole["labelled"]["accuracy"] == right / 48
    assert [sum(row) for row in whole["labelled"]["confusion"]] == [16, 16, 16]
    suspects = hypersearch(place, *arguments, "--suspects", "2")
    assert suspects.stdout.count("\n") == 3
    assert suspects.stderr.startswith("accuracy ")
    assert hypersearch(place, *arguments, "--csv").stdout.count("\n") == 49
    of_study = hypersearch(place, "predict", "odd", "--labelled", "--suspects", "2")
    assert of_study.stdout.count("\nimages/") == 2
    assert of_study.stderr.startswith("2 of 16 validation images, whose label the good trial (0)")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "odd", "-o", FOLDER], f"{FOLDER} is there already: name another folder, or"),
        (["export", "old", "-o", "x"], "study 'old' is not in this storage: did you mean 'odd'?"),
        (["export", "odd", "-o", "x", "--trial", "3"], "study 'odd' has no complete trial 3: "),
        (["export", "odd", "-o", "x", "--trial", "-1"], "--trial -1: give a whole number from"),
        (["export", "odd", "-o", "x", "--threads", "1"], "--threads goes with --refit: add it, or"),
        (["export", "odd", "-o", "x", "--format", "pt"], "--format pt: give onnx or safetensors"),
        (["export", "odd", "-o", "images", "--force"], "images holds a b, which no export wrote: "),
        (["predict", "images", "images"], "images: config.json is missing, so that this is no"),
        (["predict", "old", "images"], "old: no such folder, and no study of that name: study"),
        (["predict", FOLDER, "nowhere"], "nowhere: no such file or folder: name images or"),
        (["predict", FOLDER, "cache"], "cache: no image there: name images or folders"),
        (["predict", FOLDER, "images", "--unsure", "2"], "--unsure 2: give a probability, from 0"),
        (["predict", FOLDER, "images", "--top", "0"], "--top 0: give a whole number from 1 to"),
        (["predict", FOLDER, "images", "--batch", "x"], "--batch x: give a whole number from 1"),
        (["predict", FOLDER, "images", "--runtime", "jax"], "--runtime jax: give torch or onnx"),
        (["predict", "odd", "images", "--runtime", "onnx"], "study 'odd' has no ONNX file: leave"),
        (["predict", FOLDER, "images", "--suspects", "2"], "--suspects goes with --labelled: add"),
        (["predict", FOLDER], "IMAGES are missing: name files, or folders of them"),
        (
            ["predict", FOLDER, "--labelled", "--suspects", "2"],
            f"IMAGES are missing: name what {FOLDER}",
        ),
        (["predict", FOLDER, "images", "--csv", "--json"], "--csv and --json do not go together"),
        (["predict", FOLDER, "images", "--device", "tpu"], 'device "tpu" is unknown: choose auto'),
        (
            ["predict", FOLDER, "images", "--device", "cuda", "--runtime", "onnx"],
            "--device cuda: --runtime onnx computes on the CPU",
        ),
        (
            ["predict", FOLDER, "images/c|d", "--labelled"],
            "images/c|d: no image there: name the folder above those of the classes, as --labelled",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, place: Path
) -> None:
    ended = hypersearch(place, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"hypersearch: {said}")
    assert ended.stderr.count("\n") == 1
    assert not (place / "x").exists()


def test_no_file_read_is_a_failure_and_some_unread_are_not(place: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    ended = hypersearch(place, "predict", FOLDER, str(tmp_path))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        f"{tmp_path}/a.png: not read: it holds no image that Pillow reads",
        "1 of 1 files could not be read",
        ("hypersearch: none of the 1 files could be read: see above for each, and name others"),
    ]
    some = hypersearch(place, "predict", FOLDER, str(tmp_path), "images/a b/2.png")
    assert (some.returncode, some.stdout.count("\n")) == (0, 1)


def test_onnx_answers_without_pytorch_being_loaded(place: Path) -> None:
    code = (
        "import sys\nfrom search.cli import main as cli\n"
        f"sys.argv = ['hypersearch', 'predict', {FOLDER!r}, 'images', '--runtime', 'onnx']\n"
        "try:\n    cli.main()\nfinally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 48)
    assert not {"torch", "optuna", "onnxscript"} & set(ended.stderr.split())
