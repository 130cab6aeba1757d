"""A user without a home, as a container may have one: what needs no folder works, what needs one
says what to set.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli.main import main
from tests.conftest import missing, runs

CACHE = (
    "no folder is known to keep data sets and decoded images in, as this user has no home: "
    "set XDG_CACHE_HOME, or HOME, to one that can be written to"
)
FILES = (
    "no folder is known to keep checkpoints and artifacts in, as this user has no home: "
    "name one with HYPERSEARCH_ARTIFACTS or --artifact-root, or set XDG_DATA_HOME or HOME"
)
SERVER = "postgresql://127.0.0.1:1/x"
# The command runs in a namespace of users of its own, where no account has this number.
NOBODY = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a user with neither HOME nor an account."""

    def no_account(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", no_account)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def hypersearch(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hypersearch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_what_needs_no_folder_of_the_user_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["--dataset", "synthetic", "--trials", "1", "--epochs", "1"]
    for command in (
        ["spec", "init", "s.toml"],
        ["spec", "check", "s.toml"],
        ["run", *small, "-q"],
        ["run", *small, "--study", "other", "-q"],
        ["worker", "-q"],
        ["list"],
        ["status", "synthetic-default"],
        ["compare", "synthetic-default"],
        ["delete", "other", "--yes"],
        ["techniques"],
    ):
        assert hypersearch(monkeypatch, *command) == 0, command


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["run", "--dataset", "digits"], 3, CACHE),
        (["run", "--dataset", "digits", "--data-root", "here", "--workers", "2"], 3, CACHE),
        (["worker", "--workers", "auto", "--forever"], 3, CACHE),
        (["run", "--storage", SERVER], 3, FILES),
        (["worker", "--storage", SERVER, "--artifact-root", "s3://bucket"], 3, FILES),
        (["delete", "s", "--yes", "--storage", SERVER], 3, FILES),
        (
            ["worker", "--data-root", "~/data"],
            3,
            (
                "--data-root '~/data': nobody knows the home folder that '~' stands for: write the"
                " whole path"
            ),
        ),
        (
            ["--install-completion", "bash"],
            3,
            (
                "--install-completion: Could not determine home directory: set HOME to a folder"
                " that can be written to, or take what --show-completion prints"
            ),
        ),
    ],
)
def test_what_needs_a_folder_says_what_to_set_and_makes_nothing(
    arguments: list[str],
    code: int,
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("search.machine.division_file.usable_cores", lambda: 2)
    # Tests may be started by no shell.
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "bash"))
    assert hypersearch(monkeypatch, *arguments) == code
    assert capsys.readouterr() == ("", f"hypersearch: {told}\n")
    assert [
        path.name for path in folder.iterdir() if not path.name.startswith("hypersearch.db")
    ] == []


def test_a_home_in_the_name_of_images_that_nobody_knows_is_bad_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    assert hypersearch(monkeypatch, "run", "--study", "s", "--dataset", "images:~/cats") == 2
    assert (
        capsys.readouterr().err
        == "hypersearch: ~/cats: no such folder; give one that holds a sub-folder of images for"
        " each class\n"
    )
    assert list(folder.iterdir()) == []


def test_the_home_of_a_setting_is_the_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "me"))
    monkeypatch.setenv("HYPERSEARCH_ARTIFACTS", "~/kept")
    monkeypatch.setenv("HYPERSEARCH_CHECKPOINT_SECONDS", "0")
    small = ["--dataset", "synthetic", "--trials", "1", "--epochs", "1"]
    assert hypersearch(monkeypatch, "run", *small, "-q") == 0
    assert (folder / "me" / "kept").is_dir()
    assert not (folder / "~").exists()


def test_the_doctor_shows_it_among_its_findings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("search.machine.devices.usable_cores", lambda: 2)
    assert hypersearch(monkeypatch, "doctor", "--storage", SERVER) == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "not known" in line] == [
        f"wrong  division: not known: {CACHE}",
        f"wrong  data folder: not known: {CACHE}",
        f"wrong  cache: not known: {CACHE}",
        f"wrong  artifact root: not known: {FILES}",
    ]


@pytest.mark.long
def test_a_process_of_a_user_without_an_account_trains(tmp_path: Path) -> None:
    missing("unshare with the right to make a namespace of users", runs([*NOBODY, "true"]))
    homeless = {
        name: text
        for name, text in os.environ.items()
        if name != "HOME" and not name.startswith("XDG_")
    }

    def run(*arguments: str, **environment: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [
                *NOBODY,
                sys.executable,
                "-m",
                "hypersearch",
                "run",
                "--trials",
                "1",
                "--epochs",
                "1",
                *arguments,
            ],
            cwd=tmp_path,
            env=homeless | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr.splitlines()

    assert run("--dataset", "synthetic", "--workers", "2", "-q") == (0, [])
    assert run("--dataset", "digits") == (3, [f"hypersearch: {CACHE}"])
    small = ("--dataset", "digits", "--threads", "1", "--set", "model.channels=[4]")
    code, said = run(*small, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (code, said[0], len(said)) == (0, "decoded 1,797 images, once for this machine", 2)
