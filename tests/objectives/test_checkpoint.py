"""A checkpoint file is used when it is what was saved, and never otherwise; each attempt keeps to
its own files.
"""

import errno
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from objectives.checkpoint import CheckpointFolder, SavedCheckpoint

CONTENT = random.Random(0).randbytes(2000)
OTHER = random.Random(1).randbytes(2000)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_saved_is_loaded_by_any_attempt(tmp_path: Path) -> None:
    folder = tmp_path / "study" / "7"
    first, second = CheckpointFolder(folder, attempt=1), CheckpointFolder(folder, attempt=2)
    saved = [first.save(3, CONTENT), second.save(3, OTHER), second.save(12, b"")]
    assert saved == [
        SavedCheckpoint(3, "1-3.ckpt", sha256(CONTENT)),
        SavedCheckpoint(3, "2-3.ckpt", sha256(OTHER)),
        SavedCheckpoint(12, "2-12.ckpt", sha256(b"")),
    ]
    assert files(folder) == {"1-3.ckpt", "2-3.ckpt", "2-12.ckpt"}
    for checkpoints in (first, second):
        assert [checkpoints.load(one.name, one.sha256) for one in saved] == [CONTENT, OTHER, b""]


def test_saving_an_epoch_again_replaces_it(tmp_path: Path) -> None:
    checkpoints = CheckpointFolder(tmp_path, attempt=1)
    first, second = checkpoints.save(3, CONTENT), checkpoints.save(3, OTHER)
    assert files(tmp_path) == {"1-3.ckpt"}
    assert checkpoints.load(first.name, first.sha256) is None
    assert checkpoints.load(second.name, second.sha256) == OTHER


def test_no_damaged_file_is_used(tmp_path: Path) -> None:
    chance = random.Random(2)

    def flipped() -> bytes:
        damaged = bytearray(CONTENT)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        return bytes(damaged)

    def truncated() -> bytes:
        return CONTENT[: chance.randrange(len(CONTENT))]

    checkpoints = CheckpointFolder(tmp_path, attempt=1)
    saved = checkpoints.save(3, CONTENT)
    path = tmp_path / saved.name
    used = 0
    for _ in range(100):
        for damaged in (flipped(), truncated(), b"", OTHER):
            path.write_bytes(damaged)
            used += checkpoints.load(saved.name, saved.sha256) is not None
        path.unlink()
        used += checkpoints.load(saved.name, saved.sha256) is not None
    assert used == 0
    path.write_bytes(CONTENT)
    assert checkpoints.load(saved.name, saved.sha256) == CONTENT


def test_a_folder_in_place_of_a_file_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "1-3.ckpt").mkdir()
    assert CheckpointFolder(tmp_path, attempt=1).load("1-3.ckpt", sha256(b"")) is None


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "../1-3.ckpt",
        "{tmp_path}/secret",
        "{tmp_path}/1-3.ckpt",
        "./1-3.ckpt",
        "1-3.ckpt/../1-3.ckpt",
        "notes",
        "1-3.ckpt.aside",
        "1-3.ckpt\n",
        "1-3.ckpt\0",
        "-1-3.ckpt",
        "1-3.CKPT",
        "١-٣.ckpt",
        "",
        ".",
        "9" * 10 + "-3.ckpt",
        "9" * 5000 + "-3.ckpt",
    ],
)
def test_no_file_is_opened_for_a_name_that_is_no_checkpoints(tmp_path: Path, name: str) -> None:
    """Files of these names exist as far as they can, with the content that is asked for."""
    folder = tmp_path / "7"
    folder.mkdir()
    for path in (
        "secret",
        "1-3.ckpt",
        "7/1-3.ckpt",
        "7/notes",
        "7/1-3.ckpt.aside",
        "7/-1-3.ckpt",
        "7/١-٣.ckpt",
    ):
        (tmp_path / path).write_bytes(CONTENT)
    assert (
        CheckpointFolder(folder, attempt=1).load(name.format(tmp_path=tmp_path), sha256(CONTENT))
        is None
    )


# --- which files are removed

STRANGERS = {
    "3-1.ckpt",
    "3-5.ckpt.aside",
    "10-1.ckpt",
    "notes",
    "1-1.ckpt.old",
    "x1-1.ckpt",
    "a-b.ckpt",
}
OURS = {f"{attempt}-{epoch}.ckpt" for attempt in (1, 2) for epoch in (1, 3, 4, 5, 6, 10)}
ASIDE = {"1-5.ckpt.aside", "2-4.ckpt.aside", "2-5.ckpt.aside"}


def fill(folder: Path, names: set[str]) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(CONTENT)


