"""The files of an incumbent show what they are given, always in the same bytes."""

import io
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectives.examined import Examination, WrongImage
from search.worker.pictures import (
    CELL_PIXELS,
    confusion_matrix_csv,
    confusion_matrix_png,
    examination_npz,
    incumbent_files,
    incumbent_pictures,
    is_drawn,
    learning_curve_csv,
    learning_curve_png,
    read_examination,
    wrong_images_png,
)
from storage.records import EpochRecord

FIRST = EpochRecord(1, 2.25, 0.25, 2.0, 0.3125, 0.3, 0.2, 0.01, 0.5, 1.5, 1000.0, None)
EPOCHS = (
    FIRST,
    replace(FIRST, epoch=2, train_loss=0.1, validation_accuracy=0.75, train_eval_loss=0.125),
)
NAMES = ("cat", "a long-haired, short dog", "$x$")
CONFUSION = np.array([[7, 1, 0], [0, 1200, 3], [0, 0, 0]])
PIXELS = np.array([[[255, 0], [10, 20]], [[0, 255], [30, 40]], [[0, 0], [50, 60]]], dtype=np.uint8)
WRONG = WrongImage(4, PIXELS, true=1, predicted=2, confidence=0.987)


def opened(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_an_incumbent_has_these_files_and_they_are_always_the_same() -> None:
    examination = Examination(CONFUSION, (WRONG,))
    files = incumbent_files(b"model", EPOCHS, examination, NAMES)
    assert list(files) == [
        "model.safetensors",
        "learning-curve.csv",
        "confusion-matrix.csv",
        "examination.npz",
    ]
    assert files["model.safetensors"] == b"model"
    assert incumbent_files(b"model", EPOCHS, examination, NAMES) == files
    pictures = incumbent_pictures(EPOCHS, examination, NAMES)
    assert list(pictures) == [
        "learning-curve.png",
        "confusion-matrix.png",
        "wrongly-classified.png",
    ]
    assert min(opened(content).std() for content in pictures.values()) > 0
    assert incumbent_pictures(EPOCHS, examination, NAMES) == pictures
    without = incumbent_pictures(EPOCHS, Examination(CONFUSION, ()), NAMES)
    assert without == {
        name: content for name, content in pictures.items() if name != "wrongly-classified.png"
    }
    assert [is_drawn(files), is_drawn([*files, *without])] == [False, True]


@pytest.mark.parametrize(
    "wrong", [(), (WRONG,), (WRONG, replace(WRONG, index=5, confidence=1 / 3))]
)
@pytest.mark.parametrize("names", [NAMES, ("\udce9", "小", "")])
def test_pictures_are_drawn_from_what_is_kept_as_from_the_examination(
    wrong: tuple[WrongImage, ...], names: tuple[str, ...]
) -> None:
    examination = Examination(CONFUSION, wrong)
    kept, kept_names = read_examination(examination_npz(examination, names))
    assert kept_names == names
    assert incumbent_pictures(EPOCHS, kept, kept_names) == incumbent_pictures(
        EPOCHS, examination, names
    )


def test_a_curve_that_is_not_finite_is_drawn_without_those_points_and_empty_in_the_table() -> None:
    wild = replace(FIRST, train_loss=math.inf, validation_loss=math.nan, train_eval_loss=math.inf)
    assert opened(learning_curve_png((FIRST, wild))).std() > 0
    assert opened(learning_curve_png((wild,))).std() > 0
    assert (
        learning_curve_csv((wild,)).decode().splitlines()[1]
        == "1,,0.25,,0.3125,0.3,0.2,0.01,0.5,1.5,1000.0,"
    )


def test_tables_hold_every_number() -> None:
    assert (
        learning_curve_csv(EPOCHS).decode()
        == "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,"
        "validation_balanced_accuracy,validation_macro_f1,learning_rate,near_zero_share,seconds,images_per_second,train_eval_loss\n"
        "1,2.25,0.25,2.0,0.3125,0.3,0.2,0.01,0.5,1.5,1000.0,\n"
        "2,0.1,0.25,2.0,0.75,0.3,0.2,0.01,0.5,1.5,1000.0,0.125\n"
    )
    assert (
        confusion_matrix_csv(CONFUSION, NAMES).decode()
        == 'true,cat,"a long-haired, short dog",$x$\ncat,7,1,0\n"a long-haired, short'
        ' dog",0,1200,3\n$x$,0,0,0\n'
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: learning_curve_png(EPOCHS), lambda: learning_curve_png(EPOCHS[:1])),
        (
            lambda: learning_curve_png(EPOCHS),
            lambda: learning_curve_png((replace(FIRST, train_loss=1.0), EPOCHS[1])),
        ),
        (
            lambda: learning_curve_png(EPOCHS),
            lambda: learning_curve_png((replace(FIRST, validation_accuracy=0.5), EPOCHS[1])),
        ),
        # The shares are the same, the counts are not.
        (
            lambda: confusion_matrix_png(CONFUSION, NAMES),
            lambda: confusion_matrix_png(CONFUSION * 2, NAMES),
        ),
        (
            lambda: confusion_matrix_png(CONFUSION, NAMES),
            lambda: confusion_matrix_png(CONFUSION.T, NAMES),
        ),
        (
            lambda: confusion_matrix_png(CONFUSION, NAMES),
            lambda: confusion_matrix_png(CONFUSION, ("c", *NAMES[1:])),
        ),
        (
            lambda: wrong_images_png([WRONG], NAMES),
            lambda: wrong_images_png([replace(WRONG, true=0)], NAMES),
        ),
        (
            lambda: wrong_images_png([WRONG], NAMES),
            lambda: wrong_images_png([replace(WRONG, predicted=0)], NAMES),
        ),
        (
            lambda: wrong_images_png([WRONG], NAMES),
            lambda: wrong_images_png([replace(WRONG, confidence=0.5)], NAMES),
        ),
    ],
)
def test_what_differs_is_seen(one: Callable[[], bytes], other: Callable[[], bytes]) -> None:
    first, second = opened(one()), opened(other())
    assert first.shape != second.shape or (first != second).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_wrong_image_is_shown_pixel_by_pixel(channels: int) -> None:
    pixels = PIXELS[:channels]
    sheet = opened(wrong_images_png([replace(WRONG, pixels=pixels)] * 2, NAMES))
    block = CELL_PIXELS // 2
    large = pixels.repeat(block, 1).repeat(block, 2).transpose(1, 2, 0)
    shown = np.broadcast_to(large, (CELL_PIXELS, CELL_PIXELS, 3))
    for left in (30, 186):
        assert np.array_equal(sheet[40 : 40 + CELL_PIXELS, left : left + CELL_PIXELS], shown)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 500, 3), (3, 40, 300)])
