"""`copy` as a user runs it, and how it refuses: one line, an exit code, no password."""

from pathlib import Path

import pytest

from tests.forked import hypersearch

SPEC = """
[study]
name = "s"
trials = 3
sampler = "random"
[data]
dataset = "synthetic"
[training]
epochs = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a study."""
    folder = tmp_path_factory.mktemp("copy")
    (folder / "s.toml").write_text(SPEC)
    assert hypersearch(folder, "run", "s.toml", "-q").returncode == 0
    return folder


def test_a_study_is_copied_and_says_the_same_there(folder: Path) -> None:
    there = ("--storage", "sqlite:///there.db")
    for said in (
        "copied to sqlite:///there.db: s; 0 artifacts\n",
        "study 's' is in sqlite:///there.db already, as it is here\n",
    ):
        ended = hypersearch(folder, "copy", "s", "--to", "sqlite:///there.db")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", said)
    compare = ("compare", "s", "--json", "--timings")
    one, other = hypersearch(folder, *compare), hypersearch(folder, *compare, *there)
    assert one.returncode == other.returncode == 0
    assert one.stdout == other.stdout != ""
    assert hypersearch(folder, "extend", "s", "--trials", "4", *there).returncode == 0
    ended = hypersearch(folder, "copy", "s", "--to", "sqlite:///there.db")
    assert (ended.returncode, ended.stderr) == (
        2,
        "hypersearch: study 's' is in storage sqlite:///there.db already, and is not what it is"
        " here: nothing was copied; delete that one ('hypersearch delete s --storage"
        " sqlite:///there.db'), or keep it\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nobody", "--to", "sqlite:///x.db"), 2, "study 'nobody' is not in this storage"),
        (("s", "--to", "oracle://h/x"), 2, "storage 'oracle' is not supported"),
        (("s",), 2, "Missing option '--to'"),
        (("s", "--to", "sqlite:///none/x.db"), 3, "of the database does not exist"),
        (("s", "--to", "postgresql://u:s3cret@127.0.0.1:1/x"), 3, "cannot be reached"),
        (("s", "--to", "sqlite:///x.db", "--to-artifact-root", ""), 2, "--to-artifact-root"),
    ],
)
def test_what_cannot_be_copied_is_one_line(
    folder: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = hypersearch(folder, "copy", *arguments)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "s3cret" not in ended.stderr
    assert not (folder / "x.db").exists()
