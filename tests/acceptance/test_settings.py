"""What the environment and the options say of storage and folders is taken as it is meant, or
refused in one line.
"""

import sys
from pathlib import Path

import pytest

from search.cli.main import main

SPEC = '[study]\nname = "s"\ntrials = 1\n[data]\ndataset = "synthetic"\n[training]\nepochs = 1\n'
UNPRINTABLE = "holds a control character, or bytes that are no UTF-8: leave them out"
ROOT = (
    "the artifact root cannot be read: write a folder, s3://bucket/prefix or "
    "s3://bucket/prefix?endpoint_url=https://host:9000, without credentials, which boto3 finds in "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a spec in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(SPEC)
    return tmp_path


def hypersearch(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hypersearch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def made(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.iterdir() if path.suffix != ".lock" and path.name != "s.toml"
    )


@pytest.mark.parametrize("end", ["\r", "\r\n", " ", ""])
def test_ends_of_lines_of_an_environment_file_are_no_part_of_a_setting(
    end: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYPERSEARCH_STORAGE", f"sqlite:///x.db{end}")
    monkeypatch.setenv("HYPERSEARCH_ARTIFACTS", f"kept{end}")
    monkeypatch.setenv("HYPERSEARCH_CHECKPOINT_SECONDS", "0")
    monkeypatch.setenv("HYPERSEARCH_DATA", f"data{end}")
    assert hypersearch(monkeypatch, "run", "s.toml", "-q") == 0
    assert made(folder) == ["kept", "x.db"]
    capsys.readouterr()
    assert hypersearch(monkeypatch, "list", "--storage", f"sqlite:///x.db{end}") == 0
    assert "s" in capsys.readouterr().out


@pytest.mark.parametrize("blank", ["", " ", "\r"])
def test_a_setting_of_blanks_alone_is_none(
    blank: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STORAGE", "DATA", "ARTIFACTS"):
        monkeypatch.setenv(f"HYPERSEARCH_{name}", blank)
    assert hypersearch(monkeypatch, "create", "s.toml", "-q") == 0
    assert made(folder) == ["hypersearch.db"]


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        ([], {"HYPERSEARCH_DATA": "a\nb"}, f"HYPERSEARCH_DATA 'a\\nb' {UNPRINTABLE}"),
        ([], {"HYPERSEARCH_DATA": "a\udcffb"}, f"HYPERSEARCH_DATA 'a\\udcffb' {UNPRINTABLE}"),
        ([], {"HYPERSEARCH_ARTIFACTS": "a\rb"}, f"HYPERSEARCH_ARTIFACTS 'a\\rb' {UNPRINTABLE}"),
        ([], {"HYPERSEARCH_ARTIFACTS": "s3://me:hush@a\nb"}, ROOT),
        (["--data-root", "a\x7fb"], {}, f"--data-root 'a\\x7fb' {UNPRINTABLE}"),
        (["--data-root", "a\0b"], {}, f"--data-root 'a\\x00b' {UNPRINTABLE}"),
        (["--data-root", " "], {}, "--data-root is empty: name a folder, or leave it out"),
        (["--artifact-root", "a\tb"], {}, f"--artifact-root 'a\\tb' {UNPRINTABLE}"),
        (["--artifact-root", "s3://bu\ncket"], {}, ROOT),
        (["--artifact-root", ""], {}, "--artifact-root is empty: name a folder, or leave it out"),
        (
            ["--storage", ""],
            {},
            (
                "storage URL '' cannot be read: write it like sqlite:///FILE.db,"
                " postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"
            ),
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_made(
    arguments: list[str],
    environment: dict[str, str],
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    for command in (["run", "s.toml"], ["worker"]):
        assert hypersearch(monkeypatch, *command, *arguments) == 2
        assert capsys.readouterr() == ("", f"hypersearch: {told}\n")
    assert [path.name for path in folder.iterdir()] == ["s.toml"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["stop", "s"],
        ["delete", "s", "--yes"],
        ["worker", "--study", "s"],
        ["worker", "--study", "s", "--workers", "2"],
    ],
)
def test_a_study_that_cannot_be_there_makes_no_database(
    arguments: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("search.machine.division_file.usable_cores", lambda: 4)
    assert hypersearch(monkeypatch, *arguments) == 3
    assert capsys.readouterr() == (
        "",
        (
            f"hypersearch: no database at {folder}/hypersearch.db: 'hypersearch run' creates one, "
            "or name another with --storage\n"
        ),
    )
    assert [path.name for path in folder.iterdir()] == ["s.toml"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["create", "s.toml", "--set", "study.seed=1\n[data]\ndataset='digits'"],
            (
                "--set \"study.seed=1\\n[data]\\ndataset='digits'\" holds a control character, or"
                " bytes that are no UTF-8: leave them out"
            ),
        ),
        (
            ["spec", "check", "a\nb"],
            "a\\nb: no such file: 'hypersearch spec init FILE' writes one to start from",
        ),
        (
            ["spec", "init", "a\nb/c"],
            "a\\nb/c: cannot be written (No such file or directory): name another file",
        ),
        (
            ["run", "s.toml", "--data-root", "a" * 300],
            "--data-root is longer than this system allows for a folder: name another",
        ),
        (
            ["run", "s.toml", "--artifact-root", "a/" * 3000],
            "--artifact-root is longer than this system allows for a folder: name another",
        ),
    ],
)
def test_names_of_files_and_keys_are_one_line(
    arguments: list[str],
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert hypersearch(monkeypatch, *arguments) == 2
    assert capsys.readouterr() == ("", f"hypersearch: {told}\n")
    assert [path.name for path in folder.iterdir()] == ["s.toml"]
