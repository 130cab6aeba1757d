"""Whatever the streams can encode, and whether anybody reads them: the text goes out, and the work
is done.
"""

import io
import json
import os
import subprocess
import sys
from contextlib import chdir, suppress
from pathlib import Path
from unittest.mock import patch

import pytest
import tomli_w

import hypersearch
from search.analysis.status import study_status
from search.cli.main import main
from search.report.streams import progress_stream
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.studies.joining import create_or_join
from storage.engine import open_database

# Bytes of a path that is not UTF-8 come to a program so.
ODD = os.fsdecode(b"caf\xe9")


def said(encoding: str, *arguments: str) -> tuple[int, str, str]:
    """How a command ended whose streams have that encoding, strictly: its code, output and
    errors.
    """
    out, errors = (
        io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2)
    )
    with (
        patch.object(sys, "argv", ["hypersearch", *arguments]),
        patch.object(sys, "stdout", out),
        patch.object(sys, "stderr", errors),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert isinstance(ended.value.code, int)
    for stream in (out, errors):
        stream.seek(0)
    return ended.value.code, out.read(), errors.read()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a study of a data set whose name no 8-bit encoding of the West
    holds.
    """
    document = {"study": {"name": "korean", "trials": 3}, "data": {"dataset": "images:고양이/café"}}
    create_or_join(
        f"sqlite:///{tmp_path}/hypersearch.db",
        Request(parse_spec(document).to_document(), {}, "test"),
    )
    return tmp_path


@pytest.mark.parametrize(
    "encoding", ["ascii", "latin-1", "cp1252", "cp437", "cp949", "utf-8", "utf-16"]
)
def test_what_a_stream_cannot_encode_is_escaped(encoding: str, folder: Path) -> None:
    with chdir(folder):
        code, out, _ = said(encoding, "spec", "show", "korean")
        assert (
            code,
            "고양이/café".encode(encoding, "backslashreplace").decode(encoding) in out,
        ) == (0, True)
        code, out, _ = said(encoding, "spec", "show", "korean", "--json")
        assert (code, json.loads(out)["data"]["dataset"]) == (0, "images:고양이/café")
        assert said(encoding, "techniques")[0] == 0
        assert said(encoding, "spec", "show", "korean", "-o", "korean.toml") == (0, "", "")
        assert 'dataset = "images:고양이/café"' in Path("korean.toml").read_text(encoding="utf-8")
        Path(f"{ODD}.toml").write_text(tomli_w.dumps({"study": {"name": "odd"}}))
        code, out, _ = said(encoding, "spec", "check", f"{ODD}.toml")
        assert (code, out.partition(":")[0]) == (0, "caf\\udce9.toml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["status", ODD],
            "study 'caf\\udce9' is not in this storage: 'hypersearch list' shows what there is",
        ),
        (
            ["list", "--storage", f"sqlite:///{ODD}.db"],
            (
                "storage URL 'sqlite:///caf\\udce9.db' holds a control character, or bytes that are"
                " no UTF-8, as such or as %XX: leave them out"
            ),
        ),
        (
            ["list", "--storage", f"postgresql://me:{ODD}@127.0.0.1:1/x"],
            (
                "storage URL 'postgresql://***@127.0.0.1:1/x' holds a control character, or bytes"
                " that are no UTF-8, as such or as %XX: leave them out"
            ),
        ),
        (
            ["run", "--dataset", f"images:{ODD}"],
            (
                'the command line: data.dataset = "images:caf\\udce9": the folder\'s name is not in'
                " UTF-8: rename it, or use a UTF-8 locale"
            ),
        ),
    ],
)
def test_an_argument_that_is_not_utf_8_is_one_line(
    arguments: list[str], message: str, folder: Path
) -> None:
    with chdir(folder):
        assert said("utf-8", *arguments) == (2, "", f"hypersearch: {message}\n")
    assert [path.name for path in folder.iterdir() if ".db" not in path.name] == []


def test_a_process_without_a_locale_says_all_it_has_to_say(folder: Path) -> None:
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for arguments in (["spec", "show", "korean"], ["techniques"]):
        result = subprocess.run(
            [sys.executable, "-m", "hypersearch", *arguments],
            cwd=folder,
            env=os.environ | bare,
            capture_output=True,
            check=False,
        )
        assert (result.returncode, result.stderr, result.stdout.isascii()) == (0, b"", True)


def in_shell(
    folder: Path, redirected: str, *arguments: str, unbuffered: str = ""
) -> tuple[int, str, str]:
    """How a command ended in a pipe or with such a redirection, and what came out of the shell."""
    command = " ".join([sys.executable, "-m", "hypersearch", *arguments, redirected])
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("closed", [">&-", "0<&- >&- 2>&-", "| true"])
def test_who_closes_the_output_of_a_command_that_looks_gets_none_and_no_complaint(
    closed: str, folder: Path
) -> None:
    assert in_shell(folder, closed, "list") == (0, "", "")


def test_without_standard_error_the_exit_code_tells(folder: Path) -> None:
    for closed in ("2>&-", "2>/dev/full"):
        assert in_shell(folder, closed, "status", "nobody") == (2, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["list", "--help"])
def test_output_that_cannot_be_written_is_one_line_and_an_exit_code(
    command: str, unbuffered: str, folder: Path
) -> None:
    assert in_shell(folder, ">/dev/full", command, unbuffered=unbuffered) == (
        3,
        "",
        (
            "hypersearch: standard output cannot be written (No space left on device): make room"
            " there, or write elsewhere\n"
        ),
    )


@pytest.mark.parametrize("closed", ["2>&1 | head -1", "0<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "arguments",
    [["run"], pytest.param(["run", "--workers", "2", "--threads", "1"], marks=pytest.mark.long)],
)
def test_a_search_that_nobody_listens_to_goes_on_to_its_end(
    arguments: list[str], closed: str, tmp_path: Path
) -> None:
    more = ["--dataset", "synthetic", "--trials", "3", "--epochs", "2", "--study", "s"]
    code, out, errors = in_shell(tmp_path, closed, *arguments, *more)
    assert (code, out.count("\n"), errors) == (0, closed.count("|"), "")
    with open_database(f"sqlite:///{tmp_path}/hypersearch.db") as database:
        found = study_status(database, "s").record
    assert (found.stored.state, found.finished) == ("ended", 3)


@pytest.mark.parametrize("harm", ["its reader is gone", "it is closed", "there is none"])
def test_a_script_whose_standard_error_fails_searches_to_the_end(harm: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    if harm == "it is closed":
        stream.close()
    spec = parse_spec({"study": {"name": "s", "trials": 2}, "data": {"dataset": "synthetic"}})
    with patch.object(sys, "stderr", None if harm == "there is none" else stream):
        found = hypersearch.run(spec, storage=f"sqlite:///{tmp_path}/a.db")
    assert found.record.finished == 2
    with suppress(BrokenPipeError):
        stream.close()


def test_progress_that_a_stream_cannot_encode_is_escaped() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    print("café", file=progress_stream(stream))
    stream.seek(0)
    assert stream.read() == "caf\\xe9\n"
