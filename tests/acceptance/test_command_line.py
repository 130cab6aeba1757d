"""The program as a user runs it: real processes, real files."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import optuna
import pytest

from tests.forked import Started, hypersearch

ONE_SPEC = """
[study]
name = "small"
trials = 4
pruner = "none"
[data]
dataset = "synthetic"
[training]
epochs = 3
"""


def finished(folder: Path, name: str) -> dict[str, object]:
    result = hypersearch(folder, "status", name, "--json")
    assert result.returncode == 0, result.stderr
    status: dict[str, object] = json.loads(result.stdout)
    return status


def digits_spec(folder: Path, name: str, trials: int, epochs: int, extra: str = "") -> str:
    """Of trials that train for real, on images of 8 x 8."""
    small = "" if "[model]" in extra else "[model]\nchannels = [4, 8]\nhidden_units = 16\n"
    text = (
        f'[study]\nname = "{name}"\ntrials = {trials}\n[data]\ndataset = "digits"\n'
        f"[training]\nepochs = {epochs}\n{small}{extra}"
    )
    (folder / f"{name}.toml").write_text(text)
    return f"{name}.toml"


@pytest.fixture
def cache(mnist_5k_cache: Path, tmp_path: Path) -> dict[str, str]:
    """The user's cache with the decoded images in it. (One thread trains: two are slow where other
    tests run.)
    """
    (tmp_path / "cache" / "hypersearch").mkdir(parents=True)
    (tmp_path / "cache" / "hypersearch" / "decoded").symlink_to(
        mnist_5k_cache, target_is_directory=True
    )
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_a_study_runs_to_its_budget_and_run_again_says_that_it_is_finished(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    first = hypersearch(tmp_path, "run", "small.toml")
    assert first.returncode == 0, first.stderr
    assert "best trial: " in first.stdout
    assert len([line for line in first.stderr.splitlines() if line.startswith("trial ")]) == 4
    again = hypersearch(tmp_path, "run", "small.toml")
    assert again.returncode == 0
    assert again.stderr.splitlines() == ["study 'small' is finished: nothing is trained again"]
    assert again.stdout == first.stdout
    assert json.loads(hypersearch(tmp_path, "list", "--json").stdout) == [
        {"study": "small", "state": "ended", "finished": 4, "trials": 4}
    ]


def test_trials_on_the_command_line_raise_the_budget_and_never_lower_it(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    hypersearch(tmp_path, "run", "small.toml")
    assert hypersearch(tmp_path, "run", "--study", "small", "--trials", "6").returncode == 0
    assert finished(tmp_path, "small")["finished"] == 6
    lower = hypersearch(tmp_path, "run", "small.toml", "--trials", "5")
    assert (lower.returncode, lower.stderr) == (
        2,
        (
            "hypersearch: study 'small': study.trials = 5: the study has 6, and a budget may only"
            " be raised\n"
        ),
    )


def test_joining_with_another_definition_names_the_differing_keys(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    hypersearch(tmp_path, "run", "small.toml")
    result = hypersearch(tmp_path, "run", "small.toml", "--epochs", "5")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "training.epochs = 5: study 'small' has 3 there" in result.stderr


def test_two_runs_with_one_seed_give_the_same_comparison_to_the_byte(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    answers = []
    for storage in ("sqlite:///one.db", "sqlite:///two.db"):
        spec = digits_spec(tmp_path, "same", trials=3, epochs=2)
        result = hypersearch(tmp_path, "run", spec, "--storage", storage, "--threads", "1", **cache)
        assert result.returncode == 0, result.stderr
        answers.append(
            hypersearch(tmp_path, "compare", "same", "--json", "--storage", storage).stdout
        )
    assert answers[0] == answers[1]
    assert len(json.loads(answers[0])["trials"]) == 3


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hypersearch", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_an_epoch(folder: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (folder / "hypersearch.db").exists():
            with sqlite3.connect(folder / "hypersearch.db") as connection:
                tables = connection.execute(
                    "SELECT name FROM sqlite_master WHERE name = 'hypersearch_epoch'"
                ).fetchall()
                if (
                    tables
                    and connection.execute("SELECT count(*) FROM hypersearch_epoch").fetchone()[0]
                ):
                    return
        time.sleep(0.05)
    raise AssertionError("no epoch was recorded")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGKILL, -9),
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_stopped_in_a_trial_goes_on_to_exactly_its_budget(
    number: signal.Signals, code: int, tmp_path: Path, cache: dict[str, str]
) -> None:
    small = '[model]\nchannels = [4, 8]\nhidden_units = 20\n[space]\nnormalization = "none"'
    spec = digits_spec(tmp_path, "stopped", trials=2, epochs=16, extra=small)
    process = Started(tmp_path, "run", spec, "--threads", "1", **cache)
    wait_for_an_epoch(tmp_path)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    if number != signal.SIGKILL:
        assert stderr.splitlines()[-1].endswith("go on with: hypersearch run --study stopped")
        assert "Traceback" not in stderr
    result = hypersearch(tmp_path, "run", spec, "--threads", "1", **cache)
    assert result.returncode == 0, result.stderr
    status = finished(tmp_path, "stopped")
    assert (status["finished"], status["failed"], status["running"], status["state"]) == (
        2,
        0,
        [],
        "ended",
    )
    with sqlite3.connect(tmp_path / "hypersearch.db") as connection:
        outcomes = connection.execute(
            "SELECT outcome FROM hypersearch_attempt ORDER BY trial_id, attempt"
        ).fetchall()
    assert outcomes[0] == ("lost" if number == signal.SIGKILL else "handed_back",)


def test_diverging_trials_are_pruned_and_the_study_goes_on(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    extra = '[space]\noptimizer = "sgd"\n"sgd.learning_rate" = 1e6\nnormalization = "none"'
    result = hypersearch(
        tmp_path, "run", digits_spec(tmp_path, "wild", 2, 1, extra), "--threads", "1", **cache
    )
    assert result.returncode == 0, result.stderr
    trials = json.loads(hypersearch(tmp_path, "compare", "wild", "--json").stdout)["trials"]
    assert [(trial["state"], trial["value"]) for trial in trials] == [("pruned", None)] * 2
    study = optuna.load_study(study_name="wild", storage=f"sqlite:///{tmp_path}/hypersearch.db")
    assert [trial.constraints for trial in study.trials] == [{"diverged": 1.0}] * 2


def test_a_study_in_which_every_trial_fails_ends_with_the_first_reason(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    # The weights would take 2.3 TB.
    extra = "[model]\nchannels = [16, 32, 2000000000]\n"
    result = hypersearch(
        tmp_path, "run", digits_spec(tmp_path, "broken", 9, 1, extra), "--threads", "1", **cache
    )
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(
        "hypersearch: study 'broken' ended after 3 failed trials; the first: out of memory:"
        " RuntimeError: "
    )
    status = finished(tmp_path, "broken")
    assert (status["finished"], status["failed"], status["end_reason"]) == (0, 3, "failures")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["run", "none.toml"],
            2,
            "none.toml: no such file: 'hypersearch spec init FILE' writes one to start from",
        ),
        (["run", "--dataset", "mnist", "--data-root", "nowhere"], 3, "mnist"),
        (
            ["run", "--device", "tpu"],
            2,
            'device "tpu" is unknown: choose auto, cpu, cuda, cuda:1 (any number) or mps',
        ),
        (["run", "--dataset", "images:nowhere"], 2, "nowhere"),
        (["run", "--threads", "0"], 2, "--threads 0: give a whole number of 1 or more, or auto"),
        (
            ["run", "--set", "training.epochs"],
            2,
            "--set training.epochs: write KEY=VALUE, as training.epochs=3",
        ),
        (
            ["run", "--set", "training.epohs=3"],
            2,
            "training.epohs = 3: unknown key; did you mean 'epochs'?",
        ),
        (["status", "nothing"], 3, "no database at"),
        (
            ["status", "a", "--storage", "oracle://me:secret@localhost/x"],
            2,
            "storage 'oracle' is not supported: use sqlite",
        ),
        (
            ["status", "a", "--storage", "postgresql://me:secret@127.0.0.1:1/x"],
            3,
            "cannot be reached: ",
        ),
        (["list", "--storage", "sqlite:////nowhere/at/all.db"], 3, "does not exist"),
        (["list", "--storage", "nonsense"], 2, "cannot be read"),
        (["dashboard", "--host", "0.0.0.0"], 3, "no database at"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    result = hypersearch(tmp_path, *arguments, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert result.returncode == code, result.stderr
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "secret" not in result.stderr
    assert result.stdout == ""


def test_a_malformed_spec_creates_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[study]\ntrials = 0\n")
    result = hypersearch(tmp_path, "run", "bad.toml")
    assert (result.returncode, result.stderr) == (
        2,
        "hypersearch: bad.toml: study.trials = 0: must be 1 or more\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_precision_that_the_device_does_not_have_creates_nothing(
    precision: str, workers: str, tmp_path: Path, cache: dict[str, str]
) -> None:
    (tmp_path / "fast.toml").write_text(
        f'[data]\ndataset = "digits"\n[training]\nprecision = "{precision}"\n'
    )
    result = hypersearch(
        tmp_path, "run", "fast.toml", "--device", "cpu", "--workers", workers, **cache
    )
    assert (result.returncode, result.stderr) == (
        2,
        (
            f'hypersearch: precision "{precision}": cpu does not have it; take a GPU that has, or'
            " float32\n"
        ),
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "fast.toml"]


def test_a_quiet_command_says_nothing_but_results_and_errors(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    for arguments in (
        ["create", "small.toml"],
        ["pause", "small"],
        ["resume", "small"],
        ["worker"],
        ["extend", "small", "--trials", "5"],
        ["run", "--study", "small"],
        ["run", "--study", "small"],
        ["delete", "small", "--yes"],
        ["upgrade"],
        ["list"],
    ):
        ended = hypersearch(tmp_path, *arguments, "-q")
        assert (ended.returncode, ended.stderr) == (0, ""), arguments
    refused = hypersearch(tmp_path, "pause", "small", "-q")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def loads(folder: Path, *arguments: str) -> set[str]:
    """The modules that a command has loaded when it ends, in a process of its own."""
    code = (
        "import sys\nfrom search.cli import main as cli\n"
        f"sys.argv = ['hypersearch', *{list(arguments)!r}]\n"
        "try:\n    cli.main()\nfinally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.split())


def test_commands_that_look_start_without_torch_and_without_optuna(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    # So many trials are enough for importances.
    hypersearch(tmp_path, "run", "small.toml", "--trials", "24")
    for arguments in (
        ["--help"],
        ["list"],
        ["status", "small"],
        ["compare", "small"],
        ["spec", "check", "small.toml"],
    ):
        loaded = loads(tmp_path, *arguments)
        assert not {"torch", "optuna", "boto3"} & loaded, arguments
        # Help and completion need no database.
        assert arguments != ["--help"] or not {"sqlalchemy", "numpy", "rich"} & loaded


def test_a_worker_that_nobody_looks_at_loads_nothing_to_draw_with(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    hypersearch(tmp_path, "create", "small.toml")
    loaded = loads(tmp_path, "worker", "--quiet")
    assert "optuna" in loaded
    assert "rich" not in loaded


def test_plain_optuna_opens_the_database(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    hypersearch(tmp_path, "run", "small.toml")
    study = optuna.load_study(study_name="small", storage=f"sqlite:///{tmp_path}/hypersearch.db")
    compared = json.loads(hypersearch(tmp_path, "compare", "small", "--json").stdout)
    assert study.best_value == compared["trials"][0]["value"]
    assert [len(trial.intermediate_values) for trial in study.trials] == [3] * 4


def test_a_folder_that_holds_models_py_does_not_shadow_ours(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    process = start(tmp_path, "run", "small.toml")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr


def test_a_spec_is_written_and_checked_before_there_is_a_database(tmp_path: Path) -> None:
    assert hypersearch(tmp_path, "spec", "init", "my.toml").returncode == 0
    result = hypersearch(tmp_path, "spec", "check", "my.toml")
    assert (result.returncode, result.stderr) == (0, "")
    assert (
        result.stdout
        == "my.toml: study my-study, 40 trials of 8 epochs (at most 320 epochs; fewer where trials"
        " are pruned), time: unknown, nothing like it is recorded\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["my.toml"]


def test_a_watched_study_is_shown_until_it_ends_and_a_watched_list_until_ctrl_c(
    tmp_path: Path,
) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    hypersearch(tmp_path, "create", "small.toml")
    watches = [start(tmp_path, "status", "small", "--watch"), start(tmp_path, "list", "--watch")]
    first = []
    for watch in watches:
        assert watch.stdout is not None
        first.append(watch.stdout.readline())
    assert (
        first == ["study small: open, 0/4 trials finished (0 complete, 0 pruned), 0 failed\n"] * 2
    )
    assert hypersearch(tmp_path, "worker").returncode == 0
    shown, errors = watches[0].communicate(timeout=60)
    assert (watches[0].returncode, errors) == (0, "")
    assert shown.splitlines()[-1].startswith(
        "study small: ended (its budget of trials is used up), 4/4"
    )
    assert watches[1].stdout is not None
    assert any("4/4" in line for line in watches[1].stdout)
    watches[1].send_signal(signal.SIGINT)
    assert watches[1].communicate(timeout=60) == ("", "hypersearch: interrupted\n")
    assert watches[1].returncode == 130


def test_on_a_terminal_the_watch_draws_over_itself_and_gives_the_cursor_back(
    tmp_path: Path,
) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    hypersearch(tmp_path, "create", "small.toml")
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hypersearch", "status", "small", "--watch"],
        cwd=tmp_path,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "CI": ""},
        stdin=side,
        stdout=side,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(side)
    shown = ""
    while "best trial: none" not in shown:
        shown += os.read(terminal, 4096).decode()
    process.send_signal(signal.SIGTERM)
    # Linux says in this way that the other side is closed.
    with suppress(OSError):
        while more := os.read(terminal, 4096).decode():
            shown += more
    os.close(terminal)
    assert process.communicate(timeout=60)[1] == "hypersearch: terminated\n"
    assert process.returncode == 143
    # The cursor is hidden, and shown again.
    assert shown.rindex("\x1b[?25h") > shown.index("\x1b[?25l")


def on_a_terminal(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """How a command ended whose three streams are a terminal, and what that showed."""
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hypersearch", *arguments],
        cwd=folder,
        env=os.environ | {"CI": ""} | environment,
        stdin=side,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    shown = b""
    # Linux says in this way that the other side is closed.
    with suppress(OSError):
        while more := os.read(terminal, 4096):
            shown += more
    os.close(terminal)
    return process.wait(timeout=60), shown.decode()


def test_a_terminal_that_cannot_move_its_cursor_gets_lines_and_a_log_never_gets_control_codes(
    tmp_path: Path,
) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    code, shown = on_a_terminal(tmp_path, "run", "small.toml", TERM="dumb")
    assert (code, "\x1b" in shown) == (0, False)
    assert len([line for line in shown.splitlines() if line.startswith("trial ")]) == 4
    forced = {
        "FORCE_COLOR": "1",
        "TTY_COMPATIBLE": "1",
        "TTY_INTERACTIVE": "1",
        "TERM": "xterm",
        "CI": "",
    }
    logged = hypersearch(tmp_path, "run", "small.toml", "--study", "logged", **forced)
    assert (logged.returncode, "\x1b" in logged.stderr) == (0, False)
    assert len([line for line in logged.stderr.splitlines() if line.startswith("trial ")]) == 4
    watched = hypersearch(tmp_path, "status", "small", "--watch", **forced)
    assert (watched.stdout.count("\n"), watched.stdout.partition(";")[0]) == (
        1,
        (
            "study small: ended (its budget of trials is used up), 4/4 trials finished (4 complete,"
            " 0 pruned), 0 failed"
        ),
    )


def test_watch_and_json_are_refused_together(tmp_path: Path) -> None:
    result = hypersearch(tmp_path, "list", "--watch", "--json")
    assert (result.returncode, result.stderr) == (
        2,
        "hypersearch: --watch and --json do not go together: leave one out\n",
    )


def test_several_studies_are_compared_and_written_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    for name in ("small", "other"):
        assert hypersearch(tmp_path, "run", "small.toml", "--study", name, "-q").returncode == 0
    both = json.loads(hypersearch(tmp_path, "compare", "small", "other", "--json").stdout)
    assert [study["study"] for study in both["studies"]] == ["small", "other"]
    assert both["equal_trials"] == 4
    twice = hypersearch(tmp_path, "compare", "small", "small", "--json").stdout
    assert twice == hypersearch(tmp_path, "compare", "small", "--json").stdout
    written = hypersearch(tmp_path, "compare", "small", "other", "--csv", "-o", "trials.csv")
    assert (written.returncode, written.stdout) == (0, "")
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 9
    nowhere = hypersearch(tmp_path, "compare", "small", "-o", "nowhere/a.txt")
    assert (nowhere.returncode, nowhere.stderr) == (
        2,
        (
            "hypersearch: nowhere/a.txt: cannot be written (No such file or directory): name"
            " another file\n"
        ),
    )


def test_compare_takes_the_width_that_is_said_and_shows_one_trial_whole(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    assert hypersearch(tmp_path, "run", "small.toml", "-q").returncode == 0
    for environment, width in (({}, 100), ({"COLUMNS": "60"}, 60)):
        shown = hypersearch(tmp_path, "compare", "small", **environment).stdout
        assert width - 20 < max(map(len, shown.splitlines())) <= width
    whole = hypersearch(tmp_path, "compare", "small", "--trial", "1").stdout
    assert whole.startswith("study small, trial 1: ")
    document = json.loads(
        hypersearch(tmp_path, "compare", "small", "--trial", "1", "--json").stdout
    )
    assert document["number"] == 1
    refused = [
        hypersearch(tmp_path, "compare", *arguments)
        for arguments in (
            ("small", "--trial", "9"),
            ("small", "--trial", "x"),
            ("small", "small2", "--trial", "1"),
            ("small", "--trial", "1", "--csv"),
        )
    ]
    assert [(each.returncode, each.stdout, each.stderr) for each in refused] == [
        (2, "", "hypersearch: study 'small' has no trial 9: its trials are 0-3\n"),
        (
            2,
            "",
            "hypersearch: --trial x: give a whole number from 0 to 1000000000, in the digits 0 to"
            " 9\n",
        ),
        (2, "", "hypersearch: --trial 1: name one study, not 2\n"),
        (2, "", "hypersearch: --trial and --csv do not go together: leave one out\n"),
    ]


def test_an_answer_goes_where_output_says_and_a_spec_takes_the_place_of_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "small.toml").write_text(ONE_SPEC)
    hypersearch(tmp_path, "create", "small.toml")
    printed = hypersearch(tmp_path, "spec", "show", "small").stdout
    (tmp_path / "real.toml").touch(0o600)
    (tmp_path / "link.toml").symlink_to("real.toml")
    for place in ("link.toml", "/dev/null"):
        written = hypersearch(tmp_path, "spec", "show", "small", "-o", place)
        assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
    assert (tmp_path / "link.toml").is_symlink()
    assert (
        (tmp_path / "real.toml").read_text(),
        (tmp_path / "real.toml").stat().st_mode & 0o777,
    ) == (printed, 0o600)
    with (tmp_path / "log").open("w") as log:
        print("before", file=log, flush=True)
        subprocess.run(
            [sys.executable, "-m", "hypersearch", "spec", "show", "small", "-o", "/dev/stdout"],
            cwd=tmp_path,
            stdout=log,
            check=True,
        )
    assert (tmp_path / "log").read_text() == f"before\n{printed}"
    folder = hypersearch(tmp_path, "spec", "show", "small", "-o", ".")
    assert (folder.returncode, folder.stderr) == (
        2,
        "hypersearch: .: cannot be written (Is a directory): name another file\n",
    )
    again = hypersearch(tmp_path, "spec", "init", "small.toml")
    assert (again.returncode, again.stderr) == (
        2,
        "hypersearch: small.toml is there already: name another file\n",
    )
    assert (tmp_path / "small.toml").read_text() == ONE_SPEC


def test_the_doctor_looks_at_every_part_and_makes_nothing(
    tmp_path: Path, cache: dict[str, str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    well = hypersearch(tmp_path, "doctor", **cache)
    assert (well.returncode, well.stderr) == (0, "")
    parts = [line.removeprefix("good   ").partition(":")[0] for line in well.stdout.splitlines()]
    assert parts == [
        "python",
        "packages",
        "extras",
        "pytorch",
        "processor",
        "accelerators",
        "division",
        "storage",
        "data folder",
        "cache",
        "artifact root",
    ]
    ill = hypersearch(
        tmp_path, "doctor", "--json", "--storage", "postgresql://me:secret@127.0.0.1:1/x", **cache
    )
    assert (ill.returncode, ill.stderr) == (3, "")
    assert [each["part"] for each in json.loads(ill.stdout)["findings"] if not each["good"]] == [
        "storage"
    ]
    assert "secret" not in ill.stdout
    assert sorted(tmp_path.rglob("*")) == before
