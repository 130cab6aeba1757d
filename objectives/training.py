"""Trains one CNN under one set of hyperparameters and yields what each epoch gave."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.cnn import CNN, CNNConfig
from objectives.augmentation import augment
from objectives.data import LabelledImages, ResidentData
from objectives.device import GlobalRandom, derived_seed, generator
from objectives.evaluation import Evaluation, evaluate, normalizer
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Diverged, Measurement
from objectives.optimizers import build_optimizer, l1_penalty, near_zero_share, penalized
from objectives.schedulers import Plan, learning_rate_factor

# How many images go through the network at a time, by type of device: results depend on it by rounding, and by which
# dropout masks are drawn. On a CPU because glibc gives large blocks back to the system after each use: batch 256 of
# 28 x 28, 2 threads of an EPYC, torch 2.15, images/s (n = 7): 3,480 by 64, 3,410 by 96, 2,270 by 128, 2,070 at once;
# under device.keep_freed_memory 3,900 to 4,300 by any. On a GPU so that evaluation fits; not measured.
IMAGES_AT_ONCE = {"cpu": 64, "cuda": 512, "mps": 512}
TRAIN_SAMPLE_SEED = 0  # of the training images that train_eval_loss is measured on: the same for every trial


@dataclass(frozen=True)
class Run:
    """One training: everything that its result depends on."""

    hyperparameters: Hyperparameters
    data: ResidentData  # on the device to train on
    epochs: int
    seed: int
    channels: tuple[int, ...] = (16, 32, 64)
    hidden_units: int = 100
    decay_scope: str = "weights"  # of names.DECAY_SCOPES


def train(run: Run, *, clock: Callable[[], float] = time.perf_counter) -> Iterator[Measurement]:
    """Trains for `run.epochs` epochs and yields a Measurement after each; raises Diverged.

    On a CPU with the same number of threads the same run gives the same measurements, bit for bit, but for `seconds`
    and `images_per_second`. What draws from torch's global generators in between does not matter, and sees no trace.

    >>> for measurement in train(Run(Hyperparameters(Adam(1e-3)), data, epochs=8, seed=0)):
    ...     print(measurement.epoch, measurement.validation_accuracy)
    """
    state = _State.fresh(run)
    while state.epoch < run.epochs:
        yield _epoch(run, state, clock)


@dataclass
class _State:
    # All that one epoch hands to the next: what a checkpoint holds.
    model: nn.Module
    optimizer: torch.optim.Optimizer
    shuffle: torch.Generator
    augmentation: torch.Generator
    random: GlobalRandom  # of dropout, after the initializer
    epoch: int = 0  # finished

    @classmethod
    def fresh(cls, run: Run) -> "_State":
        images = run.data.train.images
        random = GlobalRandom(derived_seed(run.seed, "torch"), images.device)
        with random.active():
            model = CNN(_config(run)).to(images.device).to(memory_format=torch.channels_last)
        return cls(
            model,
            build_optimizer(run.hyperparameters.optimizer, model, run.decay_scope),
            generator(run.seed, "shuffle", torch.device("cpu")),
            generator(run.seed, "augmentation", images.device),
            random,
        )


def _config(run: Run) -> CNNConfig:
    _, channels, height, width = run.data.train.images.shape
    return CNNConfig(
        in_channels=channels,
        image_size=(height, width),
        classes=len(run.data.class_names),
        channels=run.channels,
        hidden_units=run.hidden_units,
        normalization=run.hyperparameters.normalization,
        initializer=run.hyperparameters.initializer,
        dropout=run.hyperparameters.dropout,
    )


def _epoch(run: Run, state: _State, clock: Callable[[], float]) -> Measurement:
    started = clock()
    state.epoch += 1
    with state.random.active():
        train_loss, train_accuracy, learning_rate = _pass(run, state)
    trained = clock()
    validation = _score(run, state.model, run.data.validation)
    if not (math.isfinite(train_loss) and math.isfinite(validation.loss)):
        raise Diverged(state.epoch)
    last = state.epoch == run.epochs
    train_eval_loss = _score(run, state.model, _train_sample(run.data)).loss if last else None
    return Measurement(
        epoch=state.epoch,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        validation_loss=validation.loss,
        validation_accuracy=validation.accuracy,
        validation_balanced_accuracy=validation.balanced_accuracy,
        validation_macro_f1=validation.macro_f1,
        learning_rate=learning_rate,
        near_zero_share=near_zero_share(state.model),
        seconds=clock() - started,
        images_per_second=len(run.data.train.labels) / (trained - started),
        train_eval_loss=train_eval_loss,
    )


def _pass(run: Run, state: _State) -> tuple[float, float, float]:
    # Every training image once: mean loss and accuracy as trained on, and the last learning rate.
    images, labels = run.data.train.images, run.data.train.labels
    order = torch.randperm(len(labels), generator=state.shuffle).to(labels.device)
    batches = _batches(order, run.hyperparameters.batch_size)
    plan = Plan(run.epochs, len(batches))
    losses, correct = [], []
    for step, chosen in enumerate(batches, start=(state.epoch - 1) * len(batches)):
        factor = learning_rate_factor(run.hyperparameters.scheduler, step, plan)
        learning_rate = run.hyperparameters.optimizer.learning_rate * factor
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate
        batch_losses, batch_correct = _step(run, state, images[chosen], labels[chosen])
        losses += batch_losses
        correct += batch_correct
    # The device is waited for here alone.
    return (
        float(torch.stack(losses).sum()) / len(labels),
        float(torch.stack(correct).sum()) / len(labels),
        learning_rate,
    )


def _batches(order: Tensor, batch_size: int) -> tuple[Tensor, ...]:
    # A last batch of one joins the one before.
    return order.tensor_split(list(range(batch_size, len(order) - 1, batch_size)))


def _step(run: Run, state: _State, pixels: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    # One optimizer step on images (B, C, H, W) uint8; the sums of losses and of right answers, without penalties.
    options = run.hyperparameters
    images = pixels.float() / 255
    if options.augmentation is not None:
        images = augment(images, options.augmentation, state.augmentation)
    images = normalizer(options.input_normalization, run.data.mean, run.data.deviation)(images)
    images = images.contiguous(memory_format=torch.channels_last)
    # The statistics of batch normalization are those of the whole batch; nothing else depends on it.
    at_once = len(labels) if options.normalization == "batch" else IMAGES_AT_ONCE[labels.device.type]
    pieces = math.ceil(len(labels) / at_once)
    losses, correct = [], []
    state.optimizer.zero_grad()
    for part, truth in zip(images.chunk(pieces), labels.chunk(pieces), strict=True):
        logits = state.model(part)
        loss = nn.functional.cross_entropy(logits, truth, reduction="sum")
        torch.autograd.backward(loss / len(labels))
        losses.append(loss.detach())
        correct.append((logits.detach().argmax(1) == truth).sum())
    if options.l1 > 0:
        torch.autograd.backward(l1_penalty(penalized(state.model, run.decay_scope), options.l1))
    state.optimizer.step()
    return losses, correct


def _score(run: Run, model: nn.Module, split: LabelledImages) -> Evaluation:
    normalize = normalizer(run.hyperparameters.input_normalization, run.data.mean, run.data.deviation)
    return evaluate(model, split.images, split.labels, normalize, IMAGES_AT_ONCE[split.labels.device.type])


def _train_sample(data: ResidentData) -> LabelledImages:
    # As many training images as validation has, or all; the same ones for every trial.
    generator = torch.Generator().manual_seed(TRAIN_SAMPLE_SEED)
    chosen = torch.randperm(len(data.train.labels), generator=generator)[: len(data.validation.labels)]
    chosen = chosen.to(data.train.labels.device)
    return LabelledImages(data.train.images[chosen], data.train.labels[chosen])
