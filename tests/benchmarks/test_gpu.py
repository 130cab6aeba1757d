"""One command measures all that is to be known of a GPU; here it does so on a CPU, in small."""

import json
import signal
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import anchor, report
from benchmarks.gpu.installed import write_metadata
from benchmarks.gpu.kernels import Kernel, busy_us
from benchmarks.gpu.lab import Expected, Lab, Result, failure, rate
from benchmarks.gpu.measuring import made_up
from benchmarks.gpu.phases import PHASES, Phase
from benchmarks.gpu.runner import PhaseOutcome
from benchmarks.gpu.smoke import causes
from benchmarks.gpu.suite import ENDING_SECONDS, gpu_test_files, run_tests, told
from lab.checkout import ROOT, environment
from objectives import training
from objectives.hyperparameters import SGD, Hyperparameters
from objectives.run import Run

# --- the whole

# One result of each phase that must be there, whatever else is.
FOUND = {
    0: ["device", "versions", "host", "copy", "product bf16 of 128 x 128"],
    1: ["cpu validation_loss", "cpu path", "losses of both"],
    2: ["skipped"],
    3: [
        "train() float32 32",
        "every augmentation float32 32",
        "batch normalization float32 32",
        "eager float32 32",
        "beginning eager 32",
    ],
    4: ["DataLoader 32", "train() float32 32 and DataLoader", "train() float32 32 and by hand"],
    5: ["batch 16"],
    6: ["streams float32, batch 16"],
    7: ["1 process", "2 processes"],
    8: ["float32"],
    9: ["1 worker", "1 worker, start", "1 worker, where it goes"],
    10: ["Optuna's example"],
    11: ["skipped"],
}


@pytest.mark.long
def test_the_whole_command_measures_on_a_cpu(tmp_path: Path) -> None:
    """From a folder of its own: it imports this checkout, and the processes that it starts do
    too.
    """
    ended = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "benchmarks.gpu",
            "all",
            "--device",
            "cpu",
            "--quick",
            "--out",
            "found",
        ],
        cwd=tmp_path,
        env=environment(XDG_CACHE_HOME=str(tmp_path / "cache")),
        capture_output=True,
        text=True,
        check=False,
    )
    log = (tmp_path / "found" / "all.log").read_text()
    assert ended.returncode == 0, log
    phases = json.loads((tmp_path / "found" / "results.json").read_text())["phases"]
    names = {phase["number"]: [result["name"] for result in phase["results"]] for phase in phases}
    assert list(names) == [phase.number for phase in PHASES] == list(range(12))
    assert {
        number: [name for name in wanted if name not in names[number]]
        for number, wanted in FOUND.items()
    } == {number: [] for number in FOUND}
    said = {result["name"]: result["said"] for phase in phases for result in phase["results"]}
    assert said["skipped"] == "needs CUDA"
    assert [text for text in said.values() if text.startswith("failed")] == []
    assert ended.stderr.splitlines() == [f"phase {phase.number} {phase.name}" for phase in PHASES]
    # The results come last, and in the log too.
    assert len(ended.stdout) < 10_000
    assert ended.stdout.startswith("0 facts, ")
    assert log.endswith(ended.stdout)
    assert {file.name for file in (tmp_path / "found").iterdir()} == {
        "all.log",
        "results.json",
        "trace.json.gz",
    }


@pytest.mark.long
def test_without_a_gpu_a_phase_says_so_and_the_command_fails(tmp_path: Path) -> None:
    """By processes that are started anew, as for a GPU; a line of the log before is kept."""
    (tmp_path / "all.log").write_text("before\n")
    command = [
        sys.executable,
        "-P",
        "-m",
        "benchmarks.gpu",
        "all",
        "--out",
        str(tmp_path),
        "--only",
        "6",
    ]
    ended = subprocess.run(
        command,
        env=environment(CUDA_VISIBLE_DEVICES=""),
        capture_output=True,
        text=True,
        check=False,
    )
    head, said = ended.stdout.splitlines()
    assert head.startswith("6 streams, ")
    assert (
        said
        == '  failed: DeviceError: device "cuda": PyTorch finds 0 CUDA devices here; choose cpu or'
        " auto"
    )
    assert ended.returncode == 1
    assert (tmp_path / "all.log").read_text().startswith("before\n")


