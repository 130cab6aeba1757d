"""Pictures become 8 bits alike whatever wrote them: upright, by kind of pixel, and with nothing
lost without a word.
"""

import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectives.data.folder import image_folder
from objectives.data.image_file import difference_hash
from objectives.data.pixels import PixelScale
from objectives.data.source import Decoded
from tests.objectives.data.image_writers import (
    COLOUR,
    COLOUR_AND_ALPHA,
    FLOATS,
    GREY,
    GREY_AND_ALPHA,
    SIGNED,
    UNSIGNED,
    png_16_bits,
    tiff,
)

Numbers = NDArray[np.generic]
ORIENTATIONS = range(1, 9)


def decode(folder: Path, files: dict[str, bytes], image_size: int | None = None) -> Decoded:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return image_folder(folder).decode(
        Path(tempfile.mkdtemp(dir=folder.parent)), image_size, lambda done, total: None
    )


def of_two_classes(folder: Path, suffix: str, first: bytes, second: bytes) -> NDArray[np.uint8]:
    """The pixels of two images, one a class: too few for a test split, so both are the training
    part.
    """
    return decode(folder / "images", {f"a/1{suffix}": first, f"b/1{suffix}": second}).images


def ramp(low: float, high: float, dtype: str, shape: tuple[int, ...] = (4, 6)) -> Numbers:
    """Numbers from low to high, both included."""
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape).astype(dtype)


# --- upright


