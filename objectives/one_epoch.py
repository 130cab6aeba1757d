"""One epoch of a training: a pass over the training images, step by step, and its evaluation."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.dropout import masks_of_a_batch
from objectives.augmentation import Transforms, draw_in_batches
from objectives.class_balance import balanced_order
from objectives.data.images import LabelledImages, ResidentData
from objectives.device import float32_products, sent
from objectives.evaluation import Evaluation, evaluate, normalizer
from objectives.measurement import Measurement
from objectives.optimizers import l1_penalty, near_zero_share, penalized, set_learning_rate
from objectives.passes import Epoch, Pass, batch_lengths
from objectives.protocol import Pulse
from objectives.run import Run
from objectives.schedulers import Plan, learning_rate_factor, warmup_factor
from objectives.training_state import TrainingState

# The training images that train_eval_loss is measured on are drawn by it: the same for every trial.
TRAIN_SAMPLE_SEED = 0


def train_epoch(
    run: Run, state: TrainingState, train_pass: Pass, pulse: Pulse, clock: Callable[[], float]
) -> Measurement:
    """Trains for one epoch and measures what it gave."""
    started = clock()
    epoch = state.epoch + 1
    with float32_products("tf32" if run.precision == "tf32" else "ieee"):
        train_loss, train_accuracy, learning_rate = _pass(run, state, train_pass, pulse)
    trained = clock()
    validation = _score(run, state.model, run.data.validation, pulse)
    last = epoch == run.epochs
    train_eval_loss = (
        _score(run, state.model, _train_sample(run.data), pulse).loss if last else None
    )
    return Measurement(
        epoch=epoch,
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


def _pass(
    run: Run, state: TrainingState, train_pass: Pass, pulse: Pulse
) -> tuple[float, float, float]:
    # The means are over as many training images as there are: loss and accuracy as trained on, and
    # the last learning rate.
    count = len(run.data.train.labels)
    epoch = _planned(run, state)
    # The device is waited for here alone.
    losses, correct = train_pass(epoch, pulse)
    return float(losses.sum()) / count, float(correct.double().sum()) / count, epoch.rates[-1]


def _planned(run: Run, state: TrainingState) -> Epoch:
    images, options = run.data.train.images, run.hyperparameters
    lengths = batch_lengths(len(images), options.batch_size)
    plan, first = Plan(run.epochs, len(lengths)), state.epoch * len(lengths)
    rates = (
        options.optimizer.learning_rate
        * learning_rate_factor(options.scheduler, step, plan, state.validation_losses)
        * warmup_factor(options.warmup, step, plan)
        for step in range(first, first + len(lengths))
    )
    transforms = Transforms()
    if options.augmentation is not None:
        height, width = images.shape[-2:]
        transforms = draw_in_batches(
            lengths, (height, width), options.augmentation, state.augmentation
        )
    return Epoch(
        sent(_order(run, state.shuffle), images.device),
        lengths,
        tuple(rates),
        transforms,
    )


def _order(run: Run, shuffle: torch.Generator) -> Tensor:
    """The images of an epoch by number (N,): every one once, or small classes oftener."""
    labels, strength = run.data.train_labels, run.hyperparameters.balanced_sampling
    if strength > 0:
        return balanced_order(labels, strength, shuffle)
    return torch.randperm(len(labels), generator=shuffle)


def take_step(
    run: Run, state: TrainingState, chosen: Tensor, transforms: Transforms, rate: float | Tensor
) -> Tensor:
    """One optimizer step: for each piece of the batch that went through the network at once the sum
    of losses, without penalties, smoothing and weights of classes, and of right answers; of mixed
    images both by their shares of each class. See passes.Take.
    """
    set_learning_rate(state.optimizer, rate)
    # The pixels have shape (B, C, H, W) and are uint8, the labels (B,).
    pixels, labels = run.data.train.images[chosen], run.data.train.labels[chosen]
    options = run.hyperparameters
    images, truths = transforms.mixed(transforms.applied_to(pixels.float() / 255), labels)
    images = normalizer(options.input_normalization, run.data.mean, run.data.deviation)(images)
    images = images.contiguous(memory_format=state.memory_format)
    # The statistics of batch normalization are those of the whole batch, and so are dropout's
    # masks.
    at_once = len(labels) if options.normalization == "batch" else run.images_at_once
    pieces = math.ceil(len(labels) / at_once)
    losses, correct = [], []
    state.optimizer.zero_grad()
    with masks_of_a_batch(state.model, len(labels)):
        for part, truth in zip(images.chunk(pieces), truths.chunk(pieces), strict=True):
            with torch.autocast(
                labels.device.type, torch.bfloat16, enabled=run.precision == "bf16"
            ):
                logits = state.model(part)
            logits = logits.float()
            loss = truth.cross_entropy(logits)
            losses.append(loss.detach())
            if options.label_smoothing > 0 or state.class_weights is not None:
                loss = truth.cross_entropy(logits, options.label_smoothing, state.class_weights)
            torch.autograd.backward(loss / len(labels))
            correct.append(truth.right(logits.detach().argmax(1)))
    if options.l1 > 0:
        torch.autograd.backward(l1_penalty(penalized(state.model, run.decay_scope), options.l1))
    # The gradient of all of that is clipped as one vector (Pascanu et al. 2013).
    if options.gradient_clipping is not None:
        nn.utils.clip_grad_norm_(state.model.parameters(), options.gradient_clipping)
    state.optimizer.step()
    return torch.stack([torch.stack(losses), torch.stack(correct).float()])


def _score(run: Run, model: nn.Module, split: LabelledImages, pulse: Pulse) -> Evaluation:
    normalize = normalizer(
        run.hyperparameters.input_normalization, run.data.mean, run.data.deviation
    )
    found = evaluate(model, split.images, split.labels, normalize, run.images_at_once)
    pulse()
    return found


def _train_sample(data: ResidentData) -> LabelledImages:
    # The sample has as many training images as validation has, or all; the same ones for every
    # trial.
    generator = torch.Generator().manual_seed(TRAIN_SAMPLE_SEED)
    chosen = torch.randperm(len(data.train.labels), generator=generator)[
        : len(data.validation.labels)
    ]
    chosen = chosen.to(data.train.labels.device)
    return LabelledImages(data.train.images[chosen], data.train.labels[chosen])
