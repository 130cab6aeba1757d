"""Ctrl-C, kill and a closed terminal, as they come to commands, scripts and notebooks: real
processes, real signals.
"""

import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

SPEC = (
    '[study]\nname = "s"\ntrials = 2\npruner = "none"\n[data]\ndataset ='
    ' "synthetic"\n[training]\nepochs = 40\n'
)
SLOW = {"HYPERSEARCH_SYNTHETIC_SECONDS": "0.3"}
RUN = [sys.executable, "-m", "hypersearch", "run", "s.toml"]
ENDED = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "terminated"),
    signal.SIGHUP: (129, "hung up"),
}


def write_spec(folder: Path) -> None:
    (folder / "s.toml").write_text(SPEC)


def start(folder: Path, command: list[str], **environment: str) -> subprocess.Popen[str]:
    """A process to which all signals come, even where they do not come to this one."""

    def hear_all() -> None:
        for number in ENDED:
            signal.signal(number, signal.SIG_DFL)

    write_spec(folder)
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | SLOW | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_all,
    )


def script(text: str) -> list[str]:
    return [
        sys.executable,
        "-c",
        f"import hypersearch, os, signal\nspec = hypersearch.load_spec('s.toml')\n{text}",
    ]


def ask(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Nothing where the database is not there yet."""
    file = folder / "hypersearch.db"
    if not file.exists():
        return []
    with sqlite3.connect(file) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def await_epoch(folder: Path, number: int = 1) -> None:
    until(lambda: len(ask(folder, "SELECT 1 FROM hypersearch_epoch")) >= number)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def outcomes(folder: Path) -> list[object]:
    return [
        row[0]
        for row in ask(folder, "SELECT outcome FROM hypersearch_attempt ORDER BY trial_id, attempt")
    ]


def finish(folder: Path) -> None:
    """Goes on with the study at full speed; its budget is met exactly."""
    process = start(folder, RUN, HYPERSEARCH_SYNTHETIC_SECONDS="0")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert ask(folder, "SELECT state, count(*) FROM trials GROUP BY state") == [("COMPLETE", 2)]


def saved_epochs(folder: Path) -> list[tuple[object, ...]]:
    """What the first attempt at the first trial recorded, each epoch with its checkpoint."""
    query = (
        "SELECT epoch, checkpoint FROM hypersearch_epoch WHERE trial_id = 1 AND attempt = 1 ORDER"
        " BY epoch"
    )
    return ask(folder, query)


def assert_last_epoch_is_saved(folder: Path) -> None:
    """It alone, although no ten seconds had passed."""
    recorded = saved_epochs(folder)
    count = len(recorded)
    assert recorded == [*((epoch, None) for epoch in range(1, count)), (count, f"1-{count}.ckpt")]
    assert [path.name for path in folder.rglob("*.ckpt")] == [f"1-{count}.ckpt"]


# --- a script


def test_a_script_catches_ctrl_c_and_goes_on(tmp_path: Path) -> None:
    process = start(
        tmp_path,
        script("""
before = signal.getsignal(signal.SIGINT)
try:
    hypersearch.run(spec, storage="sqlite:///hypersearch.db")
except KeyboardInterrupt as interrupted:
    print(interrupted)
print(signal.getsignal(signal.SIGINT) is before)
os.environ["HYPERSEARCH_SYNTHETIC_SECONDS"] = "0"
print(hypersearch.run(spec, storage="sqlite:///hypersearch.db").record.finished)
"""),
    )
    await_epoch(tmp_path)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert stdout.splitlines() == [
        (
            "interrupted; a trial that was running was handed back; "
            "go on with: hypersearch.run(spec, storage='sqlite:///hypersearch.db')"
        ),
        "True",
        "2",
    ]
    assert outcomes(tmp_path) == ["handed_back", "complete", "complete"]


def test_a_second_ctrl_c_ends_no_script_and_loses_no_trial(tmp_path: Path) -> None:
    """It comes while the trial is being handed back, whose transaction it breaks off."""
    process = start(
        tmp_path,
        script("""
import sqlalchemy, threading
presses = 0
@sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
def press(connection, cursor, statement, *_):
    global presses
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and presses == 0 and "hypersearch_epoch" in statement and "INSERT" in statement:
        presses = 1
        signal.raise_signal(signal.SIGINT)
    elif is_main and presses == 1 and "UPDATE hypersearch_lease" in statement:
        presses = 2
        signal.raise_signal(signal.SIGINT)
try:
    hypersearch.run(spec)
except KeyboardInterrupt as interrupted:
    print(presses, interrupted)
os.environ["HYPERSEARCH_SYNTHETIC_SECONDS"] = "0"
print(hypersearch.run(spec).record.finished)
"""),
    )
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert stdout.splitlines() == [
        (
            "2 interrupted; a trial that was running was handed back; go on with:"
            " hypersearch.run(spec)"
        ),
        "2",
    ]
    assert outcomes(tmp_path) == ["handed_back", "complete", "complete"]


def test_the_callers_own_handlers_are_called_and_what_they_raise_hands_the_trial_back(
    tmp_path: Path,
) -> None:
    process = start(
        tmp_path,
        script("""
def told(number, frame):
    print(signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        raise SystemExit(7)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, told)
hypersearch.run(spec)
"""),
    )
    await_epoch(tmp_path)
    process.send_signal(signal.SIGINT)
    await_epoch(tmp_path, len(ask(tmp_path, "SELECT 1 FROM hypersearch_epoch")) + 2)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout.split()) == (7, ["SIGINT", "SIGTERM"]), stderr
    assert outcomes(tmp_path) == ["handed_back"]


def test_ctrl_c_ends_the_waiting_for_another_run(tmp_path: Path) -> None:
    process = start(
        tmp_path,
        script("""
import threading, time
threading.Thread(target=hypersearch.run, args=[spec], daemon=True).start()
while not os.path.exists("hypersearch.db"):
    time.sleep(0.01)
try:
    hypersearch.run(spec)
except KeyboardInterrupt as interrupted:
    print(interrupted, flush=True)
os._exit(0)
"""),
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("waiting: ")
    await_epoch(tmp_path)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "go on with: hypersearch.run(spec)" in stdout


# --- commands


@pytest.mark.parametrize("number", ENDED)
def test_run_hands_its_trial_back_and_says_how_to_go_on(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = start(tmp_path, RUN)
    await_epoch(tmp_path)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    code, said = ENDED[number]
    assert (process.returncode, stderr.splitlines()[-1]) == (
        code,
        (
            f"hypersearch: {said}; the running trials were handed back; go on with: hypersearch run"
            " --study s"
        ),
    )
    assert outcomes(tmp_path) == ["handed_back"]
    assert_last_epoch_is_saved(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_worker_hands_its_trial_back_and_leaves_with_0(
    number: signal.Signals, tmp_path: Path
) -> None:
    write_spec(tmp_path)
    subprocess.run(
        [sys.executable, "-m", "hypersearch", "create", "s.toml"],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    process = start(tmp_path, [sys.executable, "-m", "hypersearch", "worker"])
    await_epoch(tmp_path)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (
        0,
        "stopped; a trial that was running was handed back\n",
    )
    assert outcomes(tmp_path) == ["handed_back"]


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_signal_that_is_ignored_where_a_command_is_started_stays_ignored(
    number: signal.Signals, tmp_path: Path
) -> None:
    name = number.name.removeprefix("SIG")
    process = start(
        tmp_path, ["sh", "-c", f"trap '' {name}; exec \"$@\"", "sh", *RUN, "--workers", "2"]
    )
    await_epoch(tmp_path)
    process.send_signal(number)
    await_epoch(tmp_path, len(ask(tmp_path, "SELECT 1 FROM hypersearch_epoch")) + 2)
    assert process.poll() is None
    other = signal.SIGINT if number == signal.SIGTERM else signal.SIGTERM
    process.send_signal(other)
    started = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == ENDED[other][0], stderr
    assert set(outcomes(tmp_path)) == {"handed_back"}
    # Its workers were told, and not killed.
    assert time.monotonic() - started < 25
    finish(tmp_path)


def test_closing_the_terminal_hands_the_trial_back(tmp_path: Path) -> None:
    write_spec(tmp_path)
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, RUN, os.environ | SLOW)
    os.set_blocking(terminal, False)

    def has_begun() -> bool:
        with suppress(BlockingIOError):
            os.read(terminal, 65536)
        return bool(ask(tmp_path, "SELECT 1 FROM hypersearch_epoch"))

    until(has_begun)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 129
    assert outcomes(tmp_path) == ["handed_back"]
    assert_last_epoch_is_saved(tmp_path)
    recorded = saved_epochs(tmp_path)
    finish(tmp_path)
    # No epoch was trained again.
    assert saved_epochs(tmp_path) == recorded