def test_the_named_ones_are_kept_and_no_file_of_a_later_attempt_or_a_stranger_is_touched(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "7"
    fill(folder, STRANGERS | OURS | ASIDE)
    CheckpointFolder(folder, attempt=2).keep(["1-4.ckpt", "2-10.ckpt", "2-11.ckpt"])
    assert files(folder) == STRANGERS | {"1-4.ckpt", "2-10.ckpt"}


def test_a_finished_trial_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    fill(folder, OURS | ASIDE)
    CheckpointFolder(folder, attempt=2).remove()
    assert files(tmp_path) == set()


def test_removing_spares_a_later_attempt_and_strangers(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    fill(folder, STRANGERS | OURS | ASIDE)
    CheckpointFolder(folder, attempt=2).remove()
    assert files(folder) == STRANGERS


def test_what_no_database_names_is_discarded(tmp_path: Path) -> None:
    checkpoints = CheckpointFolder(tmp_path / "7", attempt=1)
    kept, refused = checkpoints.save(1, CONTENT), checkpoints.save(2, OTHER)
    checkpoints.discard(refused)
    assert files(tmp_path / "7") == {kept.name}
    checkpoints.discard(kept)
    assert files(tmp_path) == set()


def test_a_folder_that_is_not_there_is_no_error_and_is_not_made(tmp_path: Path) -> None:
    checkpoints = CheckpointFolder(tmp_path / "7", attempt=1)
    checkpoints.keep(["1-3.ckpt"])
    checkpoints.remove()
    assert checkpoints.load("1-3.ckpt", sha256(CONTENT)) is None
    assert files(tmp_path) == set()


def test_a_folder_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    checkpoints = CheckpointFolder(tmp_path / "7", attempt=1)
    checkpoints.save(1, CONTENT)
    checkpoints.remove()
    saved = checkpoints.save(2, OTHER)
    assert checkpoints.load(saved.name, saved.sha256) == OTHER


# --- what can go wrong while saving


@pytest.mark.parametrize("times", [1, 4, 99])
def test_a_folder_that_others_take_away_while_it_is_empty_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """As a worker that starts, and sweeps, does between the making of the folder and its first
    file.
    """
    made = []
    make = Path.mkdir

    def make_and_lose(folder: Path, *given: object, **named: object) -> None:
        make(folder, *given, **named)  # type: ignore[arg-type]
        made.append(folder)
        if len(made) <= times:
            folder.rmdir()

    (tmp_path / "study").mkdir()
    monkeypatch.setattr(Path, "mkdir", make_and_lose)
    folder = CheckpointFolder(tmp_path / "study" / "7", attempt=1)
    if times == 99:
        with pytest.raises(FileNotFoundError):
            folder.save(1, b"state")
    else:
        saved = folder.save(1, b"state")
        assert folder.load(saved.name, saved.sha256) == b"state"


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
)
def test_a_save_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, error: BaseException
) -> None:
    checkpoints = CheckpointFolder(tmp_path, attempt=1)
    before = checkpoints.save(3, CONTENT)

    def fails(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, fails)
        for epoch in (3, 4):
            with pytest.raises(type(error)) as raised:
                checkpoints.save(epoch, OTHER)
            assert raised.value is error
    assert files(tmp_path) == {before.name}
    assert checkpoints.load(before.name, before.sha256) == CONTENT


def test_a_process_that_dies_while_it_saves_leaves_no_checkpoint_and_its_file_is_swept(
    tmp_path: Path,
) -> None:
    code = """
import os, sys
from pathlib import Path
from objectives.checkpoint import CheckpointFolder
os.fsync = lambda descriptor: os._exit(9)
CheckpointFolder(Path(sys.argv[1]), attempt=1).save(3, b"content")
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    assert files(tmp_path) == {"1-3.ckpt.aside"}
    heir = CheckpointFolder(tmp_path, attempt=2)
    assert heir.load("1-3.ckpt", sha256(b"content")) is None
    heir.keep([])
    assert files(tmp_path) == set()


def test_the_content_is_on_the_disk_before_its_name_and_the_name_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, str, bytes]] = []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(("sync", path.name, path.read_bytes() if path.is_file() else b""))
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        steps.append(("rename", target.name, b""))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    CheckpointFolder(tmp_path / "7", attempt=1).save(3, CONTENT)
    assert steps == [
        ("sync", "1-3.ckpt.aside", CONTENT),
        ("rename", "1-3.ckpt", b""),
        ("sync", "7", b""),
    ]


def test_where_folders_cannot_be_opened_checkpoints_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "open", refused)
    checkpoints = CheckpointFolder(tmp_path, attempt=1)
    saved = checkpoints.save(3, CONTENT)
    assert checkpoints.load(saved.name, saved.sha256) == CONTENT


def test_torch_is_not_imported() -> None:
    code = (
        "import sys, objectives.checkpoint, objectives.protocol; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
