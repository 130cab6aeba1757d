"""Training is the plain loop, for every technique; it is repeatable bit for bit and disturbs
nobody's randomness.
"""

import io
import itertools
import math
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, fields, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from models.cnn import CNN, CNNConfig
from models.names import INITIALIZERS, NORMALIZATIONS
from objectives import names, one_epoch
from objectives.architecture import ModelConfig
from objectives.convolutions import Convolutions, memory_format_of
from objectives.data.images import LabelledImages, ResidentData
from objectives.data.pixels import PixelScale
from objectives.data.source import DataFacts
from objectives.device import derived_seed, generator, global_random
from objectives.errors import CheckpointError
from objectives.evaluation import Evaluation
from objectives.hyperparameters import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Augmentation,
    ClassWeights,
    Constant,
    Cosine,
    Exponential,
    Hyperparameters,
    MultiStep,
    NAdam,
    OneCycle,
    Optimizer,
    Plateau,
    RAdam,
    RMSprop,
    Scheduler,
    Step,
)
from objectives.measurement import Diverged, Measurement
from objectives.protocol import ResumableTraining
from objectives.run import Run
from objectives.training import train

CLASSES = 4
PLAIN = Hyperparameters(SGD(0.05, momentum=0.9), batch_size=16)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny images do not gain by more, and threads that wait for each other lose much on a busy
    machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def easy_images(count: int, channels: int, seed: int) -> LabelledImages:
    """Noise (12, 12), with a bright quarter that tells the class."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    images = torch.randint(0, 100, (count, channels, 12, 12), dtype=torch.uint8, generator=random)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = divmod(label, 2)
        image[:, row * 6 : row * 6 + 6, column * 6 : column * 6 + 6] += 120
    return LabelledImages(images, labels)


def tiny_data(count: int = 64, channels: int = 1) -> ResidentData:
    images = easy_images(count, channels, seed=0)
    pixels = images.images / 255
    return ResidentData(
        images,
        easy_images(32, channels, seed=1),
        tuple("abcd"),
        pixels.mean((0, 2, 3)),
        pixels.std((0, 2, 3), correction=0),
    )


def tiny_run(
    hyperparameters: Hyperparameters = PLAIN, *, epochs: int = 2, count: int = 64, channels: int = 1
) -> Run:
    return Run(
        hyperparameters,
        tiny_data(count, channels),
        epochs,
        seed=0,
        model=ModelConfig((4, 12), 8),
    )


def scores(measurements: list[Measurement]) -> list[Measurement]:
    """Without what the clock says."""
    return [
        replace(measurement, seconds=0.0, images_per_second=0.0) for measurement in measurements
    ]


OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, 0.9, 1e-3),
    SGD(0.1, 0.9, 1e-3, nesterov=True),
    *(kind(0.01, 1e-3) for kind in (Adagrad, RMSprop, Adam, AdamW, NAdam, RAdam)),
    RMSprop(0.01, 1e-3, alpha=0.9),
    RMSprop(0.01, 1e-3, momentum=0.5),
    RMSprop(0.01, 1e-3, centered=True),
    *(kind(0.01, 1e-3, beta1=0.8) for kind in (Adam, AdamW, NAdam, RAdam)),
    *(kind(0.01, 1e-3, beta2=0.9) for kind in (Adam, AdamW, NAdam, RAdam)),
    *(kind(0.01, 1e-3, amsgrad=True) for kind in (Adam, AdamW)),
]
SCHEDULERS: list[Scheduler] = [
    Constant(),
    Step(0.5, 0.1),
    MultiStep(0.4, 0.6, 0.2),
    Exponential(0.2),
    Plateau(0.0, 0.5),
    Cosine(),
    OneCycle(),
]
AUGMENTATIONS = [
    *((name,) for name in names.AUGMENTATIONS),
    ("shift", "rotate"),
    names.AUGMENTATIONS,
]
OPTIONS = [
    *(replace(PLAIN, optimizer=optimizer) for optimizer in OPTIMIZERS),
    *(replace(PLAIN, scheduler=scheduler) for scheduler in SCHEDULERS),
    *(replace(PLAIN, augmentation=Augmentation(operations, 0.5)) for operations in AUGMENTATIONS),
    *(replace(PLAIN, initializer=name) for name in INITIALIZERS),
    *(replace(PLAIN, normalization=name) for name in NORMALIZATIONS),
    *(replace(PLAIN, input_normalization=name) for name in names.INPUT_NORMALIZATIONS),
    replace(PLAIN, l1=1e-3),
    replace(PLAIN, dropout=0.3),
    replace(PLAIN, warmup=0.5),
    replace(PLAIN, label_smoothing=0.1),
    replace(PLAIN, gradient_clipping=0.1),
    replace(PLAIN, width=1.5),
    Hyperparameters(
        AdamW(0.01, 1e-3),
        Cosine(),
        l1=1e-4,
        dropout=0.3,
        augmentation=Augmentation(("shift", "rotate"), 0.5),
        initializer="orthogonal",
        input_normalization="minmax",
        normalization="batch",
        warmup=0.3,
        label_smoothing=0.1,
        gradient_clipping=1.0,
        class_weights=ClassWeights("square_root"),
        balanced_sampling=0.5,
        width=0.7,
    ),
]


def test_the_options_that_are_tried_are_all_there_are() -> None:
    assert {options.optimizer.name for options in OPTIONS} == set(names.OPTIMIZERS)
    assert {options.scheduler.name for options in OPTIONS} == set(names.SCHEDULERS)
    assert set(itertools.chain(*AUGMENTATIONS)) == set(names.AUGMENTATIONS)


@pytest.mark.parametrize("decay_scope", names.DECAY_SCOPES)
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_every_option_trains(options: Hyperparameters, channels: int, decay_scope: str) -> None:
    found = list(train(replace(tiny_run(options, channels=channels), decay_scope=decay_scope)))
    assert [measurement.epoch for measurement in found] == [1, 2]
    assert all(
        math.isfinite(value)
        for measurement in found
        for value in astuple(measurement)
        if value is not None
    )


def test_every_option_makes_a_difference() -> None:
    # Three epochs: a plateau shows in the second at the earliest, where the rate is high enough not
    # to learn.
    found = {
        options: tuple(scores(list(train(tiny_run(options, epochs=3))))) for options in OPTIONS
    }
    # PLAIN is four of the options.
    assert len(found) == len(OPTIONS) - 3
    # A grey image has no colours to lose.
    without_colours = replace(PLAIN, augmentation=Augmentation(("grayscale",), 0.5))
    assert found.pop(without_colours) == found[PLAIN]
    same = [options for options, value in found.items() if list(found.values()).count(value) > 1]
    assert same in ([], [PLAIN, replace(PLAIN, scheduler=Plateau(0.0, 0.5))])


@pytest.mark.parametrize(
    "options",
    [replace(PLAIN, l1=1e-3), replace(PLAIN, optimizer=SGD(0.1, weight_decay=1e-3))],
    ids=["l1", "l2"],
)
def test_the_decay_scope_makes_a_difference(options: Hyperparameters) -> None:
    first, other = (
        scores(list(train(replace(tiny_run(options), decay_scope=scope))))
        for scope in names.DECAY_SCOPES
    )
    assert first != other


@pytest.mark.parametrize(
    "options", [PLAIN, replace(PLAIN, normalization="batch")], ids=["plain", "batch"]
)
def test_an_easy_data_set_is_learnt(options: Hyperparameters) -> None:
    last = list(train(tiny_run(options, epochs=15)))[-1]
    assert last.validation_loss < 0.1 * math.log(CLASSES)
    assert last.train_loss < 0.1 * math.log(CLASSES)
    assert (last.validation_accuracy, last.train_accuracy) == (1.0, 1.0)


def plain_loop(
    run: Run, scheduled: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]
) -> list[float]:
    """The training losses of the tutorial's loop, written out with torch's own parts."""
    options, (images, labels) = run.hyperparameters, astuple(run.data.train)
    shuffle = torch.Generator().manual_seed(derived_seed(run.seed, "shuffle"))
    with global_random(generator(run.seed, "torch", torch.device("cpu"))):
        model = CNN(CNNConfig(1, (12, 12), CLASSES, (4, 12), 8, options.normalization))
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = scheduled(optimizer)
    cuts = list(range(options.batch_size, len(labels), options.batch_size))
    losses = []
    for _ in range(run.epochs):
        total = 0.0
        for chosen in torch.randperm(len(labels), generator=shuffle).tensor_split(cuts):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images[chosen] / 255), labels[chosen])
            l2 = torch.stack([weight.square().sum() for weight in weights]).sum()
            l1 = torch.stack([weight.abs().sum() for weight in weights]).sum()
            torch.autograd.backward(
                loss + options.optimizer.weight_decay / 2 * l2 + options.l1 * l1
            )
            optimizer.step()
            total += loss.item() * len(chosen)
        scheduler.step()
        losses.append(total / len(labels))
    return losses


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_training_is_the_plain_loop(normalization: str) -> None:
    """With both penalties, a schedule and an odd last batch."""
    options = replace(
        PLAIN,
        optimizer=SGD(0.1, momentum=0.9, weight_decay=0.01),
        scheduler=Step(0.5, 0.1),
        l1=1e-3,
        normalization=normalization,
    )
    run = tiny_run(options, epochs=4, count=72)
    expected = plain_loop(
        run, lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    )
    assert [measurement.train_loss for measurement in train(run)] == pytest.approx(
        expected, rel=1e-3
    )


def smoothed(logits: Tensor, truth: Tensor, strength: float) -> Tensor:
    """Szegedy et al. 2016: cross-entropy with (1 - strength) * truth + strength / classes."""
    target = (1 - strength) * nn.functional.one_hot(truth, CLASSES) + strength / CLASSES
    return -(target * logits.log_softmax(1)).sum(1).mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("clipping", [None, 0.05])
@pytest.mark.parametrize("l1", [0.0, 1e-2])
def test_smoothing_and_clipping_are_their_formulas_and_the_reported_loss_is_plain(
    smoothing: float, clipping: float | None, l1: float
) -> None:
    """Clipped is the gradient of all that is trained on, penalties included, by the norm of all of
    it.
    """
    options = replace(
        PLAIN, label_smoothing=smoothing, gradient_clipping=clipping, l1=l1, batch_size=64
    )
    run = tiny_run(options, epochs=3)
    images, labels = astuple(run.data.train)
    with global_random(generator(run.seed, "torch", torch.device("cpu"))):
        model = CNN(CNNConfig(1, (12, 12), CLASSES, (4, 12), 8))
    parameters, velocities = (
        list(model.parameters()),
        [torch.zeros_like(weight) for weight in model.parameters()],
    )
    expected, norms = [], []
    for _ in range(3):
        logits = model(images / 255)
        expected.append(nn.functional.cross_entropy(logits, labels).item())
        penalty = torch.stack(
            [weight.abs().sum() for weight in parameters if weight.dim() > 1]
        ).sum()
        gradients = torch.autograd.grad(
            smoothed(logits, labels, smoothing) + l1 * penalty, parameters
        )
        norm = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
        norms.append(norm)
        scale = min(1.0, clipping / norm) if clipping is not None else 1.0
        with torch.no_grad():
            for weight, velocity, gradient in zip(parameters, velocities, gradients, strict=True):
                weight.sub_(0.05 * velocity.mul_(0.9).add_(scale * gradient))
    assert min(norms) > 0.05
    assert [measurement.train_loss for measurement in train(run)] == pytest.approx(
        expected, rel=1e-4
    )


def test_plateau_and_warmup_set_the_rates_that_they_should() -> None:
    options = replace(
        PLAIN, scheduler=Plateau(0.0, 0.5), warmup=0.5, optimizer=SGD(0.3), batch_size=32
    )
    found = list(train(tiny_run(options, epochs=8)))
    losses = [measurement.validation_loss for measurement in found]
    factor, expected = 1.0, []
    for epoch, loss in enumerate(losses):
        expected.append(0.3 * factor * min(1.0, (2 * epoch + 2) / 8))
        factor *= 0.5 if epoch > 0 and loss >= min(losses[:epoch]) * (1 - 1e-4) else 1.0
    assert factor < 1
    assert [measurement.learning_rate for measurement in found] == pytest.approx(expected)


def test_a_run_of_a_single_step_trains_at_the_whole_learning_rate() -> None:
    for scheduler in (OneCycle(0.3), Cosine(), Exponential(0.01)):
        options = replace(PLAIN, scheduler=scheduler, optimizer=SGD(0.3), batch_size=64)
        assert [
            measurement.learning_rate for measurement in train(tiny_run(options, epochs=1))
        ] == [0.3]


def test_asking_what_a_network_costs_changes_no_training() -> None:
    run = tiny_run(replace(PLAIN, dropout=0.3, normalization="batch"))
    training = train(run)
    costs = training.costs()
    assert costs.parameters == sum(weight.numel() for weight in training.model.parameters())
    assert scores(list(training)) == scores(list(train(run)))


def test_width_scales_channels_and_hidden_units() -> None:
    model = train(tiny_run(replace(PLAIN, width=1.5))).model
    assert [weight.shape[0] for weight in model.parameters() if weight.dim() > 1] == [
        6,
        18,
        12,
        CLASSES,
    ]
    least = train(tiny_run(replace(PLAIN, width=0.01))).model
    assert [weight.shape[0] for weight in least.parameters() if weight.dim() > 1] == [
        1,
        1,
        1,
        CLASSES,
    ]


def test_bf16_computes_in_bf16_and_keeps_its_weights_and_its_scores_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = {}
    forward = CNN.forward

    def spy(model: CNN, images: Tensor) -> Tensor:
        logits = forward(model, images)
        seen[model.training] = logits.dtype
        return logits

    monkeypatch.setattr(CNN, "forward", spy)
    run = tiny_run(replace(PLAIN, optimizer=SGD(0.01, 0.9)), epochs=15)
    training = train(replace(run, precision="bf16"))
    found = [measurement.train_loss for measurement in training]
    assert seen == {True: torch.bfloat16, False: torch.float32}
    assert {weight.dtype for weight in training.model.parameters()} == {torch.float32}
    plain = [measurement.train_loss for measurement in train(run)]
    assert found == pytest.approx(plain, rel=0.02, abs=0.01)
    assert found != plain


def test_training_evaluation_and_examination_do_not_round_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    forward = CNN.forward

    def spy(model: CNN, images: Tensor) -> Tensor:
        seen.append((model.training, torch.backends.cudnn.conv.fp32_precision))
        return forward(model, images)

    monkeypatch.setattr(CNN, "forward", spy)
    running = train(tiny_run(epochs=1))
    next(running)
    running.examine()
    assert seen == [(True, "ieee")] * 4 + [(False, "ieee")] * 3


def test_tf32_is_for_training_alone_and_nothing_but_a_gpus_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a CPU the same run, bit for bit, where nobody refuses it there; settings are the caller's
    again after it.
    """
    seen = []
    forward = CNN.forward
    settings = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)

    def precisions() -> list[str]:
        return [setting.fp32_precision for setting in settings]

    def spy(model: CNN, images: Tensor) -> Tensor:
        seen.append((model.training, *precisions()))
        return forward(model, images)

    monkeypatch.setattr(CNN, "forward", spy)
    before = precisions()
    running = train(replace(tiny_run(epochs=1), precision="tf32"))
    found = list(running)
    running.examine()
    assert seen == [(True, "tf32", "tf32")] * 4 + [(False, "ieee", "ieee")] * 3
    assert precisions() == before
    assert scores(found) == scores(list(train(tiny_run(epochs=1))))


