"""Phase 2: the tests that need a GPU, by several processes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from benchmarks.gpu.lab import Lab, Result
from lab.checkout import ROOT

PROCESSES = 6
TRACEBACKS = 3
TRACEBACK_CHARACTERS = 500
# The phase keeps so long for what it says.
ENDING_SECONDS = 3.0
# Plugins that happen to be installed beside it may warn, and warnings are errors in these tests.
PLUGINS = ("-p", "xdist.plugin", "-p", "xdist.looponfail")


def measure(lab: Lab) -> Iterator[Result]:
    """Counts, how many cases of which test failed, the ends of the first tracebacks, and the failed
    cases.
    """
    yield from run_tests(gpu_test_files(ROOT / "tests"), lab, "-m", "gpu")


def gpu_test_files(folder: Path) -> list[Path]:
    """Those that hold a test for a GPU: others may import what a machine with a GPU lacks."""
    return sorted(file for file in folder.rglob("test_*.py") if "mark.gpu" in file.read_text())


def run_tests(
    files: list[Path], lab: Lab, *options: str, processes: int = PROCESSES
) -> Iterator[Result]:
    """By pytest, which writes tests.xml; what it says goes to this process's standard output."""
    report = lab.folder / "tests.xml"
    report.unlink(missing_ok=True)
    with TemporaryDirectory() as scratch:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-v",
            "-n",
            str(processes),
            *PLUGINS,
            "-p",
            "no:cacheprovider",
        ]
        command += [
            "--basetemp",
            f"{scratch}/pytest",
            "--junitxml",
            str(report),
            *options,
            *map(str, files),
        ]
        output = Path(scratch) / "output"
        has_ended = _ends(command, output, max(lab.seconds_left() - ENDING_SECONDS, 1.0))
        said = output.read_text()
        print(said, flush=True)
    if report.exists():
        yield from summary(report)
    elif has_ended:
        yield Result("tests", "failed: pytest wrote no report; all.log says why")
    else:
        yield Result(
            "tests", f"stopped: they had not all ended in time; by then {_counted(told(said))}"
        )


def _ends(command: list[str], output: Path, seconds: float) -> bool:
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with output.open("w") as file:
        try:
            subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return True


def told(said: str) -> dict[str, int]:
    """What pytest's lines say of the tests that have ended: it reports nothing where it is
    stopped.
    """
    words = re.findall(r"^\[gw\d+\] +\[ *\d+%\] (PASSED|FAILED|ERROR|SKIPPED) ", said, re.MULTILINE)
    wrong = words.count("FAILED") + words.count("ERROR")
    return {"passed": words.count("PASSED"), "failed": wrong, "skipped": words.count("SKIPPED")}


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def summary(report: Path) -> Iterator[Result]:
    """Of pytest's report in JUnit's XML."""
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    # A test may have many cases: their names and tracebacks stand under its name.
    wrong: dict[str, list[tuple[str, str]]] = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        bad = next((each for each in case if each.tag in ("failure", "error")), None)
        name = f"{case.get('classname')}::{case.get('name')}"
        if bad is not None:
            wrong.setdefault(name.partition("[")[0], []).append(
                (name, bad.text or bad.get("message") or "")
            )
        counts[
            (
                "failed"
                if bad is not None
                else "skipped"
                if case.find("skipped") is not None
                else "passed"
            )
        ] += 1
    yield Result(
        "tests", _counted(counts), {outcome: float(count) for outcome, count in counts.items()}
    )
    for test, found in wrong.items():
        yield Result("wrong", f"{len(found)} of {test}", {"failed": float(len(found))})
    for name, traceback in [found[0] for found in wrong.values()][:TRACEBACKS]:
        yield Result(
            name.rpartition("::")[2], traceback.strip()[-TRACEBACK_CHARACTERS:], is_detail=True
        )
    for found in wrong.values():
        yield from (Result("wrong", name, is_detail=True) for name, _ in found)
