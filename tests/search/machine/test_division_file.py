"""What was measured is kept once a machine: by one process, found by all others, and never trusted
when damaged.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from objectives.processor import usable_cores
from search.machine.devices import division_finding
from search.machine.division import Division, Measured, Room, Share
from search.machine.division_file import (
    LOOKS,
    Conditions,
    FreshDivision,
    conditions,
    divide,
    division_file,
    division_text,
    find_division,
    fresh_text,
    kept_division,
    known_divisions,
    machine_division,
    read_division,
    torch_version,
    write_division,
)
from search.machine.findings import KnownDivision
from search.machine.folders import FolderUnknown
from search.machine.measuring import USUAL_STEPS, Steps

HERE = Conditions("a processor", 4, "cpu", (), "2.15.0")
TABLE = (
    Measured(Share(1, 1), 1234.5),
    Measured(Share(1, 4), 1200.0),
    Measured(Share(4, 1), 3456.0),
)
FOUND = Division("cpu", 1, Share(4, 1), TABLE, 3.5, "2026-11-01T00:00:00+00:00", piece=128)


FRESH = FreshDivision(FOUND)


def never(waited: bool) -> FreshDivision:
    raise AssertionError("measured again")


def test_what_was_measured_is_found_again(tmp_path: Path) -> None:
    assert find_division(tmp_path / "not" / "there", HERE, lambda waited: FRESH) == FOUND
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
def test_what_it_depends_on_is_measured_anew_and_the_others_stay(
    tmp_path: Path, other: dict[str, object]
) -> None:
    find_division(tmp_path, HERE, lambda waited: FRESH)
    elsewhere, found_there = replace(HERE, **other), replace(FOUND, alone=2)  # type: ignore[arg-type]
    assert (
        find_division(tmp_path, elsewhere, lambda waited: FreshDivision(found_there)) == found_there
    )
    assert find_division(tmp_path, HERE, never) == FOUND


def damaged(content: str) -> list[str]:
    document = json.loads(content)
    document["content"]["division"]["alone"] = 3
    return [
        "",
        content[:-40],
        content.replace("1234.5", "1234.6"),
        "[]",
        "null",
        "{}",
        json.dumps(document),
    ]


def test_a_damaged_file_is_measured_again(tmp_path: Path) -> None:
    find_division(tmp_path, HERE, lambda waited: FRESH)
    file = division_file(tmp_path, HERE)
    for content in damaged(file.read_text()):
        file.write_text(content)
        assert read_division(tmp_path, HERE) is None
        assert find_division(tmp_path, HERE, lambda waited: FRESH) == FOUND
        assert read_division(tmp_path, HERE) == FOUND


def test_a_file_that_was_deleted_is_measured_again_also_by_the_process_that_wrote_it(
    tmp_path: Path,
) -> None:
    find_division(tmp_path, HERE, lambda waited: FRESH)
    division_file(tmp_path, HERE).unlink()
    again = FreshDivision(replace(FOUND, alone=4))
    assert find_division(tmp_path, HERE, lambda waited: again) == again.division


def test_a_file_of_another_machine_under_this_ones_name_is_measured_again(tmp_path: Path) -> None:
    other = replace(HERE, cores=8)
    find_division(tmp_path, other, lambda waited: FRESH)
    division_file(tmp_path, other).rename(division_file(tmp_path, HERE))
    assert read_division(tmp_path, HERE) is None


def test_what_is_in_doubt_is_used_and_not_kept(tmp_path: Path) -> None:
    doubted = FreshDivision(FOUND, "1 x 4 trained more than 4 times what 1 x 1 did")
    assert find_division(tmp_path, HERE, lambda waited: doubted) == FOUND
    assert read_division(tmp_path, HERE) is None
    # This process takes it for whatever it works on next.
    assert find_division(tmp_path, HERE, never) == FOUND
    kept_by_another = replace(FOUND, alone=4)
    write_division(tmp_path, HERE, kept_by_another)
    assert find_division(tmp_path, HERE, never) == kept_by_another
    file = division_file(tmp_path, HERE)
    assert fresh_text(FRESH, file) == division_text(FOUND, file)
    assert (
        fresh_text(doubted, file)
        == "workers x threads on cpu: one worker 1 x 1, auto 4 x 1, 128 images at a time; images/s"
        " 1 x 1: 1,234, 1 x 4: 1,200, 4 x 1: 3,456; at 2026-11-01T00:00:00+00:00; 1 x 4 trained"
        " more than 4 times what 1 x 1 did: not kept, the next start measures again, and"
        " --threads N measures nothing"
    )


class Machine:
    """A machine of two cores beside programs that use so much of its processor before and while it
    is measured.
    """

    device = "cpu"

    def __init__(
        self, folder: Path, before: float, meanwhile: float, *, alone: float = 1000.0
    ) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.looks = self.measured = 0
        self._before, self._meanwhile, self._alone = before, meanwhile, alone

    def division(self) -> Division | None:
        return machine_division(
            "cpu", 2, self.folder, self.said.append, look=self._look, trainers=self._open
        )

    def _look(self) -> float:
        self.looks += 1
        return self._before

    def _open(self, device: str) -> "Machine":
        return self

    def __enter__(self) -> "Machine":
        self.measured += 1
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def start(self, count: int) -> None:
        pass

    def images_per_second(self, share: Share, steps: Steps = USUAL_STEPS) -> float:
        if steps != USUAL_STEPS:
            assert (share, steps.batch) == (Share(1, 2), 256)
            return 10.0 * steps.piece
        return {Share(1, 1): self._alone, Share(1, 2): 1500.0, Share(2, 1): 1900.0}[share]

    def room(self) -> Room:
        return Room(workers=2)

    def busy_percent(self) -> float:
        return self._meanwhile


MEASURING = (
    "measuring how many threads and workers this machine trains best with, once: it takes some"
    " seconds"
)
NOT_KEPT = "not kept, the next start measures again, and --threads N measures nothing"


def measured_line(division: Division | None, end: str) -> str:
    assert division is not None
    return (
        "measured: workers x threads on cpu: one worker 1 x 2, auto 2 x 1, 256 images at a time;"
        f" images/s 1 x 1: 1,000, 1 x 2: 1,500, 2 x 1: 1,900; at {division.measured_at}; {end}"
    )


def test_what_was_measured_on_a_quiet_machine_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, before=20.0, meanwhile=20.0)
    division = machine.division()
    file = division_file(tmp_path, conditions("cpu", 2, torch_version(), {}))
    assert machine.said == [MEASURING, measured_line(division, f"delete {file} to measure again")]
    assert machine.division() == division
    assert (machine.measured, machine.looks) == (1, 1)


def test_the_piece_is_measured_for_the_threads_of_one_worker_and_kept(tmp_path: Path) -> None:
    division = Machine(tmp_path, before=0.0, meanwhile=0.0).division()
    assert division is not None
    assert (division.alone, division.piece) == (2, 256)
    assert [kept.piece for _, kept in known_divisions(tmp_path, 2)] == [256]


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_what_is_kept_is_that_of_this_machine(tmp_path: Path, device: str) -> None:
    here = conditions(device, usable_cores(), torch_version(), os.environ)
    assert kept_division(device, tmp_path / "nothing") is None
    find_division(tmp_path, replace(here, processor="another"), lambda waited: FRESH)
    assert kept_division(device, tmp_path) is None
    find_division(tmp_path, here, lambda waited: FRESH)
    assert kept_division(device, tmp_path) == FRESH.division
    division_file(tmp_path, here).write_text("damaged")
    assert kept_division(device, tmp_path) is None


def test_nothing_is_kept_where_nobody_may_look_and_no_piece_is_shown_of_a_gpu(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    assert kept_division("cpu", FolderUnknown.cache()) is None
    assert kept_division("cpu", tmp_path / "file") is None
    assert "images at a time" not in fresh_text(
        FreshDivision(replace(FOUND, device="cuda:0")), tmp_path
    )


def test_what_was_measured_beside_other_programs_is_used_and_not_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, before=3.0, meanwhile=55.5)
    division = machine.division()
    beside = f"measured beside other programs that used 56 % of the processor: {NOT_KEPT}"
    assert machine.said == [MEASURING, measured_line(division, beside)]
    assert known_divisions(tmp_path, 2) == []
    assert machine.division() == division
    assert machine.measured == 1


def test_quiet_is_waited_for_and_what_ran_before_the_measuring_does_not_count(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path, before=100.0, meanwhile=0.0)
    division = machine.division()
    assert machine.looks == LOOKS
    assert [kept for _, kept in known_divisions(tmp_path, 2)] == [division]


def test_what_cannot_be_is_told_of_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.machine.measuring.ENOUGH_SECONDS", 0.0)
    machine = Machine(tmp_path, before=0.0, meanwhile=0.0, alone=273.0)
    division = machine.division()
    assert division is not None
    assert (
        machine.said[1]
        == "measured: workers x threads on cpu: one worker 1 x 2, auto 2 x 1, 256 images at a"
        f" time; images/s 1 x 1: 273, 1 x 2: 1,500, 2 x 1: 1,900; at {division.measured_at}; 1 x"
        " 2 trained more than 2 times what 1 x 1 did, which cannot be, so that the best round"
        f" of each counts: {NOT_KEPT}"
    )
    assert known_divisions(tmp_path, 2) == []


@pytest.fixture
def waiting() -> Iterator[threading.Event]:
    """Set when somebody waits for a lock."""
    event = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting" in record.getMessage():
                event.set()

    logger, handler = logging.getLogger("filelock"), Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield event
    logger.removeHandler(handler)
    logger.setLevel(level)


def wait_for_another(machine: Machine, waiting: threading.Event) -> Division | None:
    """The machine's division where another process has measured, and kept nothing, while this one
    waited.
    """
    known = conditions("cpu", 2, torch_version(), {})
    found: list[Division | None] = []
    waiter = threading.Thread(target=lambda: found.append(machine.division()))
    with FileLock(division_file(machine.folder, known).with_suffix(".lock")):
        waiter.start()
        assert waiting.wait(60)
    waiter.join()
    return found[0]


def test_whoever_waited_for_another_on_a_busy_machine_does_not_measure_as_well(
    tmp_path: Path, waiting: threading.Event
) -> None:
    machine = Machine(tmp_path, before=93.0, meanwhile=93.0)
    division = wait_for_another(machine, waiting)
    assert division is not None
    assert (division.alone, division.together) == (1, Share(2, 1))
    assert machine.said == [
        "not measured: other programs use 93 % of the processor, and another process was measuring"
        " until now; each worker has one thread this time, and --threads N says how many"
    ]
    assert (machine.measured, machine.looks) == (0, 1)
    assert known_divisions(tmp_path, 2) == []


def test_whoever_waited_for_another_that_died_measures_where_it_is_quiet(
    tmp_path: Path, waiting: threading.Event
) -> None:
    machine = Machine(tmp_path, before=5.0, meanwhile=5.0)
    assert [wait_for_another(machine, waiting)] == [
        kept for _, kept in known_divisions(tmp_path, 2)
    ]
    assert machine.measured == 1


def test_a_folder_that_cannot_be_written_costs_the_measuring_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Not even root writes below a file.
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert find_division(tmp_path / "file", HERE, lambda waited: FRESH) == FOUND
    assert caplog.messages == [
        f"{tmp_path}/file: what was measured cannot be kept there (File exists), and is measured"
        " again by each process: make it writable, or pin --threads"
    ]
    assert find_division(tmp_path / "file", HERE, never) == FOUND


# The processes wait for each other, then all ask; who measures says so.
ONE_OF_EIGHT = """
import sys, time
from pathlib import Path
from search.machine.division import Division, Share
from search.machine.division_file import Conditions, FreshDivision, find_division
here = Conditions("a processor", 4, "cpu", (), "2.15.0")
folder = Path(sys.argv[1])
(folder / f"{sys.argv[2]}.here").touch()
while len(list(folder.glob("*.here"))) < 8:
    time.sleep(0.01)
