"""What `hypersearch.run` does to the process that it runs in: nothing that is left when it returns."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import hypersearch
from search.document import Document, Toml
from search.notebook import WAITS
from search.spec import StudySpec, parse_spec
from search.turns import RunInsideRun, Turns

SAID_BY_A_RUN = "trial 0 complete"
# Whatever is stopped is no incumbent, of which pictures would be drawn.
UNREACHABLE: Toml = {"name": "threshold", "lower": 1.0, "audit": 0.0}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def digits(name: str, seed: int = 0, trials: int = 1) -> StudySpec:
    """Small networks whose dropout draws from PyTorch's global generator."""
    document: Document = {
        "study": {"name": name, "seed": seed, "trials": trials, "sampler": "random", "pruner": UNREACHABLE},
        "data": {"dataset": "digits"},
        "training": {"epochs": 3},
        "model": {"channels": [4], "hidden_units": 8},
        "space": {"batch_size": 32, "dropout": 0.3, "augmentation": "none", "normalization": "none"},
    }
    return parse_spec(document, "test")


def made_up(name: str, trials: int = 1) -> StudySpec:
    document: Document = {"study": {"name": name, "trials": trials}, "data": {"dataset": "synthetic"}}
    return parse_spec(document, "test")


def losses(spec: StudySpec, storage: str) -> list[list[tuple[float, float]]]:
    found = hypersearch.run(spec, storage=storage, device="cpu", threads=1)
    return [
        [(epoch.train_loss, epoch.validation_loss) for epoch in trial.epochs]
        for trial in sorted(found.trials, key=lambda trial: trial.number)
    ]


def test_runs_in_two_threads_find_what_they_find_one_after_the_other(tmp_path: Path) -> None:
    specs = [digits("one", seed=1), digits("two", seed=2)]

    def all_losses(name: str, threads: int) -> list[list[list[tuple[float, float]]]]:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda spec: losses(spec, f"sqlite:///{tmp_path}/{name}-{spec.name}.db"), specs))

    assert all_losses("together", threads=2) == all_losses("in turn", threads=1)


def test_a_second_run_waits_until_the_first_returns_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYPERSEARCH_SYNTHETIC_SECONDS", "0.02")
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(hypersearch.run, made_up(name), storage=f"sqlite:///{tmp_path}/a.db") for name in "ab"]
        assert [run.result().record.finished for run in both] == [1, 1]
    waited, *trials = capfd.readouterr().err.splitlines()
    assert waited == WAITS
    assert [line.startswith(SAID_BY_A_RUN) for line in trials] == [True, True]


def test_a_run_inside_a_run_is_refused_and_the_outer_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = f"sqlite:///{tmp_path}/a.db"
    refusals: list[str] = []

    class Nosy(io.StringIO):
        """What a caller shows its lines on may call us again."""

        def write(self, text: str) -> int:
            with pytest.raises(RunInsideRun) as refused:
                hypersearch.run(made_up("inner"), storage=storage)
            refusals.append(str(refused.value))
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Nosy())
    assert hypersearch.run(made_up("outer"), storage=storage).record.finished == 1
    expected = "hypersearch.run was called inside another one in the same thread: call it when that returns"
    assert set(refusals) == {expected}
    assert hypersearch.run(made_up("after"), storage=storage).record.finished == 1


def test_a_turn_ends_however_the_run_does() -> None:
    turns = Turns()
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), turns.taken(lambda: None):
            raise error
    with turns.taken(lambda: pytest.fail("nobody is inside")):
        pass