@pytest.mark.parametrize("callers", [False, True])
@pytest.mark.parametrize("chosen", [None, False, True])
def test_cudnn_measures_where_it_is_asked_to_and_the_caller_has_the_setting_back(
    chosen: bool | None, callers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    forward = CNN.forward

    def spy(model: CNN, images: Tensor) -> Tensor:
        seen.add(torch.backends.cudnn.benchmark)
        return forward(model, images)

    monkeypatch.setattr(CNN, "forward", spy)
    torch.backends.cudnn.benchmark = callers
    try:
        next(train(tiny_run(epochs=1), convolutions=Convolutions(benchmark=chosen)))
        assert (seen, torch.backends.cudnn.benchmark) == (
            {callers if chosen is None else chosen},
            callers,
        )
        diverging = train(
            tiny_run(replace(PLAIN, optimizer=SGD(1e30))),
            convolutions=Convolutions(benchmark=chosen),
        )
        with pytest.raises(Diverged):
            list(diverging)
        assert torch.backends.cudnn.benchmark == callers
    finally:
        torch.backends.cudnn.benchmark = False


# --- batches


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The batches that a network was shown in training: the first pixel of each image, in
    0..255.
    """
    batches: list[list[float]] = []
    forward = CNN.forward

    def spy(model: CNN, images: Tensor) -> Tensor:
        if model.training:
            batches.append((images[:, 0, 0, 0] * 255).tolist())
        return forward(model, images)

    monkeypatch.setattr(CNN, "forward", spy)
    return batches


def numbered_run(count: int, batch_size: int, epochs: int = 1, normalization: str = "batch") -> Run:
    """A run on images whose first pixel is their number."""
    options = replace(PLAIN, batch_size=batch_size, normalization=normalization)
    run = tiny_run(options, epochs=epochs, count=count)
    run.data.train.images[:, 0, 0, 0] = torch.arange(count)
    return run


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (64, 16, [16, 16, 16, 16]),
        (70, 32, [32, 32, 6]),
        # A last batch of one image joins the one before.
        (65, 32, [32, 33]),
        (33, 32, [33]),
        (32, 32, [32]),
        (20, 64, [20]),
    ],
)
def test_every_image_is_shown_once_an_epoch(
    shown: list[list[float]], count: int, batch_size: int, sizes: list[int]
) -> None:
    measurements = list(train(numbered_run(count, batch_size, epochs=2)))
    assert [len(batch) for batch in shown] == sizes * 2
    epochs = [list(itertools.chain(*part)) for part in (shown[: len(sizes)], shown[len(sizes) :])]
    assert [sorted(map(round, epoch)) for epoch in epochs] == [list(range(count))] * 2
    assert epochs[0] != epochs[1] != sorted(epochs[1])
    assert len(measurements) == 2


def test_a_batch_goes_through_the_network_in_pieces_of_nearly_the_same_length(
    shown: list[list[float]],
) -> None:
    run = numbered_run(72, 50, normalization="none")
    pieces = {
        None: [50, 22],
        72: [50, 22],
        50: [50, 22],
        49: [25, 25, 22],
        16: [13, 13, 13, 11, 11, 11],
    }
    for piece, lengths in pieces.items():
        list(train(replace(run, piece=piece)))
        assert [len(batch) for batch in shown] == lengths
        shown.clear()


def test_a_batch_with_statistics_is_never_divided(shown: list[list[float]]) -> None:
    list(train(replace(numbered_run(72, 50, normalization="batch"), piece=16)))
    assert [len(batch) for batch in shown] == [50, 22]


def test_evaluation_and_examination_go_by_the_piece_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    forward = CNN.forward

    def spy(model: CNN, images: Tensor) -> Tensor:
        if not model.training:
            seen.append(len(images))
        return forward(model, images)

    monkeypatch.setattr(CNN, "forward", spy)
    running = train(replace(tiny_run(epochs=1), piece=20))
    next(running)
    running.examine()
    # The evaluations are of the validation images, of a sample of the training images, and of the
    # validation images again.
    assert seen == [20, 12] * 3


def test_a_piece_without_an_image_is_refused() -> None:
    for piece in (0, -1):
        with pytest.raises(ValueError, match=f"^piece {piece}: give 1 or more$"):
            replace(tiny_run(), piece=piece)


IN_PIECES = [
    *(replace(PLAIN, normalization=name) for name in NORMALIZATIONS),
    *(replace(PLAIN, normalization=name, dropout=0.4) for name in NORMALIZATIONS),
    replace(
        PLAIN,
        dropout=0.4,
        augmentation=Augmentation(names.AUGMENTATIONS, 0.5),
        l1=1e-3,
        label_smoothing=0.1,
    ),
    replace(
        PLAIN,
        dropout=0.4,
        optimizer=Adam(0.01),
        gradient_clipping=0.5,
        input_normalization="minmax",
    ),
]


def assert_within_rounding(found: list[Measurement], expected: list[Measurement]) -> None:
    for one, other in zip(found, expected, strict=True):
        losses = [other.train_loss, other.validation_loss]
        assert [one.train_loss, one.validation_loss] == pytest.approx(losses, rel=1e-3)


@pytest.mark.parametrize("options", IN_PIECES, ids=repr)
def test_the_piece_changes_results_by_rounding_alone(options: Hyperparameters) -> None:
    """Masks of dropout and transforms of augmentation are those of the whole batch, also of a
    shorter last one.
    """
    run = tiny_run(replace(options, batch_size=256), epochs=3, count=400)
    whole = list(train(replace(run, piece=256)))
    for piece in (32, 64, 100):
        assert_within_rounding(list(train(replace(run, piece=piece))), whole)


@pytest.mark.parametrize("options", IN_PIECES, ids=repr)
def test_a_checkpoint_goes_on_under_another_piece_within_rounding_and_under_its_own_bit_for_bit(
    options: Hyperparameters,
) -> None:
    run = replace(tiny_run(replace(options, batch_size=128), epochs=3, count=150), piece=32)
    measurements, checkpoints = epoch_by_epoch(run)
    own = train(run, resume=checkpoints[1])
    assert scores(list(own)) == measurements[1:]
    assert contents(own.checkpoint()) == contents(checkpoints[-1])
    for piece in (None, 50, 128):
        assert_within_rounding(
            list(train(replace(run, piece=piece), resume=checkpoints[1])), measurements[1:]
        )


# --- what is measured


def without_learning(options: Hyperparameters, count: int = 70) -> list[Measurement]:
    """Of a run whose learning rate is zero, and which is validated on its training split."""
    run = tiny_run(options, count=count)
    return list(train(replace(run, data=replace(run.data, validation=run.data.train))))


@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_the_training_loss_is_the_mean_over_images_without_penalties(normalization: str) -> None:
    """At rate zero training and validation see one model, whatever the penalties and however odd
    the last batch.
    """
    options = replace(
        PLAIN,
        optimizer=SGD(0.0, weight_decay=9.0),
        l1=9.0,
        normalization=normalization,
        input_normalization="standard",
        batch_size=32,
    )
    for measurement in without_learning(options):
        assert measurement.train_loss == pytest.approx(measurement.validation_loss, rel=1e-5)
        assert measurement.train_accuracy == measurement.validation_accuracy


def test_the_last_epoch_measures_training_images_as_validation_does() -> None:
    """Without dropout and augmentation, and neither before the last epoch."""
    options = replace(
        PLAIN,
        dropout=0.5,
        augmentation=Augmentation(("shift", "rotate"), 1.0),
        normalization="batch",
    )
    first, last = without_learning(options)
    assert first.train_eval_loss is None
    assert last.train_eval_loss == pytest.approx(last.validation_loss, rel=1e-5)
    assert last.train_loss != pytest.approx(last.validation_loss, rel=1e-2)


@pytest.mark.parametrize("seed", [0, 1])
def test_as_many_training_images_as_validation_are_evaluated_the_same_for_every_trial(
    seed: int,
) -> None:
    run = replace(tiny_run(replace(PLAIN, optimizer=SGD(0.0)), epochs=1), seed=seed)
    # The loss depends on which images are taken.
    run.data.train.labels[:] = torch.arange(64) % 2
    chosen = torch.randperm(
        64, generator=torch.Generator().manual_seed(one_epoch.TRAIN_SAMPLE_SEED)
    )[:32]
    sample = LabelledImages(run.data.train.images[chosen], run.data.train.labels[chosen])
    on_sample = next(train(replace(run, data=replace(run.data, validation=sample))))
    assert next(train(run)).train_eval_loss == pytest.approx(on_sample.validation_loss, rel=1e-6)


def test_the_learning_rate_is_that_of_the_last_step_and_the_first_step_has_all_of_it() -> None:
    cosine = replace(PLAIN, scheduler=Cosine(), optimizer=SGD(0.2))
    found = [measurement.learning_rate for measurement in train(tiny_run(cosine))]
    assert found == [pytest.approx(0.1 * (1 + math.cos(math.pi * step / 8))) for step in (3, 7)]
    one_step = tiny_run(replace(cosine, batch_size=64), epochs=1)
    assert [measurement.learning_rate for measurement in train(one_step)] == [0.2]


def test_validation_scores_are_those_of_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Evaluation(1.5, torch.tensor([[2, 1], [0, 1]]))
    monkeypatch.setattr(one_epoch, "evaluate", lambda *_: found)
    measurement = next(train(tiny_run()))
    assert [measurement.metric(name) for name in names.METRIC_DIRECTIONS] == [
        found.accuracy,
        found.balanced_accuracy,
        found.macro_f1,
        found.loss,
    ]


def test_seconds_are_the_clocks_and_images_per_second_are_of_training_alone() -> None:
    ticks = iter(itertools.accumulate(itertools.cycle([10.0, 4.0, 1.0])))
    found = list(train(tiny_run(), clock=lambda: next(ticks)))
    assert [measurement.seconds for measurement in found] == [5.0, 5.0]
    assert [measurement.images_per_second for measurement in found] == [16.0, 16.0]


def test_l1_brings_weights_near_zero() -> None:
    options = replace(PLAIN, optimizer=SGD(0.05))
    plain, sparse = (
        list(train(tiny_run(replace(options, l1=l1), epochs=40)))[-1] for l1 in (0.0, 0.01)
    )
    assert plain.near_zero_share < 0.1
    assert sparse.near_zero_share > 0.4


@pytest.mark.parametrize("optimizer", [SGD(1e6), Adam(1e6)], ids=["sgd", "adam"])
def test_a_loss_that_is_not_finite_ends_the_run(optimizer: SGD | Adam) -> None:
    """At the default widths: in a narrower network all units may die first, and the loss stays
    finite.
    """
    run = Run(Hyperparameters(optimizer, batch_size=8), tiny_data(), epochs=2, seed=0)
    with pytest.raises(Diverged) as raised:
        list(train(run))
    assert raised.value.epoch == 1


def test_a_validation_loss_that_is_not_finite_ends_the_run() -> None:
    """The training loss of an epoch of one step is that of the initial weights: finite."""
    with pytest.raises(Diverged):
        next(train(tiny_run(replace(PLAIN, optimizer=SGD(1e30), batch_size=64), epochs=2)))


def test_the_data_is_left_as_it_was() -> None:
    run = tiny_run(
        replace(PLAIN, augmentation=Augmentation(("shift",), 1.0), input_normalization="standard")
    )
    before = run.data.train.images.clone()
    list(train(run))
    assert torch.equal(run.data.train.images, before)
    assert run.data.train.images.dtype == torch.uint8


# --- randomness

# These options draw from every source there is.
RANDOM = replace(
    PLAIN, dropout=0.3, augmentation=Augmentation(("shift", "rotate"), 0.5), initializer="he_normal"
)


def test_the_same_run_gives_the_same_measurements_bit_for_bit() -> None:
    first = scores(list(train(tiny_run(RANDOM, epochs=3))))
    assert scores(list(train(tiny_run(RANDOM, epochs=3)))) == first
    assert scores(list(train(replace(tiny_run(RANDOM, epochs=3), seed=1)))) != first


def test_draws_of_others_change_nothing_and_others_see_no_draws() -> None:
    undisturbed = scores(list(train(tiny_run(RANDOM, epochs=3))))
    torch.manual_seed(123)
    disturbed = []
    running = train(tiny_run(RANDOM, epochs=3))
    for _ in range(3):
        torch.rand(7)
        before = torch.get_rng_state()
        disturbed.append(next(running))
        assert torch.equal(torch.get_rng_state(), before)
    assert scores(disturbed) == undisturbed


def test_draws_of_others_in_the_middle_of_an_epoch_change_nothing_and_are_not_touched() -> None:
    """Dropout, too, has a generator of its own."""
    undisturbed = scores(list(train(tiny_run(RANDOM, epochs=3))))
    torch.manual_seed(123)
    # The draws follow each step and evaluation, the last epoch's additional one included.
    expected = torch.rand(3 * 7)
    torch.manual_seed(123)
    drawn: list[Tensor] = []
    disturbed = scores(
        list(train(tiny_run(RANDOM, epochs=3), pulse=lambda: drawn.append(torch.rand(1))))
    )
    assert disturbed == undisturbed
    assert torch.equal(torch.cat(drawn), expected[: len(drawn)])
    assert len(drawn) > 3 * 4


def test_a_checkpoint_of_an_earlier_version_goes_on_with_its_masks() -> None:
    """Those of a GPU had the state of the CPU's global generator in front of their own."""
    run = tiny_run(RANDOM, epochs=3)
    measurements, checkpoints = epoch_by_epoch(run)
    saved = torch.load(io.BytesIO(checkpoints[1]), weights_only=True)
    saved["random"] = [torch.Generator().get_state(), *saved["random"]]
    torch.save(saved, file := io.BytesIO())
    assert scores(list(train(run, resume=file.getvalue()))) == measurements[1:]


def test_trainings_in_two_threads_find_what_they_find_alone() -> None:
    runs = [replace(tiny_run(RANDOM, epochs=4, count=256), seed=seed) for seed in (1, 2)]

    def trained(run: Run) -> list[Measurement]:
        torch.set_num_threads(1)
        return scores(list(train(run)))

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(trained, runs))
    assert together == [trained(run) for run in runs]


