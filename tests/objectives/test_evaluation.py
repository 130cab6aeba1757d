"""Scores against numbers worked out by hand and against scikit-learn's."""

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score  # type: ignore[import-untyped]
from torch import Tensor, nn

from objectives import names
from objectives.evaluation import INPUT_NORMALIZATIONS, Evaluation, evaluate, normalizer


class Pixels(nn.Module):
    """Logits are the pixels themselves: images (B, K, 1, 1)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def as_is(images: Tensor) -> Tensor:
    return images


def images_of(predicted: list[int], classes: int) -> Tensor:
    """Images that Pixels classifies so: 255 at the class, 0 elsewhere."""
    return (torch.eye(classes)[predicted] * 255).to(torch.uint8).view(-1, classes, 1, 1)


def scores(truth: list[int], predicted: list[int], classes: int, batch_size: int = 4) -> Evaluation:
    return evaluate(Pixels(), images_of(predicted, classes), torch.tensor(truth), as_is, batch_size)


def test_a_case_worked_out_by_hand() -> None:
    found = scores([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 2], 3)
    right, wrong = torch.tensor([1.0, 0.0, 0.0]).log_softmax(0)[:2].tolist()
    assert found.confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert found.confusion.dtype == torch.int64
    assert found.loss == pytest.approx(-(4 * right + 2 * wrong) / 6)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found.macro_f1 == pytest.approx((4 / 6 + 2 / 4 + 1) / 3)


def test_a_class_without_images_does_not_count_as_recalled_or_missed() -> None:
    found = scores([0, 0, 1], [0, 1, 1], 4)
    assert found.balanced_accuracy == pytest.approx((1 / 2 + 1) / 2)
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_class_that_is_only_predicted_counts_in_macro_f1_alone() -> None:
    found = scores([0, 0, 1], [0, 3, 1], 4)
    assert found.balanced_accuracy == pytest.approx((1 / 2 + 1) / 2)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 + 0) / 3)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 5, (101,), generator=random)
    images = torch.randint(0, 256, (101, 5, 1, 1), dtype=torch.uint8, generator=random)
    found = evaluate(Pixels(), images, truth, as_is, batch_size=16)
    predicted = images.flatten(1).float().argmax(1)
    assert found.confusion.tolist() == confusion_matrix(truth, predicted).tolist()
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert found.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))


@pytest.mark.parametrize("batch_size", [1, 4, 5, 100])
def test_every_image_counts_whatever_the_batch_size(batch_size: int) -> None:
    found = scores([0, 1, 2, 2, 1], [0, 1, 2, 0, 1], 3, batch_size)
    assert int(found.confusion.sum()) == 5
    assert found.loss == pytest.approx(
        scores([0, 1, 2, 2, 1], [0, 1, 2, 0, 1], 3, 5).loss, rel=1e-6
    )


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_neither_drops_out_nor_learns_nor_changes_the_mode(training: bool) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.9), Pixels())
    model.train(training)
    before = [value.clone() for value in model.state_dict().values()]
    images, labels = images_of([0, 1, 2] * 10, 3), torch.tensor([0, 1, 2] * 10)
    found = [evaluate(model, images, labels, as_is, 7) for _ in range(2)]
    assert found[0].loss == found[1].loss
    assert found[0].accuracy == 1.0
    torch.testing.assert_close(list(model.state_dict().values()), before, rtol=0, atol=0)
    assert model.training == training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_model_is_shown_normalized_pixels_of_0_to_1() -> None:
    shown: list[Tensor] = []

    class Spy(Pixels):
        def forward(self, images: Tensor) -> Tensor:
            shown.append(images)
            return super().forward(images)

    evaluate(Spy(), images_of([1], 2), torch.tensor([1]), lambda images: images * 10, 4)
    assert shown[0].flatten().tolist() == [0.0, 10.0]


def test_every_input_normalization_is_implemented_and_nothing_else() -> None:
    assert tuple(INPUT_NORMALIZATIONS) == names.INPUT_NORMALIZATIONS


def test_standard_takes_mean_and_deviation_of_each_channel() -> None:
    images = torch.rand((5, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    mean, deviation = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1.0, 2.0, 4.0])
    found = normalizer("standard", mean, deviation)(images)
    torch.testing.assert_close(found[:, 2], (images[:, 2] - 0.3) / 4)
    torch.testing.assert_close(found[:, 1], (images[:, 1] - 0.2) / 2)


def test_minmax_brings_each_image_to_0_to_1_and_a_constant_one_to_0() -> None:
    images = (
        torch.tensor([[100, 100, 100, 101], [7, 7, 7, 7], [0, 255, 51, 0]]).view(3, 1, 2, 2) / 255
    )
    found = normalizer("minmax", torch.zeros(1), torch.ones(1))(images)
    expected = torch.tensor([[0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0.2, 0]])
    torch.testing.assert_close(found.flatten(1), expected, rtol=0, atol=1e-4)


def test_minmax_keeps_the_colours_of_an_image() -> None:
    image = torch.tensor([0.0, 0.25, 0.5]).view(1, 3, 1, 1)
    assert normalizer("minmax", torch.zeros(3), torch.ones(3))(image).flatten().tolist() == [
        0.0,
        0.5,
        1.0,
    ]


def test_none_leaves_pixels_as_they_are() -> None:
    images = torch.rand((2, 1, 3, 3))
    assert normalizer("none", torch.ones(1), torch.ones(1))(images) is images
