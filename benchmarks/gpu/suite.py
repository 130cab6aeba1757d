"""Phase 2: the tests that need a GPU, by several processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from benchmarks.checkout import ROOT
from benchmarks.gpu.lab import Lab, Result

PROCESSES = 6
TRACEBACKS = 3
TRACEBACK_CHARACTERS = 500
ENDING_SECONDS = 5.0  # that are left of the phase for what it says
# Plugins that happen to be installed beside it may warn, and warnings are errors in these tests.
PLUGINS = ("-p", "xdist.plugin", "-p", "xdist.looponfail")


def measure(lab: Lab) -> Iterator[Result]:
    """Counts, the failed ones by name, and the last lines of the first tracebacks."""
    yield from run_tests(gpu_test_files(ROOT / "tests"), lab, "-m", "gpu")


def gpu_test_files(folder: Path) -> list[Path]:
    """Those that hold a test for a GPU: others may import what a machine with a GPU lacks."""
    return sorted(file for file in folder.rglob("test_*.py") if "mark.gpu" in file.read_text())


def run_tests(files: list[Path], lab: Lab, *options: str, processes: int = PROCESSES) -> Iterator[Result]:
    """By pytest; what it says goes to this process's standard output."""
    report = lab.folder / "tests.xml"
    report.unlink(missing_ok=True)
    with TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), *PLUGINS, "-p", "no:cacheprovider"]
        command += ["--basetemp", f"{scratch}/pytest", "--junitxml", str(report), *options, *map(str, files)]
        environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        try:
            _run(command, lab.seconds_left() - ENDING_SECONDS, environment)
        except subprocess.TimeoutExpired:
            yield Result("tests", "stopped: they had not ended in time; all.log says which had")
            return
    if not report.exists():
        yield Result("tests", "failed: pytest wrote no report; all.log says why")
        return
    yield from summary(report)


def _run(command: list[str], seconds: float, environment: dict[str, str]) -> None:
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, timeout=max(seconds, 1.0), check=False)


def summary(report: Path) -> Iterator[Result]:
    """Of pytest's report in JUnit's XML."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    wrong: list[tuple[str, str]] = []
    for case in cases:
        bad = next((each for each in case if each.tag in ("failure", "error")), None)
        if bad is not None:
            wrong.append((f"{case.get('classname')}::{case.get('name')}", bad.text or bad.get("message") or ""))
        outcome = "failed" if bad is not None else "skipped" if case.find("skipped") is not None else "passed"
        counts[outcome] += 1
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    yield Result("tests", said, {outcome: float(count) for outcome, count in counts.items()})
    for name, _ in wrong:
        yield Result("failed", name, is_detail=len(wrong) > 10)
    for name, traceback in wrong[:TRACEBACKS]:
        yield Result(name.rpartition("::")[2], traceback.strip()[-TRACEBACK_CHARACTERS:], is_detail=True)