def test_two_runs_in_turns_are_as_each_alone() -> None:
    runs = [tiny_run(RANDOM, epochs=3), replace(tiny_run(RANDOM, epochs=3), seed=1)]
    alone = [scores(list(train(run))) for run in runs]
    in_turns = list(zip(*(train(run) for run in runs), strict=True))
    assert [scores(list(run)) for run in zip(*in_turns, strict=True)] == alone


@pytest.mark.parametrize(
    "changed",
    [replace(PLAIN, dropout=0.3), replace(PLAIN, initializer="he_normal"), replace(PLAIN, l1=1e-3)],
    ids=["dropout", "initializer", "l1"],
)
@pytest.mark.parametrize(
    "augmentation", [None, Augmentation(("shift",), 0.5)], ids=["plain", "augmented"]
)
def test_a_technique_changes_neither_the_order_nor_the_augmentation_of_the_images(
    shown: list[list[float]], changed: Hyperparameters, augmentation: Augmentation | None
) -> None:
    """Each purpose has a generator of its own, so that trials differ by their techniques alone."""
    run = numbered_run(64, 16, normalization="none")
    list(train(replace(run, hyperparameters=replace(PLAIN, augmentation=augmentation))))
    before = list(shown)
    shown.clear()
    list(train(replace(run, hyperparameters=replace(changed, augmentation=augmentation))))
    assert shown == before


