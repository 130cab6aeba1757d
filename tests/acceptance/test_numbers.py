"""Numbers of the command line and the environment: as people write them and within bounds, or
refused at once.
"""

import sys
from pathlib import Path

import pytest

from search.cli.main import main

SPEC = '[study]\nname = "s"\ntrials = 1\n[data]\ndataset = "synthetic"\n[training]\nepochs = 1\n'
RUN = ["run", "s.toml"]


def hypersearch(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["hypersearch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a spec in it, on a machine of 32 cores, where no process can be
    started.
    """

    def refuse(*_: object, **__: object) -> None:
        # A thousand processes would bring the machine down.
        raise AssertionError("a process is started")

    monkeypatch.setattr("subprocess.Popen.__init__", refuse)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("objectives.processor.usable_cores", lambda: 32)
    (tmp_path / "s.toml").write_text(SPEC)
    return tmp_path


MANY = "more than this machine can use: give a whole number from 1 to 128, or auto"
FEW = "give a whole number of 1 or more, or auto"
DIGITS = "give a whole number, in the digits 0 to 9"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([*RUN, "--threads", "129"], f"--threads 129: {MANY}"),
        ([*RUN, "--threads", "100000"], f"--threads 100000: {MANY}"),
        ([*RUN, "--workers", "999999999999999999"], f"--workers 999999999999999999: {MANY}"),
        (["worker", "--workers", "1000"], f"--workers 1000: {MANY}"),
        ([*RUN, "--workers", "9" * 20], f"--workers {'9' * 20}: {FEW}"),
        ([*RUN, "--workers", "9" * 5000], f"--workers {'9' * 77}...: {FEW}"),
        ([*RUN, "--threads", "٣"], f"--threads ٣: {FEW}"),
        ([*RUN, "--threads", "+2"], f"--threads +2: {FEW}"),
        ([*RUN, "--threads", "1_0"], f"--threads 1_0: {FEW}"),
        ([*RUN, "--threads", "0x2"], f"--threads 0x2: {FEW}"),
        ([*RUN, "--threads", " 2"], f"--threads  2: {FEW}"),
        ([*RUN, "--threads", "2\n"], f"--threads '2\\n': {FEW}"),
        ([*RUN, "--threads", ""], f"--threads '': {FEW}"),
        ([*RUN, "--trials", "٣"], f"--trials ٣: {DIGITS}"),
        ([*RUN, "--trials", "1_0"], f"--trials 1_0: {DIGITS}"),
        ([*RUN, "--epochs", "+2"], f"--epochs +2: {DIGITS}"),
        ([*RUN, "--epochs", "9" * 5000], f"--epochs {'9' * 77}...: {DIGITS}"),
        ([*RUN, "--seed", "0x2"], f"--seed 0x2: {DIGITS}"),
        (
            [*RUN, "--trials", "3000000000"],
            "s.toml: study.trials = 3000000000: must be from 1 to 2147483647",
        ),
        ([*RUN, "--target", "٠.٥"], "--target ٠.٥: give a number, as 0.99"),
        ([*RUN, "--target", "1_0"], "--target 1_0: give a number, as 0.99"),
        (
            [*RUN, "--timeout", "٣m"],
            's.toml: study.timeout = "٣m": write it like "30m", "2h" or "1h30m"',
        ),
        (["extend", "s", "--trials", "1e3"], f"--trials 1e3: {DIGITS}"),
        (["dashboard", "--port", "65536"], "--port 65536: give a whole number from 0 to 65535"),
        (
            ["dashboard", "--port", "8_080"],
            "--port 8_080: give a whole number from 0 to 65535, in the digits 0 to 9",
        ),
        (
            [*RUN, "--device", f"cuda:{'9' * 20}"],
            (
                f'device "cuda:{"9" * 20}" is unknown: choose auto, cpu, cuda, cuda:1 (any number)'
                " or mps"
            ),
        ),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused_before_anything_is_made(
    arguments: list[str],
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert hypersearch(monkeypatch, *arguments) == 2
    assert capsys.readouterr() == ("", f"hypersearch: {told}\n")
    assert [path.name for path in folder.iterdir()] == ["s.toml"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HYPERSEARCH_PROCESS", "first"),
        ("HYPERSEARCH_PROCESS", "-1"),
        ("HYPERSEARCH_PROCESS", "9" * 5000),
        ("HYPERSEARCH_CAPTURES", "no"),
        ("HYPERSEARCH_SYNTHETIC_SECONDS", "soon"),
        ("HYPERSEARCH_SYNTHETIC_SECONDS", "nan"),
        ("HYPERSEARCH_SYNTHETIC_SECONDS", "1e300"),
        ("HYPERSEARCH_SYNTHETIC_SECONDS", "٣"),
        ("HYPERSEARCH_CHECKPOINT_SECONDS", "never"),
        ("HYPERSEARCH_CHECKPOINT_SECONDS", "-1"),
        ("HYPERSEARCH_CHECKPOINT_SECONDS", "inf"),
        ("OMP_NUM_THREADS", "many"),
        ("OMP_NUM_THREADS", "-1"),
    ],
)
def test_a_number_of_the_environment_that_is_none_is_refused(
    name: str,
    text: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, text)
    assert hypersearch(monkeypatch, *RUN) == 2
    told = f"hypersearch: {name} {text!r}: give a number, 0 or more, or leave it out\n"
    assert capsys.readouterr() == ("", told)
    assert [path.name for path in folder.iterdir()] == ["s.toml"]


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "٣", "1_0", "9" * 5000])
def test_a_piece_of_the_environment_that_is_none_is_refused(
    text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYPERSEARCH_PIECE", text)
    assert hypersearch(monkeypatch, *RUN) == 2
    told = (
        f"hypersearch: HYPERSEARCH_PIECE {text!r}: give a whole number of 1 or more, or leave it"
        " out\n"
    )
    assert capsys.readouterr() == ("", told)
    assert [path.name for path in folder.iterdir()] == ["s.toml"]


def test_numbers_that_can_be_meant_are_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "HYPERSEARCH_PROCESS": "1\r",
        "HYPERSEARCH_PIECE": " 32\r",
        "HYPERSEARCH_SYNTHETIC_SECONDS": ".001",
        "HYPERSEARCH_CHECKPOINT_SECONDS": " 0.5",
        "OMP_NUM_THREADS": "4, 2",
    }
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    options = ["--threads", "128", "--seed", "007", "--target", "1e-3", "--epochs", "2"]
    assert hypersearch(monkeypatch, *RUN, *options, "-q") == 0
