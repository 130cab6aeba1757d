"""Closed-form learning curves with the protocol of train(), in microseconds and without torch: for
tests and load.
"""

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator

from objectives.costs import Costs
from objectives.data.config import Fold
from objectives.errors import CheckpointError
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Diverged, Measurement
from objectives.predicted import Predicted
from objectives.protocol import Pulse, unwatched
from objectives.schedulers import Plan, learning_rate_factor

CHANCE = 0.1
IMAGES = 4000
# A made-up split has so many images that are answered, of so many classes.
ANSWERED, CLASSES = 1000, 10
# Two runs of the same accuracy disagree on some images: by this share of the range of hardness.
LUCK = 0.03
# A training diverges above this learning rate.
DIVERGES_ABOVE = 1e3

BEST_ACCURACY = 0.99
# An optimizer that is not named here has the rate of adam.
BEST_LEARNING_RATE = {"sgd": 0.1, "adagrad": 0.02, "rmsprop": 1e-3, "adam": 2e-3, "adamw": 2e-3}
BEST_LEARNING_RATE |= {"nadam": 2e-3, "radam": 4e-3}
SHORTFALL = {
    "sgd": 0.002,
    "adagrad": 0.01,
    "rmsprop": 0.006,
    "adam": 0.003,
    "adamw": 0.0,
    "nadam": 0.002,
    "radam": 0.003,
}


class SyntheticCurve:
    """A curve under way: a ResumableTraining, made by synthetic_curve()."""

    def __init__(
        self,
        hyperparameters: Hyperparameters,
        epochs: int,
        seed: int,
        work: Callable[[], None],
        fold: Fold | None = None,
    ) -> None:
        self.epoch = 0
        self._begun = 0
        self._epochs = epochs
        self._width = hyperparameters.width
        divided = () if fold is None else (fold,)
        self._fingerprint = repr((hyperparameters, epochs, seed, *divided))
        self._images = "validation" if fold is None else f"validation {fold}"
        # The accuracy is that after the last finished epoch.
        self._accuracy = CHANCE
        self._measurements = _measurements(hyperparameters, epochs, seed, fold)
        # An epoch takes this work.
        self._work = work
        # A training would still have the state of these epochs.
        self._kept: tuple[int, ...] = (0,)

    def costs(self) -> Costs:
        """Made up: nearly the square of the width."""
        share = self._width**2
        return Costs(round(338_006 * share), round(7_652_840 * share), 0.2 + 0.2 * share)

    def __iter__(self) -> "SyntheticCurve":
        return self

    def __next__(self) -> Measurement:
        if self._begun > self.epoch or self.epoch >= self._epochs:
            raise StopIteration
        self._kept = (self.epoch,)
        # If the epoch raises, it stays begun for good.
        self._begun += 1
        self._work()
        measurement = next(self._measurements)
        self._kept = (self.epoch, measurement.epoch)
        self.epoch = measurement.epoch
        self._accuracy = measurement.validation_accuracy
        return measurement

    def predictions(self) -> Predicted:
        """As many right answers as the last accuracy says, of 1,000 made-up images: the easy ones
        first, but for luck, which is a function of configuration and seed.
        """
        return made_up_predictions(self._images, self._accuracy, self._fingerprint)

    def test_predictions(self) -> Predicted:
        """The same of a made-up test split, on which the run is about as good."""
        luck = random.Random(f"test:{self._fingerprint}").gauss(0.0, 0.004)
        return made_up_predictions("test", _clamped(self._accuracy + luck), self._fingerprint)

    def checkpoint(self, epoch: int | None = None) -> bytes:
        """What synthetic_curve(..., resume=...) goes on from after that epoch. Raises
        CheckpointError as train().
        """
        wanted = self.epoch if epoch is None else epoch
        if wanted not in self._kept:
            raise CheckpointError.not_kept(wanted)
        return json.dumps({"run": self._fingerprint, "epoch": wanted}).encode()

    def go_on_from(self, content: bytes) -> None:
        """Passes over the epochs before a checkpoint. Raises CheckpointError where it is none of
        this curve's.
        """
        try:
            saved = json.loads(content)
            fingerprint, epoch = str(saved["run"]), int(saved["epoch"])
        except (ValueError, LookupError, TypeError) as error:
            raise CheckpointError.unreadable() from error
        if fingerprint != self._fingerprint:
            raise CheckpointError.of_another_run()
        while self.epoch < epoch:
            measurement = next(self._measurements)
            self.epoch, self._accuracy = measurement.epoch, measurement.validation_accuracy
        self._begun, self._kept = epoch, (epoch,)


def synthetic_curve(
    hyperparameters: Hyperparameters,
    epochs: int,
    seed: int,
    *,
    resume: bytes | None = None,
    pulse: Pulse = unwatched,
    seconds_per_epoch: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
    fold: Fold | None = None,
) -> SyntheticCurve:
    """Yields a made-up Measurement for each of `epochs`, a function of the first three arguments
    alone, and of the fold of images that it is judged on, where that is not the search's.

    Accuracy rises to an asymptote that falls smoothly with the distance of each technique from a
    made-up best; the seed adds noise. `resume` and `pulse`, which is called once an epoch, are as
    in train(). Each epoch first sleeps for `seconds_per_epoch`. Raises Diverged(1) for a learning
    rate above 1e3, CheckpointError as train() does.
    """

    def work() -> None:
        # Sleeping for no time takes 80 us.
        if seconds_per_epoch > 0:
            sleep(seconds_per_epoch)
        pulse()

    curve = SyntheticCurve(hyperparameters, epochs, seed, work, fold)
    if resume is not None:
        curve.go_on_from(resume)
    return curve