# --- checkpoints

# A run of three epochs has so many finished ones at some time.
FINISHED_EPOCHS = range(4)


def comparable(value: object) -> object:
    """A part of a checkpoint for ==: tensors bit for bit, with their type and memory format."""
    if isinstance(value, Tensor):
        return value.dtype, value.shape, value.stride(), value.flatten().numpy().tobytes()
    if isinstance(value, dict):
        return {key: comparable(part) for key, part in value.items()}
    return [comparable(part) for part in value] if isinstance(value, list) else value


def contents(checkpoint: bytes) -> object:
    return comparable(torch.load(io.BytesIO(checkpoint), weights_only=True))


def epoch_by_epoch(run: Run) -> tuple[list[Measurement], list[bytes]]:
    """The run's measurements, and its checkpoints: before the first epoch and after each."""
    running = train(run)
    checkpoints = [running.checkpoint()]
    measurements = []
    for measurement in running:
        measurements.append(measurement)
        checkpoints.append(running.checkpoint())
    return scores(measurements), checkpoints


@pytest.mark.parametrize("options", [*OPTIONS, RANDOM], ids=repr)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(options: Hyperparameters) -> None:
    """From every epoch, the first and the last included; weights, optimizer, generators and memory
    formats too.
    """
    run = tiny_run(options, epochs=3, channels=3)
    measurements, checkpoints = epoch_by_epoch(run)
    for epoch in FINISHED_EPOCHS:
        resumed = train(run, resume=checkpoints[epoch])
        assert resumed.epoch == epoch
        assert contents(resumed.checkpoint()) == contents(checkpoints[epoch])
        assert scores(list(resumed)) == measurements[epoch:]
        assert contents(resumed.checkpoint()) == contents(checkpoints[-1])


