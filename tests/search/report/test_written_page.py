"""The report page of studies in a storage: with the images and the model where they are to be had,
and without them, said.
"""

import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import hypersearch
from objectives.data.cache import find_decoded, open_searchable
from objectives.data.config import DataConfig
from search.spec.reading import parse_spec
from storage.errors import StudyNotFound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a storage, its artifacts and a cache of decoded images, of a study of digits
    and one that is made up.
    """
    folder = tmp_path_factory.mktemp("reported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for name, dataset in (("digits", "digits"), ("made-up", "synthetic")):
            spec = parse_spec(
                {
                    "study": {"name": name, "trials": 1, "sampler": "random", "pruner": "none"},
                    "data": {"dataset": dataset},
                    "training": {"epochs": 1},
                    "model": {"channels": [4], "hidden_units": 8},
                }
            )
            hypersearch.run(spec, storage=f"sqlite:///{folder}/a.db", threads=1)
    return folder


def reported(folder: Path, *names: str) -> str:
    storage, output = f"sqlite:///{folder}/a.db", folder / "page.html"
    assert hypersearch.report(*names, storage=storage, output=output) == output
    assert [path.name for path in folder.glob(".aside-*")] == []
    return output.read_text(encoding="utf-8")


def test_images_and_mistakes_are_shown_where_they_are_to_be_had(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    page = reported(folder, "digits", "made-up", "digits")
    assert page.count("<article") == 2
    assert page.count("6 training images of class") == 10
    assert "Recall by class on validation images" in page
    assert "Calibration: how often it is right where it is so sure" in page
    assert "fewer than 3 trials recorded it" in page
    assert "Images by class and split" in page
    assert "bytes (safetensors)" in page
    assert "its curves are made up: there are no images" in page
    versions = [f"python {platform.python_version()}"]
    versions += [f"{name} {metadata.version(name)}" for name in ("hypersearch", "numpy", "torch")]
    assert page.count(", ".join(versions)) == 2


def test_without_images_and_artifacts_the_page_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    shutil.copy(folder / "a.db", tmp_path / "a.db")
    page = reported(tmp_path, "digits")
    assert "this machine has not decoded the images that the study was trained on" in page
    assert "are not to be shown: " in page
    assert "Recall by class on validation images" in page
    assert "data:image/png" not in page
    assert not (tmp_path / "nothing").exists()


def test_a_study_that_is_not_there_leaves_no_page(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyNotFound):
        hypersearch.report(
            "nobody", storage=f"sqlite:///{folder}/a.db", output=tmp_path / "page.html"
        )
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_the_page_and_loads_no_torch(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from search.cli.main import main\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules"
    )
    arguments = ["report", "made-up", "--storage", f"sqlite:///{folder}/a.db"]
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    assert ended.stderr == "wrote hypersearch-report.html: 0.1 MB\n"
    written = (tmp_path / "hypersearch-report.html").read_text(encoding="utf-8")
    assert "hypersearch confirm made-up" in written


def test_what_is_decoded_is_found_by_its_fingerprint_and_nothing_is_made(
    folder: Path, tmp_path: Path
) -> None:
    root = folder / "cache" / "hypersearch" / "decoded"
    config = DataConfig("digits")
    opened = open_searchable(config, tmp_path, root, lambda done, total: None)
    found = find_decoded(config, opened.facts.fingerprint, root)
    assert found is not None
    assert found.class_names == opened.class_names
    assert found.facts == opened.facts
    assert found.train.tolist() == opened.train.tolist()
    assert found.validation.tolist() == opened.validation.tolist()
    assert find_decoded(config, "0" * 64, root) is None
    other_size = DataConfig("digits", image_size=4)
    assert find_decoded(other_size, opened.facts.fingerprint, root) is None
    assert find_decoded(config, opened.facts.fingerprint, tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()