# --- phases that end badly

PHASES_THAT_END_BADLY = """
import os, subprocess, sys, time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.__main__ import measure_all
from benchmarks.gpu.lab import Lab, Result
from benchmarks.gpu.phases import Phase

def raises(lab):
    yield Result("before", "1")
    raise ValueError("no good\\nat all")

def leaves(lab):
    os._exit(3)
    yield

def is_killed(lab):
    yield Result("before", "2")
    os.abort()

def hangs(lab):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (lab.folder / "aside").write_text(str(child.pid))
    (lab.folder / "aside").rename(lab.folder / "child")
    yield Result("before", "3")
    time.sleep(600)

def measures(lab):
    print("said on the way")
    yield Result("a", "b")

@dataclass(frozen=True)
class Given(Phase):
    def load(self):
        return globals()[self.module]

def phase(number, name, limit=30.0, **more):
    return Given(number, name, name, limit, **more)

def run(out, seconds, *phases):
    measure_all(phases, Lab("cpu", True, Path(out), time.monotonic() + seconds))
"""


def measured(tmp_path: Path, seconds: float, *phases: str) -> list[tuple[str, list[str]]]:
    """The lines of each phase, by these calls of `phase`."""
    code = f"{PHASES_THAT_END_BADLY}\nrun({str(tmp_path)!r}, {seconds}, {', '.join(phases)})"
    subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=True)
    found = json.loads((tmp_path / "results.json").read_text())["phases"]
    return [
        (phase["name"], [f"{result['name']}: {result['said']}" for result in phase["results"]])
        for phase in found
    ]


def test_a_phase_survives_whatever_becomes_of_another(tmp_path: Path) -> None:
    assert measured(
        tmp_path,
        100.0,
        "phase(0, 'raises')",
        "phase(1, 'leaves')",
        "phase(2, 'is_killed')",
        "phase(3, 'hangs', 3.0)",
        "phase(4, 'nowhere')",
        "phase(5, 'measures')",
    ) == [
        ("raises", ["before: 1", "failed: ValueError: no good\nat all"]),
        ("leaves", ["failed: exit code 3"]),
        ("is_killed", ["before: 2", "failed: ended by SIGABRT"]),
        ("hangs", ["before: 3", "stopped: after 3 s, its limit; the lines above are what it gave"]),
        ("nowhere", ["failed: KeyError: 'nowhere'"]),
        ("measures", ["a: b"]),
    ]
    log = (tmp_path / "all.log").read_text()
    assert "said on the way" in log
    assert "Traceback" in log
    # What the phase had started has ended, too.
    assert not running(int((tmp_path / "child").read_text()))


def running(process_id: int) -> bool:
    """Neither ended nor waiting for somebody to ask how."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_phase_that_would_overrun_or_needs_a_gpu_is_skipped_and_named(tmp_path: Path) -> None:
    """A shorter one after it still fits."""
    found = measured(
        tmp_path,
        9.9,
        "phase(3, 'raises', 10.0)",
        "phase(4, 'raises', needs_cuda=True)",
        "phase(5, 'measures', 5.0)",
    )
    assert found == [
        ("raises", ["skipped: 10 s were left of its 10 s: run it with --only 3"]),
        ("raises", ["skipped: needs CUDA"]),
        ("measures", ["a: b"]),
    ]


def test_a_command_that_is_ended_says_what_it_has_measured(tmp_path: Path) -> None:
    code = f"""{PHASES_THAT_END_BADLY}
import signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
run({str(tmp_path)!r}, 100.0, phase(0, 'measures'), phase(1, 'hangs'))
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "child").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[0]
    assert process.returncode == 143
    assert [line.partition(",")[0] for line in said.splitlines()][:3] == [
        "0 measures",
        "  a: b",
        "1 hangs",
    ]
    assert not running(int((tmp_path / "child").read_text()))


# --- what is printed


@pytest.mark.parametrize(
    ("expected", "value", "said"),
    [
        (Expected(230e3, 290e3), 241e3, "predicted 230,000 to 290,000, as measured"),
        (Expected(230e3, 290e3), 229e3, "predicted 230,000 to 290,000, measured less"),
        (Expected(2.0, 2.5), 2.6, "predicted 2 to 2.5, measured more"),
        (Expected(0.9), 4.0, "predicted 0.9 or more, as measured"),
        (Expected(0.9), 0.89, "predicted 0.9 or more, measured less"),
        (Expected(3.0, 3.0), 2.8, "predicted 3, as measured"),
        (Expected(3.0, 3.0), 2.6, "predicted 3, measured less"),
        (Expected(3.0, 3.0), 3.4, "predicted 3, measured more"),
    ],
)
def test_what_was_predicted_stands_beside_what_is_measured(
    expected: Expected, value: float, said: str
) -> None:
    assert expected.beside(value) == said
    assert Result("a", "b", {"figure": value, "other": 0.0}, expected).line() == f"a: b; {said}"


def test_a_rate_is_told_by_image_and_by_step() -> None:
    assert (
        rate("train() 64", 250_000.0, 64, "captured", Expected(230e3, 290e3)).line()
        == "train() 64: 250,000 images/s, 256 us a step, captured; predicted 230,000 to 290,000, as"
        " measured"
    )


def outcome(number: int, *results: Result) -> PhaseOutcome:
    return PhaseOutcome(Phase(number, "some", "facts", 1.0), list(results), 1.4)


def test_too_many_lines_lose_details_first_and_what_is_left_out_is_counted() -> None:
    first = [Result(f"detail {at}", "x" * 40, is_detail=True) for at in range(3)]
    outcomes = [outcome(1, Result("a", "1"), *first), outcome(2, Result("b", "2\n3"))]
    whole = (
        "1 some, 1 s\n  a: 1\n"
        + "".join(f"  {each.line()}\n" for each in first)
        + "2 some, 1 s\n  b: 2\n  3\n"
    )
    assert report.text(outcomes) == whole
    assert (
        report.text(outcomes, len(whole))
        == f"1 some, 1 s\n  a: 1\n  {first[0].line()}\n  {first[1].line()}\n2 some, 1 s\n  b: 2\n"
        "  3\n"
        "1 results more are in all.log\n"
    )
    assert (
        report.text(outcomes, 80)
        == "1 some, 1 s\n  a: 1\n2 some, 1 s\n  b: 2\n  3\n3 results more are in all.log\n"
    )


def test_what_is_printed_is_short_however_much_there_is() -> None:
    many = [Result(f"case {at}", "x" * 1000) for at in range(400)]
    said = report.text([outcome(1, *many), outcome(2, Result("a", "1"))])
    assert len(said) < 10_000
    assert said.splitlines()[-3:-1] == ["2 some, 1 s", "  a: 1"]


# --- its parts


def test_a_checkout_is_made_to_say_what_it_is_and_needs(tmp_path: Path) -> None:
    write_metadata(tmp_path)
    (found,) = distributions(path=[str(tmp_path)])
    assert (found.name, found.version) == ("hypersearch", "0.1.0")
    assert "torch>=2.11" in (found.requires or [])
    assert 'pymysql>=1.1; extra == "mysql"' in (found.requires or [])


