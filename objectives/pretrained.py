"""A reference that is not trained here: the features of a network that others have trained, and a
logistic regression on them.
"""

import hashlib
import json
import time
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from objectives.backbone import FEATURES_VERSION, Backbone, open_backbone
from objectives.cost_measurement import measure_costs
from objectives.costs import Costs
from objectives.data.images import LabelledImages, ResidentData, split_sha256
from objectives.device import full_float32, set_threads
from objectives.errors import CheckpointError
from objectives.evaluation import Evaluation
from objectives.feature_cache import kept_features
from objectives.measurement import NEAR_ZERO, Measurement
from objectives.predicted import Predicted
from objectives.protocol import Pulse, ResumableTraining, unwatched
from objectives.regression import Regression, fit_judged, read_regression, regression_bytes


class Reference:
    """The backbone on a study's images; features of a split are computed once, when they are asked
    for. Those of training and validation images are kept in a folder, where there is one.

    >>> reference = Reference("resnet18", content, data)            # doctest: +SKIP
    >>> training = reference.train(seed=0)
    >>> next(training).validation_accuracy, next(training, None)
    (0.91, None)
    """

    def __init__(
        self, name: str, content: bytes, data: ResidentData, folder: Path | None = None
    ) -> None:
        self.name = name
        self._content = content
        self._data = data
        self._folder = folder
        self._backbone: Backbone | None = None
        # Features are kept by the SHA-256 of their split.
        self._features: dict[str, Tensor] = {}

    @property
    def data(self) -> ResidentData:
        """The splits that it is fitted on and judged by."""
        return self._data

    def train(
        self,
        seed: int,
        threads: int | None = None,
        resume: bytes | None = None,
        pulse: Pulse = unwatched,
    ) -> "PretrainedTraining":
        """Fits a regression, in one epoch. Raises CheckpointError as training.train() does."""
        set_threads(threads)
        training = PretrainedTraining(self, seed, pulse)
        if resume is not None:
            training.go_on_from(resume)
        return training

    def model_of(self, training: ResumableTraining) -> bytes:
        """The regression that such a training has fitted, for `answers`."""
        assert isinstance(training, PretrainedTraining)
        return training.regression_bytes()

    def answers(self, regression: bytes, split: LabelledImages, sha256: str) -> Predicted:
        """What a regression that an earlier training kept answers on a split on the device."""
        found = read_regression(regression, split.images.device)
        with full_float32():
            logits = found.logits(self._once(sha256, partial(self._compute, split.images)))
        return _predicted(logits, split.labels, sha256)

    def features(self, split: LabelledImages, sha256: str, pulse: Pulse) -> Tensor:
        """(N, F) of the training or the validation images, which are known by `sha256`."""
        device = split.images.device
        weights = hashlib.sha256(self._content).hexdigest()
        names = (FEATURES_VERSION, self.name, weights, sha256, device.type)
        compute = partial(self._compute, split.images, pulse)
        return self._once(
            sha256, lambda: kept_features(self._folder, names, compute, pulse).to(device)
        )

    def _once(self, sha256: str, compute: Callable[[], Tensor]) -> Tensor:
        if sha256 not in self._features:
            self._features[sha256] = compute()
        return self._features[sha256]

    def _compute(self, images: Tensor, pulse: Pulse = unwatched) -> Tensor:
        return self.backbone().features(images, pulse)

    @cached_property
    def train_sha256(self) -> str:
        """The training images are known by it."""
        return split_sha256(self._data.train)

    def backbone(self) -> Backbone:
        """The network, on the device of the images. Raises DataError where the weights are not
        its own.
        """
        if self._backbone is None:
            device = self._data.train.images.device
            self._backbone = open_backbone(self.name, self._content, self.name, device)
        return self._backbone