@pytest.mark.parametrize("options", [*OPTIONS, RANDOM], ids=repr)
def test_a_run_that_is_resumed_after_every_epoch_is_the_uninterrupted_one(
    options: Hyperparameters,
) -> None:
    run = tiny_run(options, epochs=3)
    measurements, checkpoints = epoch_by_epoch(run)
    checkpoint, found = None, []
    for _ in measurements:
        resumed = train(run, resume=checkpoint)
        found.append(next(resumed))
        checkpoint = resumed.checkpoint()
    assert scores(found) == measurements
    assert contents(checkpoint or b"") == contents(checkpoints[-1])


def test_weights_and_optimizer_are_channels_last_after_a_resume() -> None:
    run = tiny_run(OPTIONS[-1], channels=3)
    running = train(run)
    next(running)
    model = train(run, resume=running.checkpoint()).model
    kernels = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert [kernel.shape for kernel in kernels] == [(3, 3, 3, 3), (8, 3, 3, 3)]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert not any(kernel.is_contiguous() for kernel in kernels)


PLAIN_LAYOUT, CHANNELS_LAST = (
    Convolutions(memory_format=way) for way in (torch.contiguous_format, torch.channels_last)
)


@pytest.mark.parametrize("precision", names.PRECISIONS)
def test_channels_lie_side_by_side_but_for_float32_on_cuda(precision: str) -> None:
    found = [
        memory_format_of(torch.device(name), precision) for name in ("cpu", "mps", "cuda", "cuda:1")
    ]
    last, on_cuda = (
        torch.channels_last,
        torch.contiguous_format if precision == "float32" else torch.channels_last,
    )
    assert found == [last, last, on_cuda, on_cuda]


