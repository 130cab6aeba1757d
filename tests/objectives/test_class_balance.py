"""Small classes count for more, and are drawn oftener, by their formulas; reports are without."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.cnn import CNN
from objectives.architecture import ModelConfig
from objectives.class_balance import balanced_order, weights_of_classes
from objectives.data.images import LabelledImages, ResidentData
from objectives.device import generator, global_random
from objectives.hyperparameters import SGD, ClassWeights, Hyperparameters
from objectives.mixing import Truth
from objectives.run import Run, network_of
from objectives.training import train

COUNTS = torch.tensor([2, 30, 500])
METHODS = [
    ClassWeights("inverse"),
    ClassWeights("square_root"),
    ClassWeights("effective_number", 0.99),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (METHODS[0], [1 / 2, 1 / 30, 1 / 500]),
        (METHODS[1], [2**-0.5, 30**-0.5, 500**-0.5]),
        (METHODS[2], [0.01 / (1 - 0.99**2), 0.01 / (1 - 0.99**30), 0.01 / (1 - 0.99**500)]),
    ],
)
def test_weights_are_their_formula_with_a_mean_of_one_over_the_images(
    options: ClassWeights, expected: list[float]
) -> None:
    found = weights_of_classes(options, COUNTS).double()
    formula = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found / found[0], formula / formula[0], rtol=1e-6, atol=0)
    assert float((found * COUNTS).sum() / COUNTS.sum()) == pytest.approx(1, rel=1e-6)


def test_the_effective_number_goes_from_no_weights_to_inverse_ones() -> None:
    nearly_none, nearly_inverse = (
        weights_of_classes(ClassWeights("effective_number", beta), COUNTS)
        for beta in (1e-9, 1 - 1e-12)
    )
    torch.testing.assert_close(nearly_none, torch.ones(3))
    torch.testing.assert_close(nearly_inverse, weights_of_classes(METHODS[0], COUNTS))


def test_a_class_without_images_breaks_nothing() -> None:
    for options in METHODS:
        assert bool(weights_of_classes(options, torch.tensor([0, 3, 9])).isfinite().all())
    labels = torch.tensor([1, 2, 2, 2])
    drawn = balanced_order(labels, 1.0, torch.Generator().manual_seed(0))
    assert labels[drawn].tolist().count(1) == 2


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_weight_of_two_is_the_image_twice(smoothing: float) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn((5, 3), generator=random)
    truth = torch.tensor([0, 1, 2, 1, 0])
    twice = torch.tensor([0, 0, 1, 2, 3, 4, 4])
    expected = nn.functional.cross_entropy(
        logits[twice], truth[twice], reduction="sum", label_smoothing=smoothing
    )
    found = Truth(truth).cross_entropy(logits, smoothing, torch.tensor([2.0, 1.0, 1.0]))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("strength", "expected"), [(1e-9, [6, 24, 270]), (0.5, [31, 62, 207]), (1.0, [100, 100, 100])]
)
def test_classes_are_drawn_in_their_shares_and_each_of_their_images_alike(
    strength: float, expected: list[int]
) -> None:
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor([6, 24, 270]))
    labels = labels[torch.randperm(300, generator=torch.Generator().manual_seed(1))]
    random = torch.Generator().manual_seed(0)
    drawn, other = (balanced_order(labels, strength, random) for _ in range(2))
    assert torch.bincount(labels[drawn]).tolist() == expected
    assert drawn.tolist() != other.tolist()
    for label in range(3):
        times = torch.bincount(drawn, minlength=300)[labels == label]
        assert int(times.max() - times.min()) <= 1


# --- in training

LABELS = torch.tensor([0] * 40 + [1] * 8 + [2] * 4)


def a_run(options: Hyperparameters) -> Run:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (52, 1, 8, 8), dtype=torch.uint8, generator=random)
    split = LabelledImages(images, LABELS)
    data = ResidentData(split, split, tuple("abc"), torch.zeros(1), torch.ones(1))
    return Run(options, data, epochs=3, seed=0, model=ModelConfig((3, 4), 5))


def losses(options: Hyperparameters) -> list[float]:
    return [measurement.train_loss for measurement in train(a_run(options))]


def by_hand(run: Run, weights: Tensor) -> list[float]:
    """The plain loss before each of three steps on all images along the weighted gradient."""
    images = run.data.train.images / 255
    with global_random(generator(run.seed, "torch", torch.device("cpu"))):
        model = CNN(network_of(run))
    expected = []
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(images), LABELS, reduction="none")
        expected.append(float(loss.detach().mean()))
        parameters = list(model.parameters())
        gradients = torch.autograd.grad((loss * weights[LABELS]).mean(), parameters)
        with torch.no_grad():
            for weight, gradient in zip(parameters, gradients, strict=True):
                weight.sub_(0.5 * gradient)
    return expected


@pytest.mark.parametrize("options", METHODS)
def test_training_follows_the_weighted_loss_and_reports_the_plain_one(
    options: ClassWeights,
) -> None:
    plain = Hyperparameters(SGD(0.5), batch_size=52)
    run = a_run(replace(plain, class_weights=options))
    weights = weights_of_classes(options, torch.tensor([40, 8, 4]))
    assert losses(run.hyperparameters) == pytest.approx(by_hand(run, weights), rel=1e-4)
    assert losses(run.hyperparameters)[1:] != pytest.approx(losses(plain)[1:], rel=1e-3)


def test_training_draws_the_small_classes_oftener() -> None:
    still = Hyperparameters(SGD(1e-30), batch_size=52)
    run = a_run(replace(still, balanced_sampling=1.0))
    images, labels = run.data.train.images / 255, LABELS
    with global_random(generator(run.seed, "torch", torch.device("cpu"))):
        model = CNN(network_of(run))
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(images), labels, reduction="none")
    by_class = [float(loss[labels == label].mean()) for label in range(3)]
    # 17 or 18 of each class are drawn.
    assert losses(run.hyperparameters)[0] == pytest.approx(sum(by_class) / 3, rel=0.02)
    assert losses(still)[0] == pytest.approx(float(loss.mean()), rel=1e-5)
