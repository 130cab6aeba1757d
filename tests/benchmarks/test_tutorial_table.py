"""The tutorial's table: what is said of its figures is so, and a training is run once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import tutorial_table
from benchmarks.tutorial_table import BATCH, COLUMNS, ROWS, Images, Row, TutorialCNN, run, table
from objectives.data.images import LabelledImages


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_published_accuracy_is_a_whole_number_of_the_images_that_drop_last_leaves(
    row: Row,
) -> None:
    left = 10_000 // BATCH * BATCH
    assert left == 9984
    right = round(row.published / 100 * left)
    # The tutorial counts in float32.
    assert float(np.float32(100) * np.float32(right) / np.float32(left)) == row.published
    other = round(row.published / 100 * 10_000)
    assert float(np.float32(100) * np.float32(other) / np.float32(10_000)) != row.published


def test_the_network_is_the_tutorials() -> None:
    for row in ROWS:
        network = TutorialCNN(row)
        assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
        expected = 338_006 + (2 * (16 + 32 + 64 + 100) if row.batch_normalized else 0)
        assert sum(each.numel() for each in network.parameters()) == expected


def test_a_training_that_was_run_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = LabelledImages(torch.zeros(4, 1, 28, 28), torch.zeros(4))
    images = Images(none, none, None)  # type: ignore[arg-type]
    asked: list[str] = []

    def trains(row: Row, *_: object) -> tuple[float, None]:
        asked.append(row.name)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return float(len(asked)), None

    monkeypatch.setattr(tutorial_table, "COLUMNS", dict.fromkeys(COLUMNS, trains))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, images, 3, 1)
    found = run(tmp_path, images, 3, 1)
    assert len(found) == len(ROWS) * len(COLUMNS)
    assert len(asked) == len(found) + 1
    assert [each.accuracy for each in found[:6]] == [1, 2, 3, 4, 5, 7]
    assert "| weight decay 0.1 | 12.60 | 1.00 | 2.00 | 3.00 | 4.00 |" in table(found)
    assert run(tmp_path, images, 3, 1) == found
