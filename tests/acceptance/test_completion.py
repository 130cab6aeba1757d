"""Names of studies and options are completed in a shell: a real bash, and what zsh and fish ask."""

import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import which

import pytest

from search.cli.completion import mend_words
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.studies.joining import create_or_join
from tests.acceptance.test_confirm import SPEC
from tests.conftest import missing
from tests.forked import hypersearch


def make(url: str, *names: str) -> None:
    for name in names:
        create_or_join(
            url, Request(parse_spec({"study": {"name": name}}).to_document(), {}, "test")
        )


def answer(folder: Path, shell: str, line: str, **environment: str) -> tuple[int, str]:
    """What the program says to a shell that asks how the line may go on."""
    words = line.split(" ")
    asked = {
        "_HYPERSEARCH_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    result = hypersearch(folder, **(asked | environment))
    assert result.stderr == ""
    return result.returncode, result.stdout.strip()


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("bash", "flowers-1\nflowers-2"),
        ("zsh", '_arguments \'*: :(("flowers-1"\n"flowers-2"))\''),
        ("fish", "flowers-1\nflowers-2"),
    ],
)
def test_studies_of_the_storage_are_completed(shell: str, expected: str, tmp_path: Path) -> None:
    make(f"sqlite:///{tmp_path}/hypersearch.db", "flowers-1", "birds", "flowers-2")
    for command in (
        "status",
        "compare birds",
        "pause",
        "spec show",
        "worker --study",
        "run --study",
        "delete",
    ):
        assert answer(tmp_path, shell, f"hypersearch {command} flow") == (0, expected), command


def test_the_storage_on_the_line_or_in_the_environment_is_asked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    make(url, "elsewhere")
    assert answer(tmp_path, "bash", f"hypersearch status --storage {url} ") == (0, "elsewhere")
    assert answer(tmp_path, "bash", "hypersearch status ", HYPERSEARCH_STORAGE=url) == (
        0,
        "elsewhere",
    )


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///not-there.db",
        "sqlite:////nowhere/at/all.db",
        "nonsense",
        "oracle://me@localhost/x",
        "postgresql://me:secret@127.0.0.1:1/x",
        "mysql://me:secret@127.0.0.1:1/x",
    ],
)
def test_a_storage_that_is_not_there_completes_to_nothing_and_makes_nothing(
    url: str, tmp_path: Path
) -> None:
    assert answer(tmp_path, "bash", "hypersearch status ", HYPERSEARCH_STORAGE=url) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"])
def test_a_server_is_asked_too(
    backend: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url = new_database(backend)
    make(url, "on-a-server")
    assert answer(tmp_path, "bash", "hypersearch status on", HYPERSEARCH_STORAGE=url) == (
        0,
        "on-a-server",
    )


def test_options_are_completed_to_what_the_code_knows(tmp_path: Path) -> None:
    assert answer(tmp_path, "bash", "hypersearch run --metric bal") == (0, "balanced_accuracy")
    assert answer(tmp_path, "bash", "hypersearch run --dataset mnist-") == (0, "mnist-5k")
    assert answer(tmp_path, "bash", "hypersearch create --pruner m") == (0, "median")
    assert answer(tmp_path, "bash", "hypersearch run --sampler ra") == (0, "random")
    assert answer(tmp_path, "bash", "hypersearch comp") == (0, "compare")


def test_completing_loads_neither_torch_nor_optuna(tmp_path: Path) -> None:
    make(f"sqlite:///{tmp_path}/hypersearch.db", "flowers")
    code = (
        "import sys\nfrom search.cli import main as cli\ntry:\n    cli.main()\nfinally:\n"
        "    assert not {'torch', 'optuna', 'numpy'} & set(sys.modules)\n"
    )
    environment = {
        "_HYPERSEARCH_COMPLETE": "complete_bash",
        "COMP_WORDS": "hypersearch\nstatus\n",
        "COMP_CWORD": "2",
    }
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )
    assert (result.stdout, result.stderr) == (b"flowers\n", b"")


