"""What was measured is kept once a machine: by one process, found by all others, and never trusted when damaged."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from objectives.processor import usable_cores
from search.division import Division, Measured, Share
from search.doctor import KnownDivision, division_finding
from search.measured import (
    Conditions,
    FreshDivision,
    conditions,
    divide,
    division_file,
    division_text,
    find_division,
    fresh_text,
    known_divisions,
    read_division,
    torch_version,
)

HERE = Conditions("a processor", 4, "cpu", (), "2.15.0")
TABLE = (Measured(Share(1, 1), 1234.5), Measured(Share(1, 4), 1200.0), Measured(Share(4, 1), 3456.0))
FOUND = Division("cpu", 1, Share(4, 1), TABLE, 3.5, "2026-11-01T00:00:00+00:00")


FRESH = FreshDivision(FOUND)


def never() -> FreshDivision:
    raise AssertionError("measured again")


def test_what_was_measured_is_found_again(tmp_path: Path) -> None:
    assert find_division(tmp_path / "not" / "there", HERE, lambda: FRESH) == FOUND
    assert find_division(tmp_path / "not" / "there", HERE, never) == FOUND


@pytest.mark.parametrize(
    "other",
    [
        {"processor": "another"},
        {"cores": 3},
        {"device": "cuda:1"},
        {"gpus": ("nvidia0",)},
        {"torch": "2.16.0"},
        {"version": 1},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_it_depends_on_is_measured_anew_and_the_others_stay(tmp_path: Path, other: dict[str, object]) -> None:
    find_division(tmp_path, HERE, lambda: FRESH)
    elsewhere, found_there = replace(HERE, **other), replace(FOUND, alone=2)  # type: ignore[arg-type]
    assert find_division(tmp_path, elsewhere, lambda: FreshDivision(found_there)) == found_there
    assert find_division(tmp_path, HERE, never) == FOUND


def damaged(content: str) -> list[str]:
    document = json.loads(content)
    document["content"]["division"]["alone"] = 3
    return ["", content[:-40], content.replace("1234.5", "1234.6"), "[]", "null", "{}", json.dumps(document)]


def test_a_damaged_file_is_measured_again(tmp_path: Path) -> None:
    find_division(tmp_path, HERE, lambda: FRESH)
    file = division_file(tmp_path, HERE)
    for content in damaged(file.read_text()):
        file.write_text(content)
        assert read_division(tmp_path, HERE) is None
        assert find_division(tmp_path, HERE, lambda: FRESH) == FOUND
        assert read_division(tmp_path, HERE) == FOUND


def test_a_file_of_another_machine_under_this_ones_name_is_measured_again(tmp_path: Path) -> None:
    other = replace(HERE, cores=8)
    find_division(tmp_path, other, lambda: FRESH)
    division_file(tmp_path, other).rename(division_file(tmp_path, HERE))
    assert read_division(tmp_path, HERE) is None


def test_what_is_in_doubt_is_used_and_not_kept(tmp_path: Path) -> None:
    doubted = FreshDivision(FOUND, "1 x 4 trained more than 4 times what 1 x 1 did")
    assert find_division(tmp_path, HERE, lambda: doubted) == FOUND
    assert read_division(tmp_path, HERE) is None
    assert find_division(tmp_path, HERE, lambda: FreshDivision(replace(FOUND, alone=4))).alone == 4
    file = division_file(tmp_path, HERE)
    assert fresh_text(FRESH, file) == division_text(FOUND, file)
    assert fresh_text(doubted, file) == (
        "workers x threads on cpu: one worker 1 x 1, auto 4 x 1; images/s 1 x 1: 1,234, 1 x 4: 1,200, 4 x 1: 3,456; "
        "at 2026-11-01T00:00:00+00:00; 1 x 4 trained more than 4 times what 1 x 1 did: not kept, the next start "
        "measures again, and --threads N measures nothing"
    )


def test_a_folder_that_cannot_be_written_costs_the_measuring_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()  # not even root writes below one
    with caplog.at_level(logging.WARNING):
        assert find_division(tmp_path / "file", HERE, lambda: FRESH) == FOUND
    assert caplog.messages == [
        f"{tmp_path}/file: what was measured cannot be kept there (File exists), and is measured again each time: make "
        "it writable, or pin --threads"
    ]


# The processes wait for each other, then all ask; who measures says so.
ONE_OF_EIGHT = """
import sys, time
from pathlib import Path
from search.division import Division, Share
from search.measured import Conditions, FreshDivision, find_division
here = Conditions("a processor", 4, "cpu", (), "2.15.0")
folder = Path(sys.argv[1])
(folder / f"{sys.argv[2]}.here").touch()
while len(list(folder.glob("*.here"))) < 8:
    time.sleep(0.01)
