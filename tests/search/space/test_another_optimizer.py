"""One more optimizer is a dataclass, a function and a declaration: all else follows from these."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import hypersearch
from objectives import hyperparameters as hp
from objectives import optimizers
from objectives.flat_optimizer import ParameterGroups
from search.cli.main import app
from search.space.domains import Range
from search.space.optimizers import OPTIMIZERS, learning_rate, number, optimizer, weight_decay
from search.space.parameter import BELOW_ONE
from search.space.parameters import PARAMETERS
from search.spec.reading import parse_spec
from search.spec.techniques import techniques


@dataclass(frozen=True)
class Signed(hp.Optimizer):
    """Steps of one size, by the sign of the gradient's running mean."""

    name: ClassVar[str] = "signed"
    learning_rate: float
    weight_decay: float = 0.0
    memory: float = 0.9


class SignedStep(torch.optim.Optimizer):
    """m <- memory m + g; w <- w - r sign(m)."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of every parameter."""
        for group in self.param_groups:
            for weight in group["params"]:
                mean = self.state[weight].setdefault("mean", torch.zeros_like(weight))
                mean.mul_(group["memory"]).add_(weight.grad)
                weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(mean.sign() * group["lr"])


def signed_step(
    groups: ParameterGroups, options: Signed, rate: float | Tensor, replayable: bool
) -> torch.optim.Optimizer:
    made.append(options)
    return SignedStep(groups, {"lr": rate, "memory": options.memory})


DECLARATION = optimizer(
    Signed,
    "m <- memory m + g; w <- w - r sign(m)",
    "-",
    learning_rate(Range(1e-4, 1e-2, log=True), usual=Range(1e-3, 3e-3)),
    number("memory", BELOW_ONE, off=Signed.memory),
    weight_decay(Range(1e-4, 1e-1, log=True, optional=True)),
)
made: list[Signed] = []


@pytest.fixture
def _declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made.clear()
    monkeypatch.setitem(optimizers.OPTIMIZERS, "signed", signed_step)
    monkeypatch.setitem(OPTIMIZERS, "signed", DECLARATION)
    for parameter in DECLARATION.parameters:
        monkeypatch.setitem(PARAMETERS, parameter.name, parameter)
    yield
    monkeypatch.undo()
    assert "signed" not in PARAMETERS["optimizer"].options


@pytest.mark.usefixtures("_declared")
def test_an_optimizer_that_is_declared_is_searched_with_from_spec_to_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url, trials = f"sqlite:///{tmp_path}/a.db", 3
    spec = parse_spec(
        {
            "study": {"name": "signed", "trials": trials, "pruner": "none"},
            "data": {"dataset": "digits"},
            "training": {"epochs": 1},
            "model": {"channels": [4], "hidden_units": 8},
            "space": {
                "optimizer": "signed",
                "signed.memory": {"low": 0.5, "high": 0.9},
                "augmentation": "none",
            },
        }
    )
    record = hypersearch.run(spec, storage=url, threads=1).record
    assert (record.finished, record.failed) == (trials, 0)

    app(["compare", "signed", "--json", "--storage", url], standalone_mode=False)
    compared = json.loads(capsys.readouterr().out)["trials"]
    assert [trial["state"] for trial in compared] == ["complete"] * trials
    shown = [trial["params"] for trial in sorted(compared, key=lambda each: each["number"])]
    assert {each["optimizer"] for each in shown} == {"signed"}
    assert made == [
        Signed(
            each["signed.learning_rate"],
            each.get("signed.weight_decay", 0.0),
            each["signed.memory"],
        )
        for each in shown
    ]
    # The first one keeps to what is usual.
    assert 1e-3 <= made[0].learning_rate <= 3e-3
    assert all(1e-4 <= each.learning_rate <= 1e-2 for each in made)
    assert all(0.5 <= each.memory <= 0.9 for each in made)

    described = techniques()[0]
    assert described.options[-1].name == "signed"
    assert [each.name for each in described.parameters][-2:] == [
        "signed.learning_rate",
        "signed.memory",
    ]
