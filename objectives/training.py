"""Trains one CNN under one set of hyperparameters and yields what each epoch gave."""

import math
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields
from functools import partial
from io import BytesIO

import torch
from torch import Tensor, nn

from models.cnn import CNN, CNNConfig
from models.dropout import masks_of_a_batch
from objectives.augmentation import Transforms, draw_in_batches
from objectives.captured import Capture, capture_of
from objectives.convolutions import Convolutions, memory_format_of
from objectives.cost_measurement import measure_costs
from objectives.costs import Costs, scaled
from objectives.data.images import LabelledImages, ResidentData
from objectives.device import (
    derived_seed,
    float32_products,
    full_float32,
    generator,
    global_random,
    sent,
)
from objectives.errors import CheckpointError
from objectives.evaluation import Evaluation, evaluate, normalizer
from objectives.examination import examine
from objectives.examined import Examination
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Measurement
from objectives.model_file import TrainedModel
from objectives.optimizers import (
    build_optimizer,
    l1_penalty,
    load_optimizer,
    near_zero_share,
    penalized,
    set_learning_rate,
)
from objectives.passes import CapturedPass, EagerPass, Epoch, Pass, batch_lengths
from objectives.predicted import Predicted
from objectives.prediction import predict
from objectives.protocol import Pulse, unwatched
from objectives.schedulers import Plan, learning_rate_factor, warmup_factor

# How many images go through the network at a time, by type of device, where a run does not say:
# results depend on it by rounding alone. On a CPU because glibc gives large blocks back to the
# system after each use: batch 256 of 28 x 28, 2 threads of an EPYC, torch 2.15, images/s (n = 7):
# 3,480 by 64, 3,410 by 96, 2,270 by 128, 2,070 at once; under device.keep_freed_memory 3,900 to
# 4,300 by any. On a GPU so that large batches, and evaluation, fit into its memory; not measured.
IMAGES_AT_ONCE = {"cpu": 64, "cuda": 512, "mps": 512}
AS_THEY_COME = Convolutions()
# of the training images that train_eval_loss is measured on: the same for every trial
TRAIN_SAMPLE_SEED = 0


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
    # Of names.PRECISIONS: tf32 trains with products rounded to it, bf16 under autocast; each is
    # evaluated in float32.
    precision: str = "float32"
    # So many images go through the network at a time, in training and evaluation (None:
    # IMAGES_AT_ONCE of the device); in training batch normalization takes the whole batch.
    piece: int | None = None

    def __post_init__(self) -> None:
        if self.piece is not None and self.piece < 1:
            raise ValueError(f"piece {self.piece}: give 1 or more")

    @property
    def images_at_once(self) -> int:
        """The piece, or what its device has."""
        return (
            IMAGES_AT_ONCE[self.data.train.images.device.type] if self.piece is None else self.piece
        )