@pytest.mark.parametrize("count", [1, 9, 64])
def test_any_number_of_images_of_any_size_fits_the_sheet(
    shape: tuple[int, int, int], count: int
) -> None:
    image = replace(WRONG, pixels=np.full(shape, 90, dtype=np.uint8))
    height, width, _ = opened(wrong_images_png([image] * count, NAMES)).shape
    assert width < 1300
    assert height < 1300


@pytest.mark.parametrize("classes", [1, 2, 100, 300])
def test_a_confusion_matrix_of_many_classes_can_be_read_and_opened(classes: int) -> None:
    names = [f"aquarium fish {index}" for index in range(classes)]
    height, width, _ = opened(confusion_matrix_png(np.diag(np.arange(classes) + 1), names)).shape
    # Three digits of 8 points and a margin need so many pixels.
    assert min(height, width) >= min(classes, 120) * 28
    assert max(height, width) < 4000


@pytest.mark.parametrize(
    "name", ["", "$", "$\\frac$", "고양이", "\U0001f408", "a\nb", "\udcff", "x" * 500]
)
def test_any_name_of_a_class_is_drawn_without_a_warning(name: str) -> None:
    names = (name, "dog", "bird")
    examination = Examination(CONFUSION, (replace(WRONG, true=0),))
    assert all(
        max(opened(file).shape) < 1300
        for file in incumbent_pictures(EPOCHS, examination, names).values()
    )
    assert (
        incumbent_files(b"", EPOCHS, examination, names)["confusion-matrix.csv"]
        .decode()
        .count("dog")
        == 2
    )


def test_drawing_leaves_the_process_as_it_is() -> None:
    code = """
import sys
from search.worker import pictures
assert not {"matplotlib", "torch"} & set(sys.modules), "loaded before anything is drawn"
import matplotlib
import numpy as np
settings = matplotlib.rcParams.copy()
pictures.confusion_matrix_png(np.eye(3, dtype=np.int64), "abc")
assert matplotlib.rcParams.copy() == settings
assert not {"matplotlib.pyplot", "torch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
