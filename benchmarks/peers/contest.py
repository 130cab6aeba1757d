"""What every peer searches: the default space, mnist-5k and its split, one first configuration; and
what it answers.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from objectives.data.config import DataConfig
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Diverged
from search.machine.folders import needed
from search.machine.settings import Settings
from search.space.configuration import Configuration
from search.space.domains import Choice, Range, Value
from search.space.parameters import PARAMETERS
from search.space.search_space import SearchSpace
from search.spec.document import Document

if TYPE_CHECKING:
    import torch

    from objectives.data.images import ResidentData

EPOCHS = 8
SPACE = SearchSpace.default()
# One would begin with these: Adam as it comes, and no technique.
FIRST: dict[str, Value] = {
    "optimizer": "adam",
    "adam.learning_rate": 1e-3,
    "adam.weight_decay": False,
    "batch_size": 64,
    "scheduler": "constant",
    "l1": False,
    "dropout": False,
    "label_smoothing": False,
    "augmentation": "none",
    "initializer": "default",
    "input_normalization": "none",
    "normalization": "none",
}
DOCUMENT: Document = {
    "study": {"name": "contest", "trials": 300},
    "training": {"epochs": EPOCHS},
    "trial": [dict(FIRST)],
}


@dataclass(frozen=True)
class Answer:
    """What a peer returns: its best complete trial, and what it took."""

    # The values are the configuration's, switches included.
    values: dict[str, Value]
    # The accuracy is the configuration's last one on the validation split.
    validation: float
    complete: int
    stopped: int
    epochs: int
    workers: str

    def hyperparameters(self) -> Hyperparameters:
        """The configuration as a trial is trained under it."""
        return Configuration(self.values).hyperparameters()

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


def suggested(trial: optuna.Trial) -> dict[str, Value]:
    """A configuration of the space by a trial of plain Optuna."""

    def suggest(name: str, domain: Choice | Range) -> Value:
        if isinstance(domain, Choice):
            option = trial.suggest_categorical(name, list(domain.options))
            assert option is not None
            return option
        return trial.suggest_float(name, domain.low, domain.high, log=domain.log)

    return SPACE.suggest(suggest)


def drawn(seed: int) -> dict[str, Value]:
    """A configuration at random, the first one for seed 0."""
    if seed == 0:
        return first_values()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return suggested(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask())


def first_values() -> dict[str, Value]:
    """FIRST as a trial holds it: with switches."""
    values: dict[str, Value] = {}
    for name, value in FIRST.items():
        domain = SPACE.domain(name)
        if isinstance(domain, Choice | Range) and domain.optional:
            values[PARAMETERS[name].switch] = value is not False
        if value is not False:
            values[name] = value
    return values


def cache_root() -> Path:
    """Where mnist-5k is decoded."""
    return needed(Settings.from_environment(os.environ).cache_root)


def searched(device: "torch.device") -> "ResidentData":
    """The images of the contest, on that device."""
    from objectives.data.images import hold, open_dataset

    root = cache_root()
    return hold(open_dataset(DataConfig("mnist-5k"), data_root=root, cache_root=root), device)


def accuracies(
    values: dict[str, Value], seed: int, threads: int, device: str = "cpu"
) -> Iterator[float]:
    """Validation accuracy after each epoch of hypersearch's own trainer: the objective for other
    searches.
    """
    from objectives.device import keep_freed_memory, pick_device, set_threads
    from objectives.run import Run
    from objectives.training import train

    set_threads(threads)
    keep_freed_memory()
    data = searched(pick_device(device))
    try:
        for measurement in train(Run(Configuration(values).hyperparameters(), data, EPOCHS, seed)):
            yield measurement.validation_accuracy
    except Diverged:
        yield 0.0