class Training:
    """One run under way: a ResumableTraining, made by train()."""

    def __init__(
        self,
        run: Run,
        state: "_State",
        train_pass: Pass,
        convolutions: Convolutions,
        pulse: Pulse,
        clock: Callable[[], float],
    ) -> None:
        self._run = run
        self._state = state
        self._pass = train_pass
        self._convolutions = convolutions
        self._pulse = pulse
        self._clock = clock
        # epochs: one more than are finished in the middle of one, or after it has raised
        self._begun = state.epoch
        # By epoch, the state before the epoch that was begun last, which trains in place.
        self._kept: dict[int, dict[str, object]] = {}

    @property
    def epoch(self) -> int:
        """How many epochs are finished, those before a resume included."""
        return self._state.epoch

    @property
    def path(self) -> str:
        """How optimizer steps are done, as far as is known: "captured" in a CUDA graph, or "eager:
        " and why.
        """
        return self._pass.path

    @property
    def model(self) -> nn.Module:
        """The network as it is now, in training mode, on the run's device."""
        return self._state.model

    def trained(self) -> TrainedModel:
        """The network with all that it takes to use it."""
        data = self._run.data
        return TrainedModel(
            self._state.model,
            _config(self._run),
            data.class_names,
            self._run.hyperparameters.input_normalization,
            tuple(data.mean.tolist()),
            tuple(data.deviation.tolist()),
        )

    def examine(self) -> Examination:
        """What the network, as it is now, gets wrong on the validation split."""
        data, options = self._run.data, self._run.hyperparameters
        normalize = normalizer(options.input_normalization, data.mean, data.deviation)
        with full_float32():
            return examine(self._state.model, data.validation, normalize, self._run.images_at_once)

    def predictions(self) -> Predicted:
        """What the network, as it is now, answers on the validation split."""
        data, options = self._run.data, self._run.hyperparameters
        normalize = normalizer(options.input_normalization, data.mean, data.deviation)
        with full_float32():
            return predict(
                self._state.model,
                data.validation,
                data.validation_sha256,
                normalize,
                self._run.images_at_once,
            )

    def costs(self) -> Costs:
        """What the network costs to use on images of the run's shape and device."""
        image = self._run.data.validation.images[:1].float() / 255
        with full_float32():
            return measure_costs(
                self._state.model,
                image.contiguous(memory_format=self._state.memory_format),
                self._clock,
            )

    def __iter__(self) -> "Training":
        return self

    def __next__(self) -> Measurement:
        if self._begun > self.epoch or self.epoch >= self._run.epochs:
            raise StopIteration
        # A signal may come at any moment: what checkpoint() gives is whole at each.
        self._kept = {self.epoch: _copied(self._state.content(self._run))}
        self._begun += 1  # for good, if it raises
        with full_float32(), self._convolutions.active():
            measurement = _epoch(self._run, self._state, self._pass, self._pulse, self._clock)
        self._state.validation_losses.append(measurement.validation_loss)
        return measurement

    def checkpoint(self, epoch: int | None = None) -> bytes:
        """What train(run, resume=...) goes on from after that epoch: about three times the weights'
        bytes with Adam.

        By default the last finished one. The state before the epoch that was begun last is kept, on
        the device; raises CheckpointError for any other.
        """
        wanted = self.epoch if epoch is None else epoch
        if wanted == self.epoch == self._begun:
            return _to_bytes(self._state.content(self._run))
        if wanted not in self._kept:
            raise CheckpointError.not_kept(wanted)
        return _to_bytes(self._kept[wanted])


def train(
    run: Run,
    *,
    resume: bytes | None = None,
    pulse: Pulse = unwatched,
    clock: Callable[[], float] = time.perf_counter,
    capture: Capture | None = None,
    captures: bool = True,
    convolutions: Convolutions = AS_THEY_COME,
) -> Training:
    """Trains for `run.epochs` epochs and yields a Measurement after each; raises Diverged.

    On a CPU with the same number of threads the same run, its piece included, gives the same
    measurements, bit for bit, but for `seconds` and `images_per_second`; with others, within
    rounding. What draws from torch's global generators meanwhile does not matter, and sees no
    trace: the weights alone are drawn from one, before train() returns. Trainings in several
    threads of a process take turns, an epoch each.

    `resume` is what checkpoint() gave: the epochs after it are yielded, the same bit for bit as if
    there had been no break. Another piece than it was written with changes them by rounding; on
    another kind of device dropout and augmentation draw anew. Its bytes are taken on trust where
    torch can read them: compare a hash before (see objectives/checkpoint.py).

    `pulse` is called after each optimizer step and after each evaluation.

    On a CUDA GPU steps are captured in a graph and replayed, where there is memory for it: to the
    same result but for rounding. `capture` is another way to record them; without `captures` none
    is taken. `convolutions` are for who measures what they change.

    Raises CheckpointError, before it trains, for a `resume` that cannot be read or is of another
    run. Its epochs raise CaptureFailed where a step cannot be captured; from then on this process
    captures none.

    >>> training = train(Run(Hyperparameters(Adam(1e-3)), data, epochs=8, seed=0))
    >>> for measurement in training:
    ...     print(measurement.epoch, measurement.validation_accuracy)
    """
    device = run.data.train.images.device
    capture = (capture or capture_of(device)) if captures else None
    replayable = capture is not None
    memory_format = convolutions.memory_format or memory_format_of(device, run.precision)
    state = _State.fresh(run, replayable, memory_format)
    if resume is not None:
        state.load(run, resume)
    take = partial(_step, run, state)
    if capture is None:
        why = "capture is off" if device.type == "cuda" or not captures else device.type
        return Training(run, state, EagerPass(take, f"eager: {why}"), convolutions, pulse, clock)
    return Training(
        run, state, CapturedPass(take, [state.masks], capture), convolutions, pulse, clock
    )


