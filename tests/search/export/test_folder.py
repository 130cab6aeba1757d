"""An exported folder is there whole or not at all, whenever its writer is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.export.errors import ExportRefused
from search.export.folder import check_place, write_folder

NEW = {"model.onnx": b"new model", "config.json": b"new config", "labels.txt": b""}
OLD = {"config.json": b"old config", "README.md": b"old card"}
# Kills itself before the n-th of its steps on files; ends with 0 where it has fewer.
WRITER = """
import os, signal, sys
from pathlib import Path
from search.export.folder import write_folder

STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "ctypes.dlsym",
         "shutil.rmtree")
left = int(sys.argv[2])

def hook(event, arguments):
    global left
    if event in STEPS:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

files = {NEW!r}
sys.addaudithook(hook)
write_folder(Path(sys.argv[1]), files, lambda made: None, replace=True)
""".replace("{NEW!r}", repr(NEW))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, each in files.items():
        (folder / name).write_bytes(each)


@pytest.mark.parametrize("before", [None, OLD])
def test_killed_at_any_step_it_leaves_the_whole_folder_or_what_was_there(
    before: dict[str, bytes] | None, tmp_path: Path
) -> None:
    found = set()
    for step in range(1, 100):
        parent = tmp_path / str(step)
        parent.mkdir()
        if before is not None:
            write(parent / "model", before)
        ended = subprocess.run(
            [sys.executable, "-c", WRITER, str(parent / "model"), str(step)], check=False
        )
        seen = [path for path in parent.iterdir() if not path.name.startswith(".")]
        now = content(seen[0]) if seen else None
        assert now in (before, NEW), step
        found.add(now == NEW)
        if ended.returncode == 0:
            assert [path.name for path in parent.iterdir()] == ["model"]
            break
        assert ended.returncode == -signal.SIGKILL
    assert found == {False, True}
    assert step > 10


def test_a_check_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def check(made: Path) -> None:
        assert content(made) == NEW
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        write_folder(tmp_path / "a" / "model", NEW, check, replace=False)
    assert list((tmp_path / "a").iterdir()) == []


def test_what_is_there_is_refused_and_replaced_where_an_export_wrote_it(tmp_path: Path) -> None:
    place = tmp_path / "model"
    write(place, OLD)
    with pytest.raises(ExportRefused) as told:
        check_place(place, replace=False)
    assert str(told.value) == f"{place} is there already: name another folder, or add --force"
    (tmp_path / "link").symlink_to("model")
    write_folder(tmp_path / "link", NEW, lambda made: None, replace=True)
    assert content(place) == NEW
    assert (tmp_path / "link").is_symlink()
    (place / "thesis.tex").touch()
    with pytest.raises(ExportRefused) as told:
        write_folder(place, NEW, lambda made: None, replace=True)
    assert str(told.value) == (
        f"{place} holds thesis.tex, which no export wrote: --force replaces exported folders alone,"
        " name another one"
    )
    with pytest.raises(ExportRefused) as told:
        write_folder(place / "thesis.tex" / "model", NEW, lambda made: None, replace=True)
    assert str(told.value) == (
        f"{place}/thesis.tex/model: cannot be written (File exists): name another folder"
    )


def test_what_was_left_aside_long_ago_is_swept_and_what_is_new_is_not(tmp_path: Path) -> None:
    for name, age_seconds in (("old", 7200), ("new", 60)):
        left = tmp_path / f".model.aside-{name}"
        left.mkdir()
        (left / "made").touch()
        when = time.time() - age_seconds
        os.utime(left, (when, when))
    write_folder(tmp_path / "model", NEW, lambda made: None, replace=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.aside-new", "model"]


def test_a_place_that_is_closed_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere: the system says no in its stead."""
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))
    with pytest.raises(ExportRefused) as told:
        check_place(tmp_path / "new" / "model", replace=False)
    assert str(told.value) == (
        f"{tmp_path}/new/model: cannot be written ({tmp_path} is not yours to write in): name"
        " another folder"
    )