def measure(waited):
    print("measured")
    time.sleep(0.5)
    return FreshDivision(Division("cpu", int(sys.argv[2]), Share(1, 1), (), 0.0, ""))
print(find_division(folder / "division", here, measure).alone)
"""


def test_of_eight_processes_that_start_at_once_one_measures(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_OF_EIGHT, str(tmp_path)]
    started = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(8)
    ]
    said = " ".join(process.communicate(timeout=120)[0] for process in started).split()
    first = said[said.index("measured") + 1]
    assert sorted(said) == [first] * 8 + ["measured"]


def test_auto_is_the_processor_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.machine.division_file._gpus", lambda environment: ())
    assert conditions("auto", 2, "2.15.0", {}) == conditions("cpu", 2, "2.15.0", {})
    monkeypatch.setattr("search.machine.division_file._gpus", lambda environment: ("nvidia0",))
    assert conditions("auto", 2, "2.15.0", {}).gpus == ("nvidia0",)
    assert conditions("cpu", 2, "2.15.0", {}).gpus == ()


def test_what_is_pinned_or_trains_nothing_is_not_measured(tmp_path: Path) -> None:
    def say(line: str) -> None:
        raise AssertionError(line)

    for workers, threads, trains in (
        (None, 1, True),
        (3, 2, True),
        (None, None, False),
        (1, None, False),
    ):
        share = divide(workers, threads, device="cpu", folder=tmp_path, say=say, trains=trains)
        assert workers in (None, share.workers)
        assert threads in (None, share.threads)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_so_many_workers_of_a_gpu_as_were_asked_for_have_a_thread_each_unmeasured(
    device: str, tmp_path: Path
) -> None:
    for workers, threads, expected in ((1, None, 1), (4, None, 1), (1, 3, 3)):
        share = divide(workers, threads, device=device, folder=tmp_path, say=pytest.fail)
        assert share == Share(workers, expected)
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_says_what_was_measured_and_how_to_do_it_again(tmp_path: Path) -> None:
    cores = max(2, usable_cores())
    here = conditions("cpu", cores, torch_version(), {})
    find_division(tmp_path, here, lambda waited: FRESH)
    find_division(tmp_path, replace(here, processor="another"), lambda waited: FRESH)
    file = division_file(tmp_path, here)
    assert known_divisions(tmp_path, cores) == [(file, FOUND)]
    assert (
        division_text(FOUND, file)
        == "workers x threads on cpu: one worker 1 x 1, auto 4 x 1, 128 images at a time; images/s"
        f" 1 x 1: 1,234, 1 x 4: 1,200, 4 x 1: 3,456; at 2026-11-01T00:00:00+00:00; delete {file}"
        " to measure again"
    )


@pytest.mark.parametrize("cores", [1, 2])
def test_the_doctor_looks_and_does_not_measure(
    tmp_path: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.machine.devices.usable_cores", lambda: cores)
    finding = division_finding(tmp_path / "nothing")
    assert (finding.is_good, finding.facts) == (True, ())
    assert finding.found == (
        "not measured yet: the first worker that is not told its threads does it, and keeps it if"
        " other programs use at most 20 % of the processor meanwhile"
        if cores > 1
        else "one core that workers may use: there is nothing to divide"
    )
    find_division(tmp_path, conditions("cpu", cores, torch_version(), {}), lambda waited: FRESH)
    if cores > 1:
        (facts,) = division_finding(tmp_path).facts
        assert isinstance(facts, KnownDivision)
        assert facts.division == FOUND