@dataclass
class _State:
    # All that one epoch hands to the next: what a checkpoint holds, but for the memory format.
    model: nn.Module
    memory_format: torch.memory_format  # of the model's kernels and the images that it is shown
    optimizer: torch.optim.Optimizer
    shuffle: torch.Generator
    augmentation: torch.Generator
    masks: torch.Generator  # of dropout
    validation_losses: list[float]  # of the finished epochs

    @property
    def epoch(self) -> int:
        """How many are finished."""
        return len(self.validation_losses)

    @classmethod
    def fresh(cls, run: Run, replayable: bool, memory_format: torch.memory_format) -> "_State":
        device, cpu = run.data.train.images.device, torch.device("cpu")
        # Weights are drawn on the CPU. There masks follow them in the same generator.
        initial = generator(run.seed, "torch", cpu)
        masks = initial if device == cpu else generator(run.seed, "torch", device)
        with global_random(initial):
            model = CNN(_config(run), masks).to(device).to(memory_format=memory_format)
        return cls(
            model,
            memory_format,
            build_optimizer(
                run.hyperparameters.optimizer, model, run.decay_scope, replayable=replayable
            ),
            generator(run.seed, "shuffle", cpu),
            generator(run.seed, "augmentation", device),
            masks,
            [],
        )

    def load(self, run: Run, content: bytes) -> None:
        """Makes a fresh state the one of a checkpoint. Raises CheckpointError."""
        device = self.augmentation.device
        try:
            # On the CPU first: from there each part goes to where it belongs.
            saved = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
            if saved["run"] != _fingerprint(run):
                raise CheckpointError.of_another_run()
            self.validation_losses = saved["validation_losses"]
            # copied into the fresh weights, which keep their memory format
            self.model.load_state_dict(saved["model"])
            load_optimizer(self.optimizer, saved["optimizer"])
            self.shuffle.set_state(saved["shuffle"])
            if saved["device"] == device.type:
                self.augmentation.set_state(saved["augmentation"])
                # of a list, as an earlier version had several
                self.masks.set_state(saved["random"][-1])
            else:  # not those of the start, which would draw again what the first epochs have drawn
                self.augmentation.manual_seed(
                    derived_seed(run.seed, f"augmentation after {self.epoch}")
                )
                self.masks.manual_seed(derived_seed(run.seed, f"torch after {self.epoch}"))
        except CheckpointError:
            raise
        # there is no end to what torch raises for bytes that are no checkpoint
        except Exception as error:
            raise CheckpointError.unreadable() from error

    def content(self, run: Run) -> dict[str, object]:
        """What a checkpoint holds, with the tensors that training goes on to change."""
        return {
            "run": _fingerprint(run),
            "validation_losses": self.validation_losses,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "shuffle": self.shuffle.get_state(),
            "device": self.augmentation.device.type,  # that the states below are of
            "augmentation": self.augmentation.get_state(),
            "random": [self.masks.get_state()],
        }


def _copied(content: dict[str, object]) -> dict[str, object]:
    # What PyTorch notes beside the entries of a model's dictionary comes along.
    copied = copy(content)
    for name, value in content.items():
        copied[name] = _copy_of(value)
    return copied


def _copy_of(value: object) -> object:
    # On the same device, in the same memory format.
    match value:
        case Tensor():
            return value.clone()
        case dict():
            return _copied(value)
        case list():
            return [_copy_of(each) for each in value]
        case _:
            return value


def _to_bytes(content: dict[str, object]) -> bytes:
    torch.save(content, file := BytesIO())
    return file.getvalue()


