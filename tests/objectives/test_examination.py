"""What is shown of a model's mistakes, against cases worked out by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.cnn import CNN, CNNConfig
from objectives.data.images import LabelledImages
from objectives.evaluation import evaluate
from objectives.examination import WRONG_SHOWN, Examination, examine


class Pixels(nn.Module):
    """Logits are the pixels of the first row of the first channel."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, :]


def as_is(images: Tensor) -> Tensor:
    return images


def split(
    rows: list[list[int]], truth: list[int], channels: int = 1, height: int = 1
) -> LabelledImages:
    images = torch.tensor(rows, dtype=torch.uint8).view(len(rows), 1, 1, -1)
    return LabelledImages(images.repeat(1, channels, height, 1), torch.tensor(truth))


def shown(found: Examination) -> list[tuple[int, int, int, float]]:
    return [(image.index, image.true, image.predicted, image.confidence) for image in found.wrong]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("height", [1, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_most_confident_mistakes_come_first_with_their_pixels(
    channels: int, height: int, batch_size: int
) -> None:
    images = split([[255, 0], [0, 51], [0, 255], [255, 0]], [1, 0, 1, 1], channels, height)
    found = examine(Pixels(), images, as_is, batch_size)
    sure, unsure = (float(torch.tensor([0.0, logit]).softmax(0)[1]) for logit in (1.0, 0.2))
    assert shown(found) == [
        (0, 1, 0, pytest.approx(sure)),
        (3, 1, 0, pytest.approx(sure)),
        (1, 0, 1, unsure),
    ]
    assert [image.pixels.tolist() for image in found.wrong] == [
        images.images[i].tolist() for i in (0, 3, 1)
    ]
    assert {image.pixels.dtype for image in found.wrong} == {np.dtype(np.uint8)}
    assert found.confusion.tolist() == [[0, 1], [2, 1]]


def test_one_image_and_nothing_wrong() -> None:
    found = examine(Pixels(), split([[0, 9, 0]], [1]), as_is, 64)
    assert (found.confusion.tolist(), found.wrong) == ([[0, 0, 0], [0, 1, 0], [0, 0, 0]], ())


def test_no_more_than_a_sheet_of_them_is_kept() -> None:
    rows = [[level, 0] for level in range(1, WRONG_SHOWN + 11)]
    found = examine(Pixels(), split(rows, [1] * len(rows)), as_is, 64)
    assert [image.index for image in found.wrong] == list(range(WRONG_SHOWN + 9, 9, -1))
    assert found.confusion.tolist() == [[0, 0], [WRONG_SHOWN + 10, 0]]


def test_it_counts_as_evaluation_does_without_dropout_and_leaves_the_mode() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (50, 3, 9, 7), dtype=torch.uint8, generator=random)
    labels = torch.randint(0, 5, (50,), generator=random)
    model = CNN(CNNConfig(3, (9, 7), 5, normalization="batch", dropout=0.5)).train()
    first, second = (examine(model, LabelledImages(images, labels), as_is, 16) for _ in range(2))
    assert model.training
    assert first.confusion.tolist() == evaluate(model, images, labels, as_is, 16).confusion.tolist()
    assert shown(first) == shown(second)