class PretrainedTraining:
    """One fit: a ResumableTraining of one epoch, made by Reference.train()."""

    def __init__(
        self,
        reference: Reference,
        seed: int,
        pulse: Pulse,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.epoch = 0
        self._begun = 0
        self._reference = reference
        self._seed = seed
        self._pulse = pulse
        self._clock = clock
        self._fitted: Regression | None = None

    def costs(self) -> Costs:
        """What backbone and regression cost to use on one image."""
        image = self._reference.data.validation.images[:1]
        backbone, regression = self._reference.backbone(), self._regression()

        class Whole(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = backbone.network
                count, classes = regression.weights.shape
                self.head = nn.Linear(count, classes, device=image.device)

            def forward(self, images: Tensor) -> Tensor:
                found: Tensor = self.head(backbone.features(images))
                return found

        with full_float32():
            return measure_costs(Whole(), image, self._clock)

    def __iter__(self) -> "PretrainedTraining":
        return self

    def __next__(self) -> Measurement:
        if self._begun:
            raise StopIteration
        # For good, if it raises.
        self._begun = 1
        began, data = self._clock(), self._reference.data
        regression = self._regression()
        fitted = self._clock()
        seen = _evaluation(self._logits("train"), data.train.labels)
        judged = _evaluation(self._logits("validation"), data.validation.labels)
        measurement = Measurement(
            epoch=1,
            train_loss=seen.loss,
            train_accuracy=seen.accuracy,
            validation_loss=judged.loss,
            validation_accuracy=judged.accuracy,
            validation_balanced_accuracy=judged.balanced_accuracy,
            validation_macro_f1=judged.macro_f1,
            # A quasi-Newton step is as long as its line search says.
            learning_rate=1.0,
            near_zero_share=float((regression.weights.abs() < NEAR_ZERO).double().mean()),
            seconds=self._clock() - began,
            images_per_second=len(data.train.labels) / max(fitted - began, 1e-9),
            train_eval_loss=seen.loss,
        )
        self.epoch = 1
        return measurement

    def predictions(self) -> Predicted:
        """What it answers on the validation split."""
        data = self._reference.data
        logits = self._logits("validation")
        return _predicted(logits, data.validation.labels, data.validation_sha256)

    def regression_bytes(self) -> bytes:
        """The fitted regression, for Reference.answers."""
        return regression_bytes(self._regression())

    def checkpoint(self, epoch: int | None = None) -> bytes:
        """Which fit it is, and whether it was measured: whoever goes on fits again."""
        wanted = self.epoch if epoch is None else epoch
        if wanted not in (0, self.epoch):
            raise CheckpointError.not_kept(wanted)
        return json.dumps({"run": self._fingerprint(), "epoch": wanted}).encode()

    def go_on_from(self, content: bytes) -> None:
        """Raises CheckpointError where it is none of this fit's."""
        try:
            saved = json.loads(content)
            run, epoch = str(saved["run"]), int(saved["epoch"])
        except (ValueError, LookupError, TypeError) as error:
            raise CheckpointError.unreadable() from error
        if run != self._fingerprint():
            raise CheckpointError.of_another_run()
        self.epoch = self._begun = epoch

    def _fingerprint(self) -> str:
        data = self._reference.data
        return repr((self._reference.name, self._seed, data.facts, data.validation_sha256))

    def _regression(self) -> Regression:
        if self._fitted is None:
            data = self._reference.data
            with full_float32():
                self._fitted = fit_judged(
                    self._features("train"),
                    data.train.labels,
                    len(data.class_names),
                    self._seed,
                    self._pulse,
                )
        return self._fitted

    def _features(self, split: str) -> Tensor:
        data, reference = self._reference.data, self._reference
        if split == "train":
            return reference.features(data.train, reference.train_sha256, self._pulse)
        return reference.features(data.validation, data.validation_sha256, self._pulse)

    def _logits(self, split: str) -> Tensor:
        with full_float32():
            return self._regression().logits(self._features(split))


def _evaluation(logits: Tensor, labels: Tensor) -> Evaluation:
    loss, classes = nn.functional.cross_entropy(logits, labels), logits.shape[1]
    pairs = torch.bincount(labels * classes + logits.argmax(1), minlength=classes**2)
    return Evaluation(float(loss), pairs.view(classes, classes).cpu())


def _predicted(logits: Tensor, labels: Tensor, sha256: str) -> Predicted:
    given = logits.softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)
    return Predicted(
        sha256,
        labels.cpu().numpy().astype(np.uint16),
        logits.argmax(1).cpu().numpy().astype(np.uint16),
        given.cpu().numpy().astype(np.float16),
    )