def _fingerprint(run: Run) -> str:
    # Of everything that the result depends on by more than rounding, which leaves device and piece
    # out; of the data, which may be large, its shape and classes beside its own fingerprint, which
    # says nothing of how it was split.
    options = {
        field.name: getattr(run, field.name)
        for field in fields(run)
        if field.name not in ("data", "piece")
    }
    data = run.data
    return repr(
        (
            options,
            data.facts,
            data.train.images.shape,
            data.validation.images.shape,
            data.class_names,
        )
    )


def _config(run: Run) -> CNNConfig:
    _, channels, height, width = run.data.train.images.shape
    factor = run.hyperparameters.width
    return CNNConfig(
        in_channels=channels,
        image_size=(height, width),
        classes=len(run.data.class_names),
        channels=tuple(scaled(count, factor) for count in run.channels),
        hidden_units=scaled(run.hidden_units, factor),
        normalization=run.hyperparameters.normalization,
        initializer=run.hyperparameters.initializer,
        dropout=run.hyperparameters.dropout,
    )


def _epoch(
    run: Run, state: _State, train_pass: Pass, pulse: Pulse, clock: Callable[[], float]
) -> Measurement:
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


def _pass(run: Run, state: _State, train_pass: Pass, pulse: Pulse) -> tuple[float, float, float]:
    # Every training image once: mean loss and accuracy as trained on, and the last learning rate.
    count = len(run.data.train.labels)
    epoch = _planned(run, state)
    # The device is waited for here alone.
    losses, correct = train_pass(epoch, pulse)
    return float(losses.sum()) / count, int(correct.long().sum()) / count, epoch.rates[-1]


def _planned(run: Run, state: _State) -> Epoch:
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
        sent(torch.randperm(len(images), generator=state.shuffle), images.device),
        lengths,
        tuple(rates),
        transforms,
    )


def _step(
    run: Run, state: _State, chosen: Tensor, transforms: Transforms, rate: float | Tensor
) -> Tensor:
    # One optimizer step: for each piece of the batch that went through the network at once the sum
    # of losses, without penalties and smoothing, and of right answers. See passes.Take.
    set_learning_rate(state.optimizer, rate)
    pixels, labels = (
        run.data.train.images[chosen],
        run.data.train.labels[chosen],
    )  # (B, C, H, W) uint8, (B,)
    options = run.hyperparameters
    images = transforms.applied_to(pixels.float() / 255)
    images = normalizer(options.input_normalization, run.data.mean, run.data.deviation)(images)
    images = images.contiguous(memory_format=state.memory_format)
    # The statistics of batch normalization are those of the whole batch, and so are dropout's
    # masks.
    at_once = len(labels) if options.normalization == "batch" else run.images_at_once
    pieces = math.ceil(len(labels) / at_once)
    losses, correct = [], []
    state.optimizer.zero_grad()
    with masks_of_a_batch(state.model, len(labels)):
        for part, truth in zip(images.chunk(pieces), labels.chunk(pieces), strict=True):
            with torch.autocast(
                labels.device.type, torch.bfloat16, enabled=run.precision == "bf16"
            ):
                logits = state.model(part)
            logits = logits.float()
            loss = nn.functional.cross_entropy(logits, truth, reduction="sum")
            losses.append(loss.detach())
            # Szegedy et al. 2016: the truth shares it evenly among all classes
            if options.label_smoothing > 0:
                smoothing = options.label_smoothing
                loss = nn.functional.cross_entropy(
                    logits, truth, reduction="sum", label_smoothing=smoothing
                )
            torch.autograd.backward(loss / len(labels))
            correct.append((logits.detach().argmax(1) == truth).sum())
    if options.l1 > 0:
        torch.autograd.backward(l1_penalty(penalized(state.model, run.decay_scope), options.l1))
    # Pascanu et al. 2013: the gradient of all of that, as one vector
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
    # As many training images as validation has, or all; the same ones for every trial.
    generator = torch.Generator().manual_seed(TRAIN_SAMPLE_SEED)
    chosen = torch.randperm(len(data.train.labels), generator=generator)[
        : len(data.validation.labels)
    ]
    chosen = chosen.to(data.train.labels.device)
    return LabelledImages(data.train.images[chosen], data.train.labels[chosen])
