"""Images of other shapes come to one size as data.resize says, and what cropping loses is told."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectives.data.cache import find_decoded, open_searchable
from objectives.data.config import DataConfig
from objectives.data.folder import image_folder
from objectives.data.image_file import fitted, read_pixels
from objectives.errors import DataError

BLACK, GREY, WHITE = 0, 100, 255
RESIZES = ("crop", "pad", "stretch")


def thirds() -> Image.Image:
    """Three squares of 12 pixels beside one another: grey, white, grey."""
    return Image.fromarray(np.repeat(np.uint8([[GREY, WHITE, GREY]]), 12, 1).repeat(12, 0))


def test_crop_keeps_the_middle_pad_all_between_black_and_stretch_all_in_another_shape() -> None:
    cropped, padded, stretched = (fitted(thirds(), 12, 12, each)[0] for each in RESIZES)
    np.testing.assert_array_equal(cropped, np.full((12, 12), WHITE))
    # Of 36 x 12 pixels 12 x 4 are left. Where two colours meet they mix.
    np.testing.assert_array_equal(padded[:4], np.full((4, 12), BLACK))
    np.testing.assert_array_equal(padded[8:], np.full((4, 12), BLACK))
    inside = [0, 1, 2, 5, 6, 9, 10, 11]
    row = np.repeat([GREY, WHITE, GREY], [3, 2, 3])
    np.testing.assert_array_equal(padded[4:8, inside], np.tile(row, (4, 1)))
    np.testing.assert_array_equal(stretched[:, inside], np.tile(row, (12, 1)))
    tall = fitted(thirds().transpose(Image.Transpose.ROTATE_90), 12, 12, "pad")[0]
    np.testing.assert_array_equal(tall, padded.T)


def test_what_has_the_size_stays_as_it_is() -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype(np.uint8)
    for resize in RESIZES:
        found = fitted(Image.fromarray(pixels), 5, 7, resize)
        np.testing.assert_array_equal(found, pixels.transpose(2, 0, 1))


def fill(folder: Path, *sizes: tuple[int, int]) -> None:
    """Two classes with an image of each size (height, width), all different."""
    random = np.random.RandomState(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for row, size in enumerate(sizes):
            image = Image.fromarray(random.randint(0, 256, size).astype(np.uint8))
            image.save(folder / name / f"{row}.png")


@pytest.mark.parametrize("resize", RESIZES)
def test_a_folder_is_decoded_so_at_the_size_that_mixed_ones_get_too(
    resize: str, tmp_path: Path
) -> None:
    fill(tmp_path / "images", (30, 40), (9, 70))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    decoded = image_folder(tmp_path / "images", resize=resize).decode(
        scratch, None, lambda *_: None
    )
    expected = np.empty((4, 1, 64, 64), np.uint8)
    for into, path in zip(expected, sorted((tmp_path / "images").rglob("*.png")), strict=True):
        read_pixels(path, into, {}, resize)
    np.testing.assert_array_equal(decoded.images, expected)


def said(folder: Path, scratch: Path, caplog: pytest.LogCaptureFixture, resize: str) -> list[str]:
    caplog.clear()
    scratch.mkdir(exist_ok=True)
    image_folder(folder, resize=resize).decode(scratch, 32, lambda *_: None)
    return [line for line in caplog.messages if "data.resize" in line]


@pytest.mark.parametrize(
    ("sizes", "line"),
    [
        # A quarter of each image is cut off.
        ([(30, 40)] * 4, None),
        # More than that is cut off a quarter of the images.
        ([(30, 40)] * 3 + [(20, 40)], None),
        (
            [(30, 40)] * 2 + [(20, 40), (40, 20)],
            'data.resize = "crop" cuts more than 25% off 4 of 8 images, 50% off half of these or'
            ' more: try "pad", which keeps all of each and its shape',
        ),
        (
            [(20, 32)] * 3 + [(20, 31)],
            'data.resize = "crop" cuts more than 25% off 8 of 8 images, 38% off half of these or'
            ' more: try "stretch", which keeps all of each, as they have about the same shape',
        ),
    ],
)
def test_what_cropping_cuts_away_is_said_once_it_is_much_of_many_images(
    sizes: list[tuple[int, int]],
    line: str | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder, scratch = tmp_path / "images", tmp_path / "scratch"
    fill(folder, *sizes)
    expected = [] if line is None else [f"{folder}: {line}"]
    assert said(folder, scratch, caplog, "crop") == expected
    assert said(folder, scratch, caplog, "pad") == []


def pixels_of(config: DataConfig, root: Path) -> NDArray[np.uint8]:
    return open_searchable(config, root, root, lambda *_: None).arrays.images


def test_each_way_is_decoded_and_found_again_on_its_own(tmp_path: Path) -> None:
    fill(tmp_path / "images", *[(8, 24 + row) for row in range(5)])
    configs = [
        DataConfig(f"images:{tmp_path / 'images'}", image_size=8, split_version=2, resize=resize)
        for resize in RESIZES
    ]
    decoded = [pixels_of(config, tmp_path) for config in configs]
    assert len({images.tobytes() for images in decoded}) == 3
    opened = open_searchable(configs[0], tmp_path, tmp_path, lambda *_: None)
    for config, images in zip(configs, decoded, strict=True):
        np.testing.assert_array_equal(pixels_of(config, tmp_path), images)
        found = find_decoded(config, opened.facts.fingerprint, tmp_path)
        assert found is not None
        np.testing.assert_array_equal(found.arrays.images, images)


@pytest.mark.parametrize(
    ("dataset", "resize", "said"),
    [
        ("images:x", "squash", "resize squash: choose crop, pad, stretch"),
        ("mnist", "pad", "resize pad: goes with images:FOLDER alone"),
    ],
)
def test_another_way_and_other_data_are_refused(dataset: str, resize: str, said: str) -> None:
    with pytest.raises(DataError) as refused:
        DataConfig(dataset, resize=resize)
    assert str(refused.value) == said
