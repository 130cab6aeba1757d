"""Whatever is wrong with a spec or a command line: exit code 2, a line that says so, nothing made,
no traceback.
"""

import copy
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from search.cli.main import main
from search.spec.document import Document, Toml
from search.spec.reading import parse_spec

FIRST_TRIAL: Document = {"optimizer": "sgd", "sgd.momentum": 0.5, "dropout": False}
VALID: Document = {
    **parse_spec(
        {
            "study": {"trials": 1, "timeout": "2h", "target": 0.9, "priority": 1},
            # A run that slips through ends at once.
            "data": {"dataset": "synthetic"},
            "training": {"epochs": 1, "timeout": "1h"},
        }
    ).to_document(),
    "trial": [FIRST_TRIAL],
}
# What no key of a spec may hold. (-inf is no lower end of a range either, and a date is nothing
# that a spec knows.)
NEVER: tuple[Toml, ...] = (
    float("nan"),
    float("-inf"),
    [[1]],
    [{"low": 1}],
    "no such thing",
    2**64,
    -(2**64),
)
BROKEN = (
    b"\xff\xfe",
    b"[study",
    b"study = ",
    b'study = "open',
    b"x = 1\nx = 2",
    b"x = 0x" + b"f" * 5000,
    b"x = " + b"9" * 5000,
    b"x = " + b"[" * 5000,
    b"x = " + b"[" * 30 + b"]" * 30,
    b"\x00",
    b"x = 1979-05-27T07:32:00Z",
)


@dataclass(frozen=True)
class Said:
    """How the program ended."""

    code: int
    out: str
    errors: str


@contextmanager
def folder() -> Iterator[Path]:
    """A working folder that must be left as it was found."""
    with tempfile.TemporaryDirectory() as made, chdir(made):
        yield Path(made)


def call(*arguments: str) -> Said:
    out, errors = StringIO(), StringIO()
    with (
        patch.object(sys, "argv", ["hypersearch", *arguments]),
        redirect_stdout(out),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Said(
        ended.value.code if isinstance(ended.value.code, int) else -1,
        out.getvalue(),
        errors.getvalue(),
    )


def assert_refused(said: Said, made: Path, *given_files: str) -> None:
    assert (said.code, said.out) == (2, ""), said
    assert said.errors.startswith("hypersearch: "), said
    assert all(line.startswith("hypersearch: ") for line in said.errors.rstrip("\n").split("\n")), (
        said
    )
    assert "Traceback" not in said.errors
    assert sorted(path.name for path in made.iterdir()) == sorted(given_files)


def leaves(table: Document, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))
        elif name != "trial":
            yield (*path, name)


