"""StudySpec: the whole definition of a study, read from TOML and validated as a whole."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from objectives.data_config import DataConfig
from objectives.names import DATASETS, DECAY_SCOPES, IMAGES_PREFIX, METRIC_DIRECTIONS, PRECISIONS
from search.document import Document, SpecError, Table, Toml, one_of
from search.methods import ASHA, PRUNERS, SAMPLERS, TPE, Median, NoPruner, Pruner, Random, Sampler
from search.space import PARAMETERS, Limits, SearchSpace
from search.space_document import Trial, domain_to_toml, read_space, read_trial
from storage.studies import Budget

DEFAULT_STUDY = "mnist-5k-default"
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFINITION_VERSION = 2
BUDGET_KEYS = ("trials", "timeout", "target")
NOT_DEFINING = (*BUDGET_KEYS, "priority")  # what two specs of one study may differ in


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how each trial trains."""

    epochs: int = 8
    precision: str = "float32"
    decay_scope: str = "weights"
    timeout_seconds: float | None = None  # of one trial


@dataclass(frozen=True)
class ModelConfig:
    """The widths of the CNN."""

    channels: tuple[int, ...] = (16, 32, 64)
    hidden_units: int = 100


@dataclass(frozen=True)
class StudySpec:
    """The whole definition of a study and its budget.

    >>> spec = parse_spec({"study": {"name": "digits"}, "space": {"optimizer": "sgd"}})
    >>> spec.budget.trials, spec.space.domain("optimizer")
    (40, Choice(options=('sgd',), optional=False))
    """

    name: str
    seed: int
    metric: str
    budget: Budget
    sampler: Sampler
    pruner: Pruner
    data: DataConfig
    training: TrainingConfig
    model: ModelConfig
    space: SearchSpace
    first_trials: tuple[Trial, ...] = ()
    priority: int = 0  # workers of many studies serve the highest first

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Which way the metric is better."""
        return METRIC_DIRECTIONS[self.metric]

    def definition(self) -> str:
        """All but the budget as canonical JSON: what the storage holds and what workers read."""
        document = self.to_document()
        study = document["study"]
        assert isinstance(study, dict)
        for key in NOT_DEFINING:
            study.pop(key, None)
        document["version"] = DEFINITION_VERSION
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    def definition_hash(self) -> str:
        """SHA-256 of the definition, in hex."""
        return hashlib.sha256(self.definition().encode()).hexdigest()

    def to_document(self) -> Document:
        """The spec as a TOML document with nothing left to a default; `parse_spec` reads it back."""
        study: Document = {"name": self.name, "seed": self.seed, "metric": self.metric, "trials": self.budget.trials}
        if self.budget.timeout_seconds is not None:
            study["timeout"] = self.budget.timeout_seconds
        if self.budget.target is not None:
            study["target"] = self.budget.target
        if self.priority:
            study["priority"] = self.priority
        study["sampler"] = _named_table(self.sampler)
        study["pruner"] = _named_table(self.pruner)
        data: Document = {
            "dataset": self.data.dataset,
            "validation_fraction": self.data.validation_fraction,
            "split_seed": self.data.split_seed,
        }
        if self.data.image_size is not None:
            data["image_size"] = self.data.image_size
        training: Document = {
            "epochs": self.training.epochs,
            "precision": self.training.precision,
            "decay_scope": self.training.decay_scope,
        }
        if self.training.timeout_seconds is not None:
            training["timeout"] = self.training.timeout_seconds
        document: Document = {
            "study": study,
            "data": data,
            "training": training,
            "model": {"channels": list(self.model.channels), "hidden_units": self.model.hidden_units},
            "space": {name: domain_to_toml(domain) for name, domain in self.space.domains},
        }
        if self.first_trials:
            document["trial"] = [dict(trial) for trial in self.first_trials]
        return document


def _named_table(method: Sampler | Pruner) -> Document:
    return {"name": method.name} | {field.name: getattr(method, field.name) for field in fields(method)}


def parse_definition(definition: str, name: str, budget: Budget, priority: int = 0) -> StudySpec:
    """The spec from a stored definition and the stored budget.

    Raises:
        SpecError: it was stored by a version of this program that knew more.
    """
    document = json.loads(definition)
    version = document.pop("version")
    if version > DEFINITION_VERSION:
        raise SpecError(f"study {name!r}", ["its stored definition is of a later version: pip install -U hypersearch"])
    if version == 1:  # it names every parameter that there was then, and those that came later are not searched
        off = {each.name: False for each in PARAMETERS.values() if each.off is not None}
        document["space"] = off | document["space"]
    document["study"] |= {"trials": budget.trials, "priority": priority}
    if budget.timeout_seconds is not None:
        document["study"]["timeout"] = budget.timeout_seconds
    if budget.target is not None:
        document["study"]["target"] = budget.target
    return parse_spec(document, source=f"study {name!r}")


def parse_spec(document: Mapping[str, Toml], source: str = "spec") -> StudySpec:
    """Validates a document as a whole.

    Raises:
        SpecError: with every fault that was found.
    """
    faults: list[str] = []
    root = Table(document, "", faults)
    spec = _read_spec(root)
    root.refuse_the_rest()
    if faults:
        raise SpecError(source, faults)
    return spec


def _read_spec(root: "Table") -> StudySpec:
    study, data = root.table("study"), root.table("data")
    training, model = root.table("training"), root.table("model")
    epochs = training.integer("epochs", 8, low=1)
    config = _read_data(data)
    space = read_space(root.table("space"), config.dataset)
    spec = StudySpec(
        name=_read_name(study),
        seed=study.integer("seed", 0, low=0, high=2**32 - 1),
        metric=study.option("metric", "accuracy", tuple(METRIC_DIRECTIONS)),
        budget=Budget(
            trials=study.integer("trials", 40, low=1),
            timeout_seconds=study.duration("timeout"),
            target=study.optional_number("target"),
        ),
        sampler=_read_sampler(study),
        pruner=_read_pruner(study, epochs),
        data=config,
        training=TrainingConfig(
            epochs=epochs,
            precision=training.option("precision", "float32", PRECISIONS),
            decay_scope=training.option("decay_scope", "weights", DECAY_SCOPES),
            timeout_seconds=training.duration("timeout"),
        ),
        model=ModelConfig(
            channels=model.integers("channels", (16, 32, 64), low=1),
            hidden_units=model.integer("hidden_units", 100, low=1),
        ),
        space=space,
        first_trials=tuple(read_trial(trial, space) for trial in root.tables("trial")),
        priority=study.integer("priority", 0, low=-1000, high=1000),
    )
    for table in (study, data, training, model):
        table.refuse_the_rest()
    return spec


def _read_name(study: "Table") -> str:
    name = study.string("name", DEFAULT_STUDY)
    if NAME_PATTERN.fullmatch(name) is None:
        study.fault("name", name, "use 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit")
    return name


def _read_data(data: "Table") -> DataConfig:
    dataset = data.string("dataset", "mnist-5k")
    if dataset.startswith(IMAGES_PREFIX):
        if dataset == IMAGES_PREFIX:
            data.fault("dataset", dataset, f"name the folder, {IMAGES_PREFIX}FOLDER")
    elif dataset not in DATASETS:
        data.fault("dataset", dataset, f"{one_of(dataset, DATASETS)}, or {IMAGES_PREFIX}FOLDER")
    image_size = data.optional_integer("image_size", low=1, high=4096)
    if image_size is not None and not dataset.startswith(IMAGES_PREFIX):
        data.fault("image_size", image_size, f"goes with {IMAGES_PREFIX}FOLDER alone: leave it out")
    return DataConfig(
        dataset=dataset,
        validation_fraction=data.number("validation_fraction", 0.2, Limits(0.0, 1.0, low_open=True, high_open=True)),
        split_seed=data.integer("split_seed", 0, low=0, high=2**32 - 1),
        image_size=image_size,
    )


def _read_sampler(study: "Table") -> Sampler:
    name, options = study.method("sampler", "tpe", tuple(SAMPLERS))
    sampler: Sampler
    match name:
        case "random":
            sampler = Random()
        case _:
            sampler = TPE(startup_trials=options.integer("startup_trials", TPE.startup_trials, low=0))
    options.refuse_the_rest()
    return sampler


def _read_pruner(study: "Table", epochs: int) -> Pruner:
    name, options = study.method("pruner", "asha", tuple(PRUNERS))
    # A quarter of the run before the first judgement: schedules and penalties have shown little before.
    min_epochs = max(1, round(epochs / 4))
    pruner: Pruner
    match name:
        case "none":
            pruner = NoPruner()
        case "median":
            pruner = Median(
                startup_trials=options.integer("startup_trials", Median.startup_trials, low=0),
                min_epochs=options.integer("min_epochs", min_epochs, low=1),
            )
        case _:
            pruner = ASHA(
                min_epochs=options.integer("min_epochs", min_epochs, low=1),
                reduction_factor=options.integer("reduction_factor", ASHA.reduction_factor, low=2),
            )
    options.refuse_the_rest()
    return pruner