def made_up_predictions(split: str, accuracy: float, run: str) -> Predicted:
    """Answers for the ANSWERED images of a made-up split; `run` names the training whose luck they
    carry.

    How hard an image is, is the split's; each run finds it harder or easier by LUCK.
    """
    import numpy as np

    images = np.random.RandomState(_number(split))
    labels = images.randint(CLASSES, size=ANSWERED)
    hardness = images.permutation(ANSWERED) / ANSWERED
    mood = np.random.RandomState(_number(f"{split}:{run}"))
    order = np.argsort(hardness + LUCK * mood.standard_normal(ANSWERED), kind="stable")
    right = np.zeros(ANSWERED, dtype=bool)
    right[order[: round(accuracy * ANSWERED)]] = True
    classes = np.where(right, labels, (labels + 1 + mood.randint(CLASSES - 1)) % CLASSES)
    sure = 0.5 + 0.5 * mood.random_sample(ANSWERED)
    return Predicted(
        hashlib.sha256(f"made up: {split}".encode()).hexdigest(),
        labels.astype(np.uint16),
        classes.astype(np.uint16),
        np.where(right, sure, 1 - sure).astype(np.float16),
    )


def _number(text: str) -> int:
    # A seed of RandomState, whose stream NumPy keeps the same in every release (NEP 19).
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _measurements(
    hyperparameters: Hyperparameters, epochs: int, seed: int, fold: Fold | None
) -> Iterator[Measurement]:
    if hyperparameters.optimizer.learning_rate > DIVERGES_ABOVE:
        raise Diverged(1)
    noise = random.Random(f"{seed}:{hyperparameters}")
    asymptote = _asymptote(hyperparameters) + noise.gauss(0.0, 0.002)
    if fold is not None:
        # Some images are harder than others, for every configuration.
        asymptote += random.Random(repr(fold)).gauss(0.0, 0.004)
    steps = math.ceil(IMAGES / hyperparameters.batch_size)
    for epoch in range(1, epochs + 1):
        accuracy = _clamped(_after(epoch * steps, asymptote) + noise.gauss(0.0, 0.003))
        train_accuracy = _clamped(_after(epoch * steps, asymptote + _overfitting(hyperparameters)))
        last_factor = learning_rate_factor(
            hyperparameters.scheduler, epoch * steps - 1, Plan(epochs, steps)
        )
        yield Measurement(
            epoch=epoch,
            train_loss=_loss(train_accuracy),
            train_accuracy=train_accuracy,
            validation_loss=_loss(accuracy),
            validation_accuracy=accuracy,
            validation_balanced_accuracy=accuracy,
            validation_macro_f1=accuracy,
            learning_rate=hyperparameters.optimizer.learning_rate * last_factor,
            near_zero_share=1 - math.exp(-hyperparameters.l1 / 1e-3),
            seconds=1e-3,
            images_per_second=IMAGES / 1e-3,
            train_eval_loss=_loss(train_accuracy) if epoch == epochs else None,
        )


def _asymptote(hyperparameters: Hyperparameters) -> float:
    # Each technique takes its share from the best accuracy, down to chance.
    options = hyperparameters.optimizer
    best_rate = BEST_LEARNING_RATE.get(options.name, BEST_LEARNING_RATE["adam"])
    shortfall = (
        SHORTFALL.get(options.name, SHORTFALL["adam"])
        + (math.log10(options.learning_rate / best_rate) / 1.5) ** 2
        + (math.log10(1 + options.weight_decay / 1e-2)) ** 2
        + (math.log10(1 + hyperparameters.l1 / 1e-3)) ** 2
        + 0.1 * (hyperparameters.dropout - 0.2) ** 2
        + (0.004 if hyperparameters.augmentation is None else 0.0)
        + (0.0 if hyperparameters.normalization == "batch" else 0.003)
        + 0.02 * (1 / hyperparameters.width - 1)
    )
    return CHANCE + (BEST_ACCURACY - CHANCE) * math.exp(-shortfall)


def _overfitting(hyperparameters: Hyperparameters) -> float:
    # Training accuracy ends above validation accuracy by so much: less with dropout and
    # augmentation.
    return (
        0.02
        * (1 - hyperparameters.dropout)
        * (0.5 if hyperparameters.augmentation is not None else 1.0)
    )


def _after(steps: int, asymptote: float) -> float:
    # The curve goes from chance to the asymptote, two thirds of the way in the first 100 optimizer
    # steps.
    return CHANCE + (asymptote - CHANCE) * (1 - math.exp(-steps / 100))


def _clamped(accuracy: float) -> float:
    return min(max(accuracy, 0.0), 1.0)


def _loss(accuracy: float) -> float:
    # The cross-entropy of a model that gives the right class this probability; at most 3.9.
    return -math.log(0.02 + 0.98 * accuracy)