@pytest.mark.parametrize(
    ("words", "cursor", "expected"),
    [
        (["hypersearch", "status", ""], 2, (["hypersearch", "status", ""], 2)),
        (
            ["hypersearch", "list", "--storage", "sqlite", ":", "///a.db", "st"],
            6,
            (["hypersearch", "list", "--storage", "sqlite:///a.db", "st"], 4),
        ),
        (
            ["hypersearch", "run", "--set", "a", "=", "3"],
            5,
            (["hypersearch", "run", "--set", "a=3"], 3),
        ),
        (["hypersearch", "run", "--study", "="], 3, (["hypersearch", "run", "--study="], 2)),
        (["hypersearch", "status", "s", ":", "con"], 4, (["hypersearch", "status", "s:con"], 2)),
    ],
)
def test_what_bash_splits_is_put_together(
    words: list[str], cursor: int, expected: tuple[list[str], int]
) -> None:
    environment = {
        "_HYPERSEARCH_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(cursor),
    }
    mend_words(environment)
    assert (environment["COMP_WORDS"].split("\n"), int(environment["COMP_CWORD"])) == expected


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["status", "s"], ""),
        (["status", "s", ":"], "s:"),
        (["status", "s", ":", "con"], "s:"),
        (["status", "s", ":", "confirm", ":", "1"], "s:confirm:"),
        (["worker", "--study", "=", "s", ":", "c"], "s:"),
        (["worker", "--study", "=", "s"], ""),
        # Some versions of bash do not split there.
        (["status", "s:con"], ""),
    ],
)
def test_bash_is_given_what_follows_the_last_break(words: list[str], kept: str) -> None:
    environment = {
        "_HYPERSEARCH_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["hypersearch", *words]),
        "COMP_CWORD": str(len(words)),
    }
    assert mend_words(environment) == kept


class Shell:
    """A shell at a terminal, as a user has it, with `hypersearch` on its path."""

    def __init__(self, home: Path, name: str) -> None:
        program = home / "bin" / "hypersearch"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m hypersearch "$@"\n')
        program.chmod(0o755)
        self.environment = os.environ | {
            "HOME": str(home),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PS1": "",
            "TERM": "dumb",
        }
        self._home = home
        self._name = name

    def run(self, command: str) -> str:
        return subprocess.run(
            # The shell stays the parent of what it runs.
            [self._name, "-c", f"{command}\ntrue"],
            cwd=self._home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def __enter__(self) -> "Shell":
        self._terminal, side = pty.openpty()
        self._process = subprocess.Popen(
            [self._name, "-i"],
            cwd=self._home,
            env=self.environment,
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
        )
        os.close(side)
        return self

    def type(self, text: str, until: str) -> str:
        os.write(self._terminal, text.encode())
        shown = ""
        while until not in shown:
            assert select.select([self._terminal], [], [], 60)[0], (
                f"{until!r} never came: {shown!r}"
            )
            shown += os.read(self._terminal, 4096).decode()
        return shown

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[Shell]:
    """A bash whose user has installed completion."""
    made = Shell(tmp_path, "bash")
    said = made.run("hypersearch --install-completion")
    assert "bash completion installed in" in said
    with suppress(OSError), made:
        yield made


def confirmed(folder: Path) -> None:
    """A study that is confirmed, by workers that are to come."""
    (folder / "s.toml").write_text(SPEC.replace('"s"', '"flowers-1"'))
    for command in ("run s.toml", "confirm flowers-1 --seeds 2 --enqueue"):
        assert hypersearch(folder, *command.split(" "), "-q").returncode == 0


def test_bash_completes_what_is_typed(bash: Shell, tmp_path: Path) -> None:
    confirmed(tmp_path)
    make(f"sqlite:///{tmp_path}/other.db", "birds")
    bash.type("hypersearch status fl\t", "owers-1")
    # What bash splits at ':' is the same word.
    assert bash.type(":\t", "confirm:1 ").endswith(":confirm:1 ")
    assert "birds " in bash.type("\x15hypersearch status --storage sqlite:///other.db \t", "birds ")
    assert bash.run("hypersearch --show-completion").startswith("_hypersearch_completion() {")


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_complete_names_of_follow_ups(name: str, tmp_path: Path) -> None:
    missing(f"{name} (apt-get install {name})", which(name) is not None)
    confirmed(tmp_path)
    shell = Shell(tmp_path, name)
    said = shell.run("hypersearch --install-completion")
    assert f"{name} completion installed in" in said
    with suppress(OSError), shell:
        shell.type("echo hypersearch | tr a-z A-Z\n", "HYPERSEARCH")
        # The first tab of a zsh loads Typer's function, and does no more.
        shell.type("hypersearch status flowers-1:\t\t", "confirm")
        # What stands on the line now is what is run.
        assert '"study": "flowers-1:confirm:1"' in shell.type(
            "--json\n", '"study": "flowers-1:confirm:1"'
        )