def tables(table: Document, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, value in table.items():
        if isinstance(value, dict):
            yield from tables(value, (*path, name))


def at(document: Document, path: Sequence[str]) -> Document:
    for name in path:
        inner = document[name]
        assert isinstance(inner, dict)
        document = inner
    return document


@st.composite
def malformed_documents(draw: st.DrawFn) -> Document:
    """A valid document with something in it that may not be there."""
    document = copy.deepcopy(VALID)
    if draw(st.booleans()):
        *path, name = draw(st.sampled_from(sorted(leaves(VALID))))
        at(document, path)[name] = draw(st.sampled_from(NEVER))
    else:
        path = draw(st.sampled_from(sorted(tables(VALID))))
        unknown = draw(st.text(min_size=1).filter(lambda name: name not in at(VALID, path)))
        at(document, path)[f"x{unknown}"] = draw(
            st.one_of(st.integers(-9, 9), st.text(max_size=5), st.booleans())
        )
    return document


@settings(max_examples=200, deadline=None, derandomize=True)
@given(malformed_documents(), st.sampled_from([("spec", "check"), ("run",), ("create",)]))
def test_a_malformed_spec_is_refused(document: Document, command: tuple[str, ...]) -> None:
    with folder() as made:
        (made / "a.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
        assert_refused(call(*command, "a.toml"), made, "a.toml")


def test_the_document_that_is_mutated_is_valid() -> None:
    with folder() as made:
        (made / "a.toml").write_text(tomli_w.dumps(VALID))
        assert call("spec", "check", "a.toml").code == 0
        assert call("run", "a.toml", "-q").code == 0


@pytest.mark.parametrize("content", BROKEN)
def test_bytes_that_are_no_toml_are_refused(content: bytes) -> None:
    with folder() as made:
        (made / "a.toml").write_bytes(content + b"\n" + tomli_w.dumps(VALID).encode())
        assert_refused(call("run", "a.toml"), made, "a.toml")


WORDS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30
)
NO_NUMBERS = WORDS.filter(
    lambda text: not text.lstrip("+-").replace("_", "").isdecimal() and not text.startswith("-")
)
OPTIONS_OF_RUN = {
    "--trials": st.one_of(
        NO_NUMBERS, st.integers(max_value=0).map(str), st.integers(min_value=2**31).map(str)
    ),
    "--epochs": st.one_of(NO_NUMBERS, st.integers(max_value=0).map(str)),
    "--seed": st.one_of(NO_NUMBERS, st.integers(max_value=-1).map(str), st.just(str(2**32))),
    "--timeout": st.sampled_from(
        ["soon", "0", "-1", "", "nan", "inf", "1d", "9" * 400 + "h", "1h1h"]
    ),
    "--target": st.sampled_from(["high", "nan", "inf", "-inf", "", "1e999"]),
    "--metric": WORDS.map(lambda text: f"x{text}"),
    "--sampler": WORDS.map(lambda text: f"x{text}"),
    "--pruner": WORDS.map(lambda text: f"x{text}"),
    "--dataset": WORDS.map(lambda text: f"x{text}"),
    "--study": WORDS.map(lambda text: f" {text}"),
    "--set": st.one_of(
        WORDS.map(lambda text: f"x{text}"), WORDS.map(lambda text: f"study.seed= x{text}")
    ),
    "--workers": st.one_of(NO_NUMBERS, st.sampled_from(["0", "-1", "1.5", "²"])),
    "--threads": st.one_of(NO_NUMBERS, st.sampled_from(["0", "-1", "1.5"])),
    "--device": st.one_of(
        WORDS.map(lambda text: f"x{text}"), st.sampled_from(["cuda:", "cuda:x", "CPU"])
    ),
    "--artifact-root": st.sampled_from(
        ["ftp://bucket", "s3://", "s3://a b", "s3://b?endpoint_url=nowhere"]
    ),
    "--storage": st.sampled_from(
        ["nonsense", "oracle://a/b", "sqlite://", "postgresql://host", "sqlite:///a?b=1"]
    ),
}
COMMANDS = (
    "run",
    "create",
    "worker",
    "list",
    "status",
    "compare",
    "report",
    "dashboard",
    "pause",
    "resume",
    "stop",
    "extend",
    "delete",
    "upgrade",
    "doctor",
    "techniques",
)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """One that no reading of the reference allows."""
    kind = draw(
        st.sampled_from(["value", "value", "value", "option", "command", "argument", "missing"])
    )
    if kind == "value":
        option = draw(st.sampled_from(sorted(OPTIONS_OF_RUN)))
        return ["run", "a.toml", f"{option}={draw(OPTIONS_OF_RUN[option])}"]
    if kind == "option":
        name = draw(st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12))
        return [draw(st.sampled_from(COMMANDS)), f"--x{name}"]
    if kind == "command":
        return [f"x{draw(WORDS)}"]
    if kind == "argument":
        return [
            draw(st.sampled_from(["list", "worker", "upgrade", "doctor", "dashboard"])),
            f"x{draw(WORDS)}",
        ]
    missing = [
        "status",
        "compare",
        "report",
        "pause",
        "resume",
        "stop",
        "delete",
        "create",
        "extend",
        "extend a",
        "spec check",
    ]
    return draw(
        st.sampled_from([*missing, "spec show", "delete a", "list --json --watch", "run --trials"])
    ).split()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(command_lines())
def test_a_malformed_command_line_is_refused(arguments: list[str]) -> None:
    with folder() as made:
        (made / "a.toml").write_text(tomli_w.dumps(VALID))
        assert_refused(call(*arguments), made, "a.toml")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "a.toml"],
        ["create", "a.toml", "--trials", "none"],
        # The file's name is no UTF-8.
        ["run", "\udcff.toml"],
        ["create", "--set", "study.trials=\u2028"],
        ["spec"],
        [],
    ],
)
def test_as_a_process_too(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[study]\n"a\\nb" = 1\n')
    result = subprocess.run(
        [sys.executable, "-m", "hypersearch", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, b"Traceback" in result.stderr) == (2, False), result.stderr
    # Without a command the help is printed.
    assert result.stderr or result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["a.toml"]
