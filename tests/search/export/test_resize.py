"""An exported model knows how files come to its size, and so do the card's lines."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from objectives.data.image_file import read_pixels
from search.export.calibration import Calibration
from search.export.config import Answering, Pixels, config_bytes, read_config
from search.export.lines_of_use import code
from search.export.model import Model
from search.export.predicting import predictions
from search.export.walking import find_images
from tests.search.export.test_card import odd_images

HEIGHT, WIDTH = 10, 12


def answering_of(resize: str) -> Answering:
    return Answering(
        ("a", "b"),
        Pixels((3, HEIGHT, WIDTH), (), resize),
        Calibration(1.0, 0.0, 0.0, ((900, 1, 1),)),
        {"model.onnx": ""},
    )


@pytest.mark.parametrize(("resize", "version"), [("crop", 1), ("pad", 2), ("stretch", 2)])
def test_the_config_is_read_back_and_an_older_program_refuses_what_it_would_crop(
    resize: str, version: int, tmp_path: Path
) -> None:
    content = config_bytes(answering_of(resize), {})
    (tmp_path / "config.json").write_bytes(content)
    assert json.loads(content)["format_version"] == version
    assert read_config(tmp_path) == answering_of(resize)


# The card's lines leave files to be closed by Python.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_the_cards_lines_and_predict_see_the_pixels_that_training_saw(
    resize: str, tmp_path: Path
) -> None:
    odd_images(tmp_path)
    asked: list[NDArray[np.uint8]] = []

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.extend(images)
        return np.full((len(images), 2), 0.5, np.float32)

    answering = answering_of(resize)
    found = list(predictions(Model(answering, answer), find_images([tmp_path])))
    assert len(found) == len(asked) == 22
    lines = code(answering).partition("labels =")[0].replace("onnxruntime", "math")
    names: dict[str, object] = {}
    exec(lines, names)
    for each, pixels in zip(found, asked, strict=True):
        expected = np.empty((3, HEIGHT, WIDTH), np.uint8)
        read_pixels(Path(each.path), expected, {}, resize)
        np.testing.assert_array_equal(pixels, expected)
        of_lines = names["pixels"](each.path)  # type: ignore[operator]
        # The card's lines round these otherwise: by float64, or by the upper halves.
        off = 1 if Path(each.path).name.startswith(("floats", "holes", "16-bits")) else 0
        np.testing.assert_allclose(of_lines.astype(int), pixels.astype(int), rtol=0, atol=off)