@pytest.mark.parametrize("chosen", [PLAIN_LAYOUT, CHANNELS_LAST], ids=["plain", "channels last"])
def test_weights_images_and_what_is_measured_of_them_are_laid_out_as_chosen(
    chosen: Convolutions, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    forward = CNN.forward
    assert chosen.memory_format is not None

    def spy(model: CNN, images: Tensor) -> Tensor:
        if model.training or len(images) == 1:
            seen.append(images.is_contiguous(memory_format=chosen.memory_format))
        return forward(model, images)

    monkeypatch.setattr(CNN, "forward", spy)
    running = train(tiny_run(channels=3, epochs=1), convolutions=chosen)
    next(running)
    running.costs()
    kernels = [layer.weight for layer in running.model.modules() if isinstance(layer, nn.Conv2d)]
    assert len(seen) > 4
    assert all(seen)
    assert all(kernel.is_contiguous(memory_format=chosen.memory_format) for kernel in kernels)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1, 0.9),
        RMSprop(0.01, momentum=0.5, centered=True),
        AdamW(0.01, amsgrad=True),
        *(kind(0.01) for kind in (Adagrad, NAdam, RAdam)),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "ways", [(PLAIN_LAYOUT, CHANNELS_LAST), (CHANNELS_LAST, PLAIN_LAYOUT)], ids=["to last", "back"]
)
def test_a_checkpoint_goes_on_in_another_memory_format_but_for_rounding(
    optimizer: Optimizer, ways: tuple[Convolutions, Convolutions]
) -> None:
    """What the optimizer holds of each parameter lies as the parameter does: it goes through both
    as they lie.
    """
    run = tiny_run(replace(PLAIN, optimizer=optimizer), channels=3, epochs=3)
    first = train(run, convolutions=ways[0])
    before = next(first)
    second = train(run, resume=first.checkpoint(), convolutions=ways[1])
    held = second._state.optimizer.state
    assert {
        value.stride() == weight.stride()
        for weight, parts in held.items()
        for value in parts.values()
        if isinstance(value, Tensor) and value.shape == weight.shape
    } <= {True}
    found, expected = [before, *second], list(train(run))
    assert [each.train_loss for each in found] == pytest.approx(
        [each.train_loss for each in expected], rel=1e-3
    )


