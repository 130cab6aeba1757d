"""What other programs use of the processor is all that is used but for ours."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from search.machine.other_programs import (
    OtherPrograms,
    ProcessorSeconds,
    own_seconds,
    processor_seconds,
    seconds_of,
    seconds_of_children,
)


@pytest.mark.parametrize(
    ("passed", "busy", "ours", "expected"),
    [
        (20.0, 20.0, 15.0, 25.0),
        (20.0, 5.0, 5.0, 0.0),
        # The two clocks have another grain.
        (20.0, 5.0, 5.3, 0.0),
        (20.0, 20.0, 0.0, 100.0),
        (0.0, 0.0, 0.0, 0.0),
    ],
)
def test_what_is_not_ours_is_theirs(
    passed: float, busy: float, ours: float, expected: float
) -> None:
    readings = iter([ProcessorSeconds(100.0, 50.0), ProcessorSeconds(100.0 + passed, 50.0 + busy)])
    own = iter([7.0, 7.0 + ours])
    others = OtherPrograms(lambda: next(own), lambda: next(readings))
    assert others.percent == 0.0
    with others.counted():
        pass
    assert others.percent == pytest.approx(expected)


def test_what_happens_between_two_counts_does_not_count() -> None:
    readings = iter([ProcessorSeconds(*pair) for pair in ((0, 0), (10, 4), (90, 84), (100, 86))])
    others = OtherPrograms(lambda: 0.0, lambda: next(readings))
    for _ in range(2):
        with others.counted():
            pass
    assert others.percent == 30.0


@pytest.fixture
def spinning() -> Iterator[psutil.Process]:
    """Another program that computes all the time."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def test_a_program_that_computes_is_seen_unless_it_is_ours(spinning: psutil.Process) -> None:
    anybody = OtherPrograms()
    but_for_it = OtherPrograms(lambda: own_seconds() + seconds_of_children(os.getpid()))
    with anybody.counted(), but_for_it.counted():
        before = seconds_of(spinning.pid)
        while seconds_of(spinning.pid) - before < 0.3:
            time.sleep(0.02)
    assert anybody.percent > but_for_it.percent


def test_the_processor_was_busy_for_a_part_of_what_passed() -> None:
    seconds = processor_seconds()
    assert 0 < seconds.busy < seconds.passed


def test_a_process_that_is_gone_has_used_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert seconds_of(process.pid) == seconds_of_children(process.pid) == 0.0