def lying(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """How pixels lie in a file that is to be shown with that orientation (EXIF 2.3, tag 274)."""
    undo = {
        1: lambda image: image,
        2: np.fliplr,
        3: lambda image: np.rot90(image, 2),
        4: np.flipud,
        5: lambda image: image.T,
        6: np.rot90,
        7: lambda image: np.rot90(image.T, 2),
        8: lambda image: np.rot90(image, -1),
    }
    return np.ascontiguousarray(undo[orientation](pixels))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("deflated", [False, True])
def test_a_tiff_is_turned_once(orientation: int, deflated: bool, tmp_path: Path) -> None:
    upright = np.random.RandomState(0).randint(0, 256, (20, 30)).astype(np.uint8)
    turned = tiff(lying(upright, orientation), deflated=deflated, orientation=orientation)
    np.testing.assert_array_equal(
        of_two_classes(tmp_path, ".tif", turned, tiff(upright)), [upright[None]] * 2
    )


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("written", ["png", "webp", "avif", "tiff"])
def test_every_format_is_turned_once(written: str, orientation: int, tmp_path: Path) -> None:
    """By content: each file is named .png. Where it is compressed with loss, what is shown where
    counts.
    """
    upright = np.zeros((20, 30), dtype=np.uint8)
    upright[:8, :12] = 250
    upright[12:, 20:] = 120
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = BytesIO()
    Image.fromarray(lying(upright, orientation)).convert("RGB").save(
        content, written, exif=exif, quality=100
    )
    images = of_two_classes(tmp_path, ".png", content.getvalue(), content.getvalue())
    np.testing.assert_allclose(
        images.astype(int), np.broadcast_to(upright, (2, 3, 20, 30)), atol=30
    )


# --- kinds of pixels


@pytest.mark.parametrize(
    ("highest", "full"),
    [(1, 255), (200, 255), (255, 255), (256, 1023), (4000, 4095), (16383, 16383), (40000, 65535)],
)
@pytest.mark.parametrize("deflated", [False, True])
def test_16_bits_are_scaled_by_the_bits_that_the_training_part_fills(
    highest: int, full: int, deflated: bool, tmp_path: Path
) -> None:
    one, other = ramp(0, highest, "u2"), ramp(0, highest // 2, "u2")
    images = of_two_classes(
        tmp_path, ".tif", tiff(one, deflated=deflated), tiff(other, order=">", deflated=deflated)
    )
    np.testing.assert_array_equal(images[:, 0], np.rint(np.array([one, other]) * (255 / full)))


@pytest.mark.parametrize("colour_type", [GREY, COLOUR, GREY_AND_ALPHA, COLOUR_AND_ALPHA])
def test_a_png_of_12_bits_in_16_keeps_its_levels_in_grey_and_in_colour(
    colour_type: int, tmp_path: Path
) -> None:
    bands = {GREY: 1, COLOUR: 3, GREY_AND_ALPHA: 2, COLOUR_AND_ALPHA: 4}[colour_type]
    pixels = ramp(0, 4095, "u2", (16, 32, bands))
    if colour_type in (GREY_AND_ALPHA, COLOUR_AND_ALPHA):
        pixels[..., -1] = 65535  # type: ignore[index]
    content = png_16_bits(pixels.squeeze(), colour_type)  # type: ignore[arg-type]
    images = of_two_classes(tmp_path, ".png", content, content)
    seen = pixels[..., :3] if bands >= 3 else pixels[..., :1]
    expected = np.rint(255 * (np.broadcast_to(seen, (16, 32, images.shape[1])) / 4095))  # type: ignore[operator]
    np.testing.assert_array_equal(images[0], np.moveaxis(expected, -1, 0))
    assert len(np.unique(images)) > 150


def test_colours_of_16_bits_keep_the_order_of_their_bytes(tmp_path: Path) -> None:
    pixels = ramp(0, 65535, "u2", (5, 7, 3))
    expected = np.moveaxis(np.rint(pixels / 257), -1, 0)  # type: ignore[operator]
    files = [
        tiff(pixels, order=order, deflated=deflated) for order in "<>" for deflated in (False, True)
    ]
    files.append(png_16_bits(pixels, COLOUR))  # type: ignore[arg-type]
    decoded = decode(
        tmp_path / "images", {f"{'ab'[row % 2]}/{row}.tif": file for row, file in enumerate(files)}
    )
    np.testing.assert_array_equal(decoded.images, [expected] * 5)


def test_what_is_transparent_in_16_bits_is_laid_on_white(tmp_path: Path) -> None:
    clear = np.array([[[65535, 0, 0, 0], [65535, 0, 0, 65535]]], dtype=np.uint16)
    key = np.array([[[1, 2, 3], [65535, 0, 0]]], dtype=np.uint16)
    images = of_two_classes(
        tmp_path,
        ".png",
        png_16_bits(clear, COLOUR_AND_ALPHA),
        png_16_bits(key, COLOUR, transparent=np.array([1, 2, 3], dtype=">u2").tobytes()),
    )
    np.testing.assert_array_equal(images, [[[[255, 255]], [[255, 0]], [[255, 0]]]] * 2)


@pytest.mark.parametrize(
    ("pixels", "sample_format", "expected"),
    [
        (ramp(0, 255, "i4"), SIGNED, ramp(0, 255, "i4")),
        (ramp(0, 255, "u4"), UNSIGNED, ramp(0, 255, "u4")),
        (ramp(0, 10**6, "i4"), SIGNED, np.rint(ramp(0, 10**6, "i4") * (255 / 10**6))),  # type: ignore[operator]
        (ramp(0, 4e9, "u4"), UNSIGNED, np.rint(ramp(0, 4e9, "u4") * (255 / 4e9))),  # type: ignore[operator]
        (ramp(-100, 155, "i2"), SIGNED, ramp(-100, 155, "i2") + np.int64(100)),  # type: ignore[operator]
        (ramp(-100, 100, "i1"), SIGNED, ramp(-100, 100, "i1") + np.int64(100)),  # type: ignore[operator]
        (ramp(0, 1, "f4"), FLOATS, np.rint(ramp(0, 1, "f4") * np.float64(255))),  # type: ignore[operator]
        (ramp(0, 0.5, "f4"), FLOATS, np.rint(ramp(0, 0.5, "f4") * np.float64(255))),  # type: ignore[operator]
        (ramp(-2, 6, "f4"), FLOATS, np.rint((ramp(-2, 6, "f4") + np.float64(2)) * (255 / 8))),  # type: ignore[operator]
        (ramp(0, 255, "f4"), FLOATS, np.rint(ramp(0, 255, "f4"))),  # type: ignore[call-overload]
        (
            np.array([[np.nan, -np.inf, 0.0, 0.5, 1.0, np.inf]], "f4"),
            FLOATS,
            np.array([[0, 0, 0, 128, 255, 255]]),
        ),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, np.ndarray) else "",
)
def test_whole_numbers_and_floats_keep_what_they_show(
    pixels: Numbers, sample_format: int, expected: Numbers, tmp_path: Path
) -> None:
    content = tiff(pixels, sample_format)
    images = of_two_classes(tmp_path, ".tif", content, content)
    np.testing.assert_array_equal(images, [expected[None]] * 2)


def test_each_kind_of_pixel_has_a_scale_of_the_training_part_alone(tmp_path: Path) -> None:
    """A hot pixel of a test image darkens no training image, and is cut off at white."""
    folder = tmp_path / "images"
    dark, hot = ramp(0, 1000, "u2"), ramp(0, 60000, "u2")
    decoded = decode(
        folder,
        {
            "train/a/1.tif": tiff(dark),
            "train/b/1.tif": tiff(ramp(0, 0.25, "f4"), FLOATS),
            "train/b/2.tif": tiff(ramp(0, 255, "u1")),
            "test/a/1.tif": tiff(hot),
            "test/b/1.tif": tiff(ramp(-9, 9, "i4"), SIGNED),
        },
    )
    assert decoded.facts.pixel_scales == (
        PixelScale("16 bits", 0.0, 1023.0),
        PixelScale("floats", 0.0, 1.0),
    )
    np.testing.assert_array_equal(decoded.images[0, 0], np.rint(dark * (255 / 1023)))  # type: ignore[operator]
    np.testing.assert_array_equal(decoded.images[2, 0], ramp(0, 255, "u1"))
    np.testing.assert_array_equal(decoded.images[3, 0], np.rint(hot.clip(0, 1023) * (255 / 1023)))  # type: ignore


def test_images_of_8_bits_have_no_scale(tmp_path: Path) -> None:
    content = tiff(ramp(3, 7, "u1"))
    decoded = decode(tmp_path / "images", {"a/1.tif": content, "b/1.tif": content})
    assert decoded.facts.pixel_scales == ()
    np.testing.assert_array_equal(decoded.images[0, 0], ramp(3, 7, "u1"))


def test_images_that_come_out_with_next_to_nothing_are_named_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hot = ramp(0, 40, "u2", (16, 16))
    hot[0, 0] = 65535  # type: ignore[index]
    few = (ramp(0, 3, "u2", (16, 16)) // 1 * 16000).astype("u2")  # type: ignore[operator]
    decode(
        tmp_path / "images",
        {
            "a/hot.tif": tiff(hot),
            "a/few.tif": tiff(few),
            "b/blank.tif": tiff(ramp(9, 9, "u1", (16, 16))),
        },
    )
    assert caplog.messages == [
        f"{tmp_path / 'images'}: 2 images have next to no distinct values and show nothing:"
        " a/hot.tif, b/blank.tif"
    ]


def test_a_difference_hash_is_of_what_is_shown_not_of_how_it_was_saved() -> None:
    photo = Image.fromarray(
        (np.indices((90, 120)).sum(0) * np.array([[1.2]]) % 256).astype(np.uint8)
    )
    saved = BytesIO()
    photo.save(saved, "jpeg", quality=70)
    other = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert (
        difference_hash(Image.open(saved))
        == difference_hash(photo)
        == difference_hash(photo.resize((240, 180)))
    )
    assert difference_hash(other) != difference_hash(photo)
    assert difference_hash(photo.resize((8, 8))) == 0