def test_taking_a_checkpoint_changes_nothing() -> None:
    run = tiny_run(RANDOM, epochs=3)
    assert epoch_by_epoch(run)[0] == scores(list(train(run)))


def test_two_resumed_from_one_checkpoint_are_apart() -> None:
    run = tiny_run(RANDOM, epochs=3)
    measurements, checkpoints = epoch_by_epoch(run)
    pairs = list(zip(*(train(run, resume=checkpoints[1]) for _ in range(2)), strict=True))
    assert [scores(list(one)) for one in zip(*pairs, strict=True)] == [measurements[1:]] * 2


def test_the_model_of_a_training_is_the_one_that_was_measured() -> None:
    """Also of one that had nothing left to train."""
    run = tiny_run()
    measurements, checkpoints = epoch_by_epoch(run)
    model = train(run, resume=checkpoints[-1]).model.eval()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(
            model(run.data.validation.images / 255), run.data.validation.labels
        )
    assert float(loss) == pytest.approx(measurements[-1].validation_loss, rel=1e-5)


def test_a_checkpoint_from_another_kind_of_device_goes_on_with_draws_of_its_own() -> None:
    """Neither the states of a generator that is not there, nor the draws of the first epochs once
    more.
    """
    run = tiny_run(RANDOM, epochs=3)
    measurements, checkpoints = epoch_by_epoch(run)
    saved = torch.load(io.BytesIO(checkpoints[1]), weights_only=True)
    assert saved["device"] == "cpu"
    saved |= {"device": "cuda", "augmentation": torch.zeros(16, dtype=torch.uint8), "random": []}
    torch.save(saved, file := io.BytesIO())
    resumed = train(run, resume=file.getvalue())
    expected = torch.load(io.BytesIO(checkpoints[1]), weights_only=True) | {
        "augmentation": (
            generator(run.seed, "augmentation after 1", torch.device("cpu")).get_state()
        ),
        "random": [generator(run.seed, "torch after 1", torch.device("cpu")).get_state()],
    }
    assert contents(resumed.checkpoint()) == comparable(expected)
    rest = scores(list(resumed))
    assert [measurement.epoch for measurement in rest] == [2, 3]
    assert rest != measurements[1:]


OTHERS = {
    "hyperparameters": tiny_run(replace(PLAIN, dropout=1e-9)),
    "epochs": tiny_run(epochs=3),
    "seed": replace(tiny_run(), seed=1),
    "model": replace(tiny_run(), model=ModelConfig((4, 12), 9)),
    "decay_scope": replace(tiny_run(), decay_scope="all"),
    "precision": replace(tiny_run(), precision="bf16"),
}
OTHER_DATA = {
    "images": tiny_run(count=65),
    "colour": tiny_run(channels=3),
    "classes": replace(tiny_run(), data=replace(tiny_data(), class_names=tuple("abce"))),
    "validation": replace(
        tiny_run(), data=replace(tiny_data(), validation=easy_images(31, 1, seed=1))
    ),
    "fingerprint": replace(tiny_run(), data=replace(tiny_data(), facts=DataFacts("0" * 64))),
    "pixel_scales": replace(
        tiny_run(), data=replace(tiny_data(), facts=DataFacts("", (PixelScale("I;16", 0, 9),)))
    ),
}