def test_the_loop_written_by_hand_takes_the_steps_of_train() -> None:
    """From the same weights, on the same images: as far as rounding lets it."""
    data = made_up(32, torch.device("cpu"))
    ours = training.train(
        Run(Hyperparameters(SGD(anchor.LEARNING_RATE), batch_size=32), data, epochs=1, seed=0)
    )
    loop = anchor.HandWritten(data.train, 32, "float32")
    loop.model.load_state_dict(ours.model.state_dict())
    before = [each.detach().clone() for each in ours.model.parameters()]
    measurement = next(ours)
    assert loop.epoch() == pytest.approx(measurement.train_loss, rel=1e-5)
    for own, theirs, start in zip(
        ours.model.parameters(), loop.model.parameters(), before, strict=True
    ):
        torch.testing.assert_close(theirs - start, own - start, rtol=1e-2, atol=1e-7)
        assert not torch.equal(own, start)


def test_busy_is_when_any_kernel_runs() -> None:
    runs = [(3, 6), (0, 4), (1, 2), (8, 9), (8, 9)]
    assert busy_us(Kernel("a", start, end) for start, end in runs) == 7


def test_every_cause_behind_an_error_is_told() -> None:
    error = RuntimeError("previous error\nduring capture")
    error.__context__ = KeyError("deep")
    error.__context__.__cause__ = OSError("deeper")
    assert failure("training", error).line() == "training: failed: RuntimeError: previous error"
    assert [each.line() for each in causes(error)] == [
        "cause 1: failed: KeyError: 'deep'",
        "cause 2: failed: OSError: deeper",
    ]


def results_of(folder: Path, code: str, seconds: float) -> list[Result]:
    # The folder's tests are of their own, wherever it lies.
    (folder / "pytest.ini").touch()
    file = folder / "test_some.py"
    file.write_text(f"import pytest\n{code}")
    return list(
        run_tests([file], Lab("cpu", True, folder, time.monotonic() + seconds), processes=2)
    )


def test_tests_are_counted_and_the_failed_ones_named(tmp_path: Path) -> None:
    found = results_of(
        tmp_path,
        "def test_right(): pass\n"
        "@pytest.mark.parametrize('n', [1, 2, 3])\ndef test_wrong(n): assert n == 2\n"
        "@pytest.fixture\ndef broken(): raise OSError('no disk')\n"
        "def test_error(broken): pass\n"
        "@pytest.mark.skip\ndef test_left_out(): pass\n",
        60.0,
    )
    assert found[0] == Result(
        "tests", "2 passed, 3 failed, 1 skipped", {"passed": 2, "failed": 3, "skipped": 1}
    )
    assert {(each.name, each.said) for each in found[1:] if each.name == "wrong"} == {
        ("wrong", "2 of test_some::test_wrong"),
        ("wrong", "1 of test_some::test_error"),
        ("wrong", "test_some::test_wrong[1]"),
        ("wrong", "test_some::test_wrong[3]"),
        ("wrong", "test_some::test_error"),
    }
    tracebacks = {
        each.name.partition("[")[0]: each.said for each in found if each.name.startswith("test_")
    }
    assert "== 2" in tracebacks["test_wrong"]
    assert "no disk" in tracebacks["test_error"]


def test_tests_that_do_not_end_are_stopped(tmp_path: Path) -> None:
    (found,) = results_of(
        tmp_path, "def test_hangs():\n    import time\n    time.sleep(600)\n", ENDING_SECONDS + 1.0
    )
    assert found.line().startswith(
        "tests: stopped: they had not all ended in time; by then 0 passed, 0 failed"
    )


def test_tests_that_had_ended_are_counted_by_what_pytest_said() -> None:
    lines = [
        "tests/a.py::test_a ",
        "[gw0] [  1%] PASSED tests/a.py::test_a[PASSED] ",
        "[gw11] [ 50%] FAILED tests/a.py::test_b ",
        "[gw1] [ 60%] ERROR tests/a.py::test_c ",
        "[gw1] [100%] SKIPPED tests/a.py::test_d (why) ",
    ]
    assert told("\n".join(lines)) == {"passed": 1, "failed": 2, "skipped": 1}


def test_the_tests_of_a_gpu_are_found() -> None:
    assert ROOT / "tests" / "objectives" / "test_captured.py" in gpu_test_files(ROOT / "tests")