def measure():
    print("measured")
    time.sleep(0.5)
    return FreshDivision(Division("cpu", int(sys.argv[2]), Share(1, 1), (), 0.0, ""))
print(find_division(folder / "division", here, measure).alone)
"""


def test_of_eight_processes_that_start_at_once_one_measures(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_OF_EIGHT, str(tmp_path)]
    started = [subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(8)]
    said = " ".join(process.communicate(timeout=120)[0] for process in started).split()
    first = said[said.index("measured") + 1]
    assert sorted(said) == [first] * 8 + ["measured"]


def test_auto_is_the_processor_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.measured._gpus", lambda environment: ())
    assert conditions("auto", 2, "2.15.0", {}) == conditions("cpu", 2, "2.15.0", {})
    monkeypatch.setattr("search.measured._gpus", lambda environment: ("nvidia0",))
    assert conditions("auto", 2, "2.15.0", {}).gpus == ("nvidia0",)
    assert conditions("cpu", 2, "2.15.0", {}).gpus == ()


def test_what_is_pinned_or_trains_nothing_is_not_measured(tmp_path: Path) -> None:
    def say(line: str) -> None:
        raise AssertionError(line)

    for workers, threads, trains in ((None, 1, True), (3, 2, True), (None, None, False), (1, None, False)):
        share = divide(workers, threads, device="cpu", folder=tmp_path, say=say, trains=trains)
        assert workers in (None, share.workers)
        assert threads in (None, share.threads)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_so_many_workers_of_a_gpu_as_were_asked_for_have_a_thread_each_unmeasured(device: str, tmp_path: Path) -> None:
    for workers, threads, expected in ((1, None, 1), (4, None, 1), (1, 3, 3)):
        share = divide(workers, threads, device=device, folder=tmp_path, say=pytest.fail)
        assert share == Share(workers, expected)
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_says_what_was_measured_and_how_to_do_it_again(tmp_path: Path) -> None:
    cores = max(2, usable_cores())
    here = conditions("cpu", cores, torch_version(), {})
    find_division(tmp_path, here, lambda: FRESH)
    find_division(tmp_path, replace(here, processor="another"), lambda: FRESH)
    file = division_file(tmp_path, here)
    assert known_divisions(tmp_path, cores) == [(file, FOUND)]
    assert division_text(FOUND, file) == (
        "workers x threads on cpu: one worker 1 x 1, auto 4 x 1; images/s 1 x 1: 1,234, 1 x 4: 1,200, 4 x 1: 3,456; "
        f"at 2026-11-01T00:00:00+00:00; delete {file} to measure again"
    )
    busy = division_text(replace(FOUND, busy_percent=55.5), file)
    assert "at 2026-11-01T00:00:00+00:00 beside programs that used 56 % of the processor; delete" in busy


@pytest.mark.parametrize("cores", [1, 2])
def test_the_doctor_looks_and_does_not_measure(tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.doctor.usable_cores", lambda: cores)
    finding = division_finding(tmp_path / "nothing")
    assert (finding.is_good, finding.facts) == (True, ())
    assert finding.found == (
        "not measured yet: the first worker that is not told its threads does it"
        if cores > 1
        else "one core that workers may use: there is nothing to divide"
    )
    find_division(tmp_path, conditions("cpu", cores, torch_version(), {}), lambda: FRESH)
    if cores > 1:
        (facts,) = division_finding(tmp_path).facts
        assert isinstance(facts, KnownDivision)
        assert facts.division == FOUND
