"""StudySpec: the whole definition of a study, read from TOML and validated as a whole."""

import hashlib
import json
import re
from dataclasses import dataclass, field

from objectives.architecture import ModelConfig
from objectives.data.config import DataConfig
from objectives.names import (
    METRIC_DIRECTIONS,
    RESIZES,
)
from search.space.parameters import PARAMETERS
from search.space.search_space import SearchSpace
from search.spec.document import Document
from search.spec.enumeration import Schedule
from search.spec.method_tables import method_document, pruner_document
from search.spec.methods import Counted, Pruner, Sampler
from search.spec.space_table import FirstTrial, domain_to_toml
from storage.direction import Direction
from storage.studies import Budget

DEFAULT_STUDY = "mnist-5k-default"
NAME_LENGTH = 64
NAME_PATTERN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_LENGTH - 1}}}")
DEFINITION_VERSION = 5
BUDGET_KEYS = ("trials", "timeout", "target")
# Two specs of one study may differ in these keys.
NOT_DEFINING = (*BUDGET_KEYS, "priority")


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how each trial trains."""

    epochs: int = 8
    precision: str = "float32"
    decay_scope: str = "weights"
    # One trial may take so long.
    timeout_seconds: float | None = None


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
    first_trials: tuple[FirstTrial, ...] = ()
    # Workers of many studies serve the highest first.
    priority: int = 0
    # The further objectives are of names.COSTS.
    minimize: tuple[str, ...] = ()
    # Each pair is one of names.COSTS and its limit: at most so much.
    constraints: tuple[tuple[str, float], ...] = ()
    # The version is that of the definition it was read from, whose behaviour it keeps: what a study
    # is does not depend on it.
    version: int = field(default=DEFINITION_VERSION, compare=False)

    @property
    def direction(self) -> Direction:
        """Which way the metric is better."""
        return Direction(METRIC_DIRECTIONS[self.metric])

    @property
    def most_trials(self) -> int | None:
        """How many trials the sampler can make at all; `None`: as many as the budget asks for."""
        if isinstance(self.sampler, Counted):
            return self.schedule(self.sampler.points).size
        return None

    @property
    def planned_trials(self) -> int:
        """How many finished trials the study is for."""
        most = self.most_trials
        return self.budget.trials if most is None else min(most, self.budget.trials)

    def schedule(self, points: int | None) -> Schedule:
        """Which trial takes which configuration, where each is run once."""
        return Schedule(self.space, points, self.first_trials, self.seed)

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
        """The spec as a TOML document with nothing left to a default; `parse_spec` reads it
        back.
        """
        study = self._settled_keys()
        study["sampler"] = method_document(self.sampler)
        study["pruner"] = pruner_document(self.pruner)
        data: Document = {"dataset": self.data.dataset, "split_seed": self.data.split_seed}
        if self.data.folds is None:
            data["validation_fraction"] = self.data.validation_fraction
        else:
            data["folds"] = self.data.folds
        if self.data.image_size is not None:
            data["image_size"] = self.data.image_size
        # What came later is stored where it is not the default, so that earlier definitions keep
        # their hash.
        if self.data.resize != RESIZES[0]:
            data["resize"] = self.data.resize
        if self.data.is_folder:
            data["split_version"] = self.data.split_version
        if self.data.groups is not None:
            data["groups"] = self.data.groups
        if self.data.labels is not None:
            data["labels"] = self.data.labels
        document: Document = {
            "study": study,
            "data": data,
            "training": self._training_document(),
            "model": self._model_document(),
            "space": {
                name: domain_to_toml(domain)
                for name, domain in self.space.domains
                if not PARAMETERS[name].added_later or domain != PARAMETERS[name].default
            },
        }
        if self.constraints:
            document["constraints"] = dict(self.constraints)
        if self.first_trials:
            document["trial"] = [dict(trial) for trial in self.first_trials]
        return document

    def _settled_keys(self) -> Document:
        """What [study] holds beside its methods: what it is called, led and ended by."""
        study: Document = {
            "name": self.name,
            "seed": self.seed,
            "metric": self.metric,
            "trials": self.budget.trials,
        }
        if self.budget.timeout_seconds is not None:
            study["timeout"] = self.budget.timeout_seconds
        if self.budget.target is not None:
            study["target"] = self.budget.target
        if self.priority:
            study["priority"] = self.priority
        if self.minimize:
            study["minimize"] = list(self.minimize)
        return study

    def _training_document(self) -> Document:
        training: Document = {
            "epochs": self.training.epochs,
            "precision": self.training.precision,
            "decay_scope": self.training.decay_scope,
        }
        if self.training.timeout_seconds is not None:
            training["timeout"] = self.training.timeout_seconds
        return training

    def _model_document(self) -> Document:
        model: Document = {"hidden_units": self.model.hidden_units}
        if self.model.block != ModelConfig.block:
            model["block"] = self.model.block
        if self.model.channels is not None:
            model["channels"] = list(self.model.channels)
        if self.model.head is not None:
            model["head"] = self.model.head
        return model