def test_what_makes_a_run_another_is_every_field_of_it() -> None:
    """But for the piece, which changes results by rounding alone."""
    assert {*OTHERS, "data", "piece"} == {field.name for field in fields(Run)}


@pytest.mark.parametrize(
    "other", [*OTHERS.values(), *OTHER_DATA.values()], ids=[*OTHERS, *OTHER_DATA]
)
def test_a_checkpoint_of_another_run_is_one_line_with_the_mend(other: Run) -> None:
    with pytest.raises(CheckpointError) as raised:
        train(tiny_run(), resume=train(other).checkpoint())
    assert (
        str(raised.value)
        == "checkpoint: it is of another run (hyperparameters, epochs, seed, network or data"
        " differ); "
        "resume that run, or start this one anew"
    )


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def saved_by_torch(value: object) -> bytes:
    torch.save(value, file := io.BytesIO())
    return file.getvalue()


def test_bytes_that_are_no_checkpoint_are_one_line_with_the_mend_and_are_not_run(
    tmp_path: Path,
) -> None:
    good = train(tiny_run()).checkpoint()
    harm = tmp_path / "harm"
    wrong = [
        b"",
        b"no checkpoint",
        b'{"run": "", "epoch": 1}',
        good[:-1],
        good[: len(good) // 2],
        good[1:],
        saved_by_torch({"epoch": 1}),
        saved_by_torch([]),
        saved_by_torch(torch.load(io.BytesIO(good), weights_only=True) | {"model": {}}),
        saved_by_torch({"run": Harmful(harm)}),
        pickle.dumps(Harmful(harm)),
    ]
    for content in wrong:
        with pytest.raises(CheckpointError) as raised:
            train(tiny_run(), resume=content)
        expected = (
            "checkpoint: it is damaged or none of this program's; take an earlier one or start the"
            " run anew"
        )
        assert str(raised.value) == expected
    assert not harm.exists()
    pickle.loads(pickle.dumps(Harmful(harm)))
    assert harm.exists()


# --- the pulse


def test_the_pulse_beats_after_each_step_and_each_evaluation(shown: list[list[float]]) -> None:
    beats: list[int] = []
    list(train(numbered_run(64, 16, epochs=2), pulse=lambda: beats.append(len(shown))))
    # The numbers are of the steps taken; the last epoch is evaluated on two sets.
    assert beats == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 8]


def assert_ended_in_the_second_epoch(running: ResumableTraining, before: bytes) -> None:
    """What it has kept is the state before that epoch, bit for bit."""
    assert running.epoch == 1
    assert list(running) == []
    assert running.checkpoint() == running.checkpoint(1)
    assert contents(running.checkpoint()) == contents(before)
    for other in (0, 2):
        with pytest.raises(CheckpointError) as raised:
            running.checkpoint(other)
        assert (
            str(raised.value)
            == f"checkpoint: the state after epoch {other} is not kept; take one that was written"
            " or start anew"
        )


@pytest.mark.parametrize("beat", [7, 10], ids=["in training", "in evaluation"])
@pytest.mark.parametrize("options", [*OPTIONS, RANDOM], ids=repr)
def test_a_pulse_that_raises_ends_the_training_and_leaves_no_trace(
    options: Hyperparameters, beat: int
) -> None:
    run = tiny_run(replace(options, batch_size=16))
    beats = itertools.count(1)

    def pulse() -> None:
        if next(beats) == beat:
            raise KeyboardInterrupt

    running = train(run, pulse=pulse)
    next(running)
    checkpoint = running.checkpoint()
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        next(running)
    assert torch.equal(torch.get_rng_state(), before)
    assert_ended_in_the_second_epoch(running, checkpoint)
    assert scores(list(train(run, resume=running.checkpoint()))) == scores(list(train(run)))[1:]


def test_the_state_before_the_epoch_that_was_begun_last_is_kept_until_the_next_begins() -> None:
    run = tiny_run(RANDOM, epochs=3)
    _, checkpoints = epoch_by_epoch(run)
    running = train(run, resume=checkpoints[1])
    for epoch in (2, 3):
        next(running)
        kept = [contents(running.checkpoint(each)) for each in (epoch - 1, epoch)]
        assert kept == [contents(checkpoints[epoch - 1]), contents(checkpoints[epoch])]
        with pytest.raises(CheckpointError):
            running.checkpoint(epoch - 2)


@pytest.mark.parametrize("unbounded", [math.inf, math.nan])
def test_a_training_whose_loss_on_training_images_is_not_finite_has_diverged(
    unbounded: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(epochs=1)
    found = iter(
        [
            Evaluation(1.0, torch.eye(2, dtype=torch.int64)),
            Evaluation(unbounded, torch.eye(2, dtype=torch.int64)),
        ]
    )
    monkeypatch.setattr(one_epoch, "evaluate", lambda *_: next(found))
    with pytest.raises(Diverged) as raised:
        next(train(run))
    assert raised.value.epoch == 1
    assert list(found) == []


def test_a_diverged_training_is_over_and_keeps_the_state_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = train(tiny_run(epochs=3))
    next(running)
    before = running.checkpoint()
    monkeypatch.setattr(
        one_epoch, "evaluate", lambda *_: Evaluation(math.nan, torch.eye(2, dtype=torch.int64))
    )
    with pytest.raises(Diverged) as raised:
        next(running)
    assert raised.value.epoch == 2
    assert_ended_in_the_second_epoch(running, before)
