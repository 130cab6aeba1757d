"""A file that is written is written whole, and keeps what a user expects of it."""

import os
import resource
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.cli.main import main
from search.machine.files import write_new, write_whole
from search.spec.request import Request
from search.studies.joining import create_or_join
from tests.conftest import missing

NOBODY = 65534


@contextmanager
def no_room_after(size_bytes: int) -> Iterator[None]:
    """Inside, no file of this process can grow larger, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_cannot_be_written_is_as_it_was_and_nothing_is_left_beside_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"before")
    with no_room_after(100), pytest.raises(OSError, match="File too large"):
        write_whole(file, b"x" * 101)
    assert (file.read_bytes(), names(tmp_path)) == (b"before", ["a.csv"])
    with no_room_after(100), pytest.raises(OSError, match="File too large"):
        write_whole(tmp_path / "new.csv", b"x" * 101)
    with no_room_after(100), pytest.raises(OSError, match="File too large"):
        write_new(tmp_path / "new.csv", b"x" * 101)
    assert names(tmp_path) == ["a.csv"]


def test_an_answer_that_cannot_be_encoded_leaves_its_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a study whose folder was named in Latin-1, which a release before took."""
    database, file = tmp_path / "a.db", tmp_path / "a.toml"
    url = f"sqlite:///{database}"
    create_or_join(
        url, Request({"study": {"name": "s"}, "data": {"dataset": "images:cafe"}}, {}, "test")
    )
    with sqlite3.connect(database) as connection:
        connection.execute(
            r"UPDATE hypersearch_study SET definition = replace(definition, 'cafe', 'caf\udce9')"
        )
    file.write_bytes(b"before")
    monkeypatch.setattr(
        sys, "argv", ["hypersearch", "spec", "show", "s", "--storage", url, "-o", str(file)]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert file.read_bytes() == b"before"
    refused = (
        "hypersearch: study 's': data.dataset = \"images:caf\\udce9\": the folder's name is not in"
        " UTF-8: rename it, or use a UTF-8 locale\n"
    )
    assert (ended.value.code, capsys.readouterr()) == (2, ("", refused))


def test_a_written_file_keeps_its_permissions_and_a_new_one_has_the_usual_ones(
    tmp_path: Path,
) -> None:
    file, new, usual = tmp_path / "a.csv", tmp_path / "new.csv", tmp_path / "usual"
    file.write_bytes(b"before")
    file.chmod(0o640)
    usual.touch()
    write_whole(file, b"after")
    write_whole(new, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"after", 0o640)
    assert (new.read_bytes(), new.stat().st_mode) == (b"new", usual.stat().st_mode)
    assert names(tmp_path) == ["a.csv", "new.csv", "usual"]


def test_a_written_file_keeps_its_owner(tmp_path: Path) -> None:
    missing("the right to make another's file, root's,", os.geteuid() == 0)
    file = tmp_path / "a.csv"
    file.touch()
    os.chown(file, 12345, 54321)
    write_whole(file, b"after")
    assert (file.read_bytes(), file.stat().st_uid, file.stat().st_gid) == (b"after", 12345, 54321)


@pytest.fixture
def ordinary_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, this process has no more rights than an ordinary user, in a working folder of that
    user's.
    """
    monkeypatch.chdir(tmp_path)
    if os.geteuid() != 0:
        yield
        return
    os.chown(tmp_path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.usefixtures("ordinary_user")
def test_a_write_protected_file_is_refused_and_one_in_a_write_protected_folder_is_written() -> None:
    file = Path("a.csv")
    file.write_bytes(b"before")
    file.chmod(0o444)
    with pytest.raises(PermissionError):
        write_whole(file, b"after")
    assert file.read_bytes() == b"before"
    file.chmod(0o644)
    Path().chmod(0o555)
    try:
        write_whole(file, b"after")
        assert (file.read_bytes(), names(Path())) == (b"after", ["a.csv"])
    finally:
        Path().chmod(0o755)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_written_through(there: bool, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    file, link = tmp_path / "folder" / "a.csv", tmp_path / "link"
    if there:
        file.write_bytes(b"before")
    link.symlink_to(Path("folder") / "a.csv")
    write_whole(link, b"after")
    assert (link.readlink(), file.read_bytes()) == (Path("folder/a.csv"), b"after")


def test_a_named_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"after")
    reader.join()
    assert (found, pipe.is_fifo(), names(tmp_path)) == ([b"after"], True, ["pipe"])


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_what_stands_for_an_open_descriptor_is_written_to_where_the_descriptor_stands(
    name: str, tmp_path: Path
) -> None:
    file, link = tmp_path / "log", tmp_path / "link"
    with file.open("w") as log:
        link.symlink_to(f"/dev/fd/{log.fileno()}")
        print("before", file=log, flush=True)
        write_whole(tmp_path / name.format(log.fileno()), b"written\n")
        print("after", file=log, flush=True)
    assert file.read_text() == "before\nwritten\nafter\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", IsADirectoryError),
        ("nowhere/a.csv", FileNotFoundError),
        ("loop", OSError),
        ("x" * 300, OSError),
    ],
)
def test_what_is_no_place_for_a_file_is_refused(
    name: str, expected: type[OSError], tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(expected):
        write_whole(tmp_path / name, b"after")
    assert names(tmp_path) == ["loop"]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_new_file_takes_the_place_of_nothing(make: object, tmp_path: Path) -> None:
    assert callable(make)
    make(tmp_path / "a.toml")
    before = (tmp_path / "a.toml").lstat()
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a.toml", b"new")
    assert ((tmp_path / "a.toml").lstat(), names(tmp_path)) == (before, ["a.toml"])
