"""How long the program takes, as a process, to refuse malformed specs and command lines: those that
the tests draw.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import tomli_w
from hypothesis import Phase, given, settings

from benchmarks.figures import machine, percentile, spread
from lab.checkout import ROOT, environment
from search.spec.document import Document

TESTS = ROOT / "tests" / "acceptance" / "test_malformed.py"


def refusal_seconds(document: bytes, arguments: Sequence[str]) -> float:
    """From the start of the process to its end; raises RuntimeError where it did not refuse."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.toml").write_bytes(document)
        started = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "hypersearch", *arguments],
            cwd=folder,
            env=environment(),
            capture_output=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if ended.returncode != 2 or [path.name for path in Path(folder).iterdir()] != ["a.toml"]:
            raise RuntimeError(
                f"{arguments} was not refused: {ended.returncode}, {ended.stderr.decode()}"
            )
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the times of specs and of command lines; 1 where one took longer than `--limit`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--limit", type=float, default=2.0, help="seconds")
    given_options = parser.parse_args(arguments)
    found = spec_from_file_location("test_malformed", TESTS)
    if found is None or found.loader is None:
        raise FileNotFoundError(TESTS)
    tests = module_from_spec(found)
    found.loader.exec_module(tests)
    print(machine("hypersearch", "typer"), flush=True)
    times: dict[str, list[float]] = {"specs": [], "command lines": []}
    drawn = settings(
        max_examples=given_options.each, deadline=None, derandomize=True, phases=[Phase.generate]
    )

    @drawn
    @given(tests.malformed_documents())
    def specs(document: Document) -> None:
        times["specs"].append(refusal_seconds(tomli_w.dumps(document).encode(), ["run", "a.toml"]))

    @drawn
    @given(tests.command_lines())
    def command_lines(line: Sequence[str]) -> None:
        times["command lines"].append(refusal_seconds(tomli_w.dumps(tests.VALID).encode(), line))

    specs()
    command_lines()
    for kind, seconds in times.items():
        print(
            f"{len(seconds)} {kind}: {spread(seconds, 2)} s, 95 % within"
            f" {percentile(seconds, 95):.2f} s"
        )
    return int(max(max(seconds) for seconds in times.values()) > given_options.limit)


if __name__ == "__main__":
    sys.exit(main())
