"""A folder of anyone's images is read as it is meant, and what is odd or wrong in it is said in one
line.
"""

import hashlib
import logging
import os
import tempfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectives.data.folder import image_folder, seconds_to_next_stamp
from objectives.data.source import Decoded
from objectives.errors import DataError, DataUnavailable

Pixels = NDArray[np.uint8]


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def save(pixels: Pixels, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def fill(folder: Path, *names: str) -> None:
    """Grey images (4, 4), each another one."""
    for row, name in enumerate(names):
        save(noise(row, 4, 4), folder / name)


def decode_folder(folder: Path, image_size: int | None = None) -> Decoded:
    scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    return image_folder(folder).decode(scratch, image_size, lambda done, total: None)


def contents(decoded: Decoded, rows: NDArray[np.int64]) -> set[bytes]:
    return {decoded.images[row].tobytes() for row in rows}


# --- folders: pixels


def test_a_folder_of_grey_images_of_one_size_is_read_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 4, 5, 7)
    for name, image in zip(
        ("dog/b.png", "dog/a.BMP", "cat/2.png", "cat/10.tif"), images, strict=True
    ):
        save(image, folder / name)
    decoded = decode_folder(folder)
    assert decoded.class_names == ("cat", "dog")
    assert decoded.labels.tolist() == [0, 0, 1, 1]
    # The images stand by relative path.
    np.testing.assert_array_equal(decoded.images, images[[3, 2, 1, 0], None])


def test_one_colour_image_makes_a_folder_rgb(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    grey, colour = noise(0, 6, 6), noise(1, 6, 6, 3)
    save(grey, folder / "a" / "grey.png")
    save(colour, folder / "b" / "colour.png")
    np.testing.assert_array_equal(
        decode_folder(folder).images, [np.stack([grey] * 3), np.moveaxis(colour, -1, 0)]
    )


def constant(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (4, 4), colour)


def palette(transparency: bytes | None) -> Image.Image:
    image = constant("P", 0)
    image.putpalette([10, 20, 30, 0, 0, 0])
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (palette(None), "palette.png", (10, 20, 30)),
        (palette(bytes([0, 255])), "transparent_palette.png", (255, 255, 255)),
        (constant("RGBA", (10, 20, 30, 0)), "transparent.png", (255, 255, 255)),
        (constant("RGBA", (10, 20, 30, 255)), "opaque.png", (10, 20, 30)),
        (constant("RGBA", (0, 0, 0, 51)), "a_fifth_of_black.png", (204, 204, 204)),
        (constant("CMYK", (255, 0, 0, 0)), "cyan.tif", (0, 255, 255)),
        (constant("LA", (7, 255)), "grey.png", (7,)),
        (constant("LA", (7, 0)), "transparent_grey.png", (255,)),
        (constant("1", 1), "bit.png", (255,)),
        (constant("I;16", 65535), "white_16_bits.png", (255,)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_mode_is_converted_properly(
    image: Image.Image, name: str, expected: tuple[int, ...], tmp_path: Path
) -> None:
    for class_name in ("a", "b"):
        path = tmp_path / "images" / class_name / name
        path.parent.mkdir(parents=True)
        image.save(path)
    pixels = np.broadcast_to(
        np.array(expected, dtype=np.uint8)[:, None, None], (len(expected), 4, 4)
    )
    np.testing.assert_array_equal(decode_folder(tmp_path / "images").images, [pixels, pixels])


def png(bit_depth: int, colour_type: int, width: int, rows: list[bytes]) -> bytes:
    """A PNG by its specification: PIL itself writes none of 16 bits in colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            len(content).to_bytes(4, "big")
            + kind
            + content
            + zlib.crc32(kind + content).to_bytes(4, "big")
        )

    size = width.to_bytes(4, "big") + len(rows).to_bytes(4, "big")
    header = chunk(b"IHDR", size + bytes([bit_depth, colour_type, 0, 0, 0]))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    frames = [constant("RGB", colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    for name in ("a/1.gif", "b/1.webp"):
        (folder / name).parent.mkdir(parents=True)
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], lossless=True)
    red = np.broadcast_to(np.array([255, 0, 0])[:, None, None], (3, 4, 4))
    np.testing.assert_array_equal(decode_folder(folder).images, [red, red])


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for name, colour in (("a/1.jpg", (255, 0, 0, 0)), ("b/1.JPEG", (0, 0, 0, 255))):
        (folder / name).parent.mkdir(parents=True)
        constant("CMYK", colour).save(folder / name)
    expected = np.array([[0, 255, 255], [0, 0, 0]])[:, :, None, None]
    np.testing.assert_allclose(
        decode_folder(folder).images, np.broadcast_to(expected, (2, 3, 4, 4)), atol=2
    )


def test_an_extension_of_another_image_format_does_not_matter(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 2, 4, 4)
    for image, name in zip(images, ("a/1.jpg", "b/1.gif"), strict=True):
        (folder / name).parent.mkdir(parents=True)
        Image.fromarray(image).save(folder / name, "png")
    np.testing.assert_array_equal(decode_folder(folder).images, images[:, None])


def test_images_of_one_pixel_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 2, 1, 1)
    save(images[0], folder / "a" / "1.png")
    save(images[1], folder / "b" / "1.png")
    np.testing.assert_array_equal(decode_folder(folder).images, images[:, None])
    assert decode_folder(folder, image_size=3).images.shape == (2, 1, 3, 3)


def test_images_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    upright = noise(0, 4, 6)
    exif = Image.Exif()
    # The tag asks for a turn by 90 degrees clockwise.
    exif[0x0112] = 6
    save(upright, folder / "a" / "upright.png")
    (folder / "b").mkdir()
    Image.fromarray(np.rot90(upright)).save(folder / "b" / "turned.png", exif=exif)
    np.testing.assert_array_equal(decode_folder(folder).images, [upright[None], upright[None]])


def test_an_image_size_scales_the_shorter_side_and_keeps_the_centre(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    wide = np.repeat(
        np.repeat(np.array([[0, 50, 100, 150, 200, 250]], dtype=np.uint8), 8, axis=0), 4, axis=1
    )
    # The picture of (8, 24) pixels has stripes of 4 pixels.
    save(wide, folder / "a" / "wide.png")
    save(wide.T, folder / "b" / "tall.png")
    square = np.repeat(np.array([[100, 150]], dtype=np.uint8), 2, axis=0)
    decoded = decode_folder(folder, image_size=2)
    # The pictures are antialiased.
    np.testing.assert_allclose(decoded.images, np.array([square[None], square.T[None]]), atol=7)


def test_a_folder_of_mixed_sizes_becomes_squares_of_64(tmp_path: Path) -> None:
    save(noise(0, 10, 12), tmp_path / "images" / "a" / "1.png")
    save(noise(1, 90, 70), tmp_path / "images" / "b" / "1.png")
    assert decode_folder(tmp_path / "images").images.shape == (2, 1, 64, 64)


def test_hidden_files_and_litter_are_passed_over_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    fill(folder, "a/1.png", "b/1.png", "a/._1.png", ".thumbnails/1.png")
    thumbnails = (
        "a/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg",
        "@eaDir/1.png",
        "a/2019/@EADIR/1.png",
        "#recycle/old/1.png",
    )
    fill(
        folder,
        *thumbnails,
        "__MACOSX/a/1.png",
        "b/__MACOSX/1.png",
        "b/.ipynb_checkpoints/1-checkpoint.png",
    )
    fill(
        folder,
        "a/x/.ipynb_checkpoints/1.png",
        "$RECYCLE.BIN/1.png",
        "b/.@__thumb/1.png",
        "b/@Recycle/1.png",
    )
    (folder / "a" / "Thumbs.db").write_text("of Windows")
    (folder / "b" / "THUMBS.DB").write_text("of Windows")
    (folder / "README.md").write_text("two classes")
    decoded = decode_folder(folder)
    assert (decoded.class_names, len(decoded.images)) == (("a", "b"), 2)
    assert caplog.messages == []


def test_what_is_no_image_by_name_or_place_is_named_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    fill(folder, "train/a/1.png", "train/b/1.png", "test/b/2.png", "val/b/1.png", "loose.png")
    (folder / "train" / "a" / "notes.txt").write_text("a cat")
    (folder / "train" / "b" / "of a").symlink_to(folder / "train" / "a")
    # Reading the pipe would wait for ever.
    os.mkfifo(folder / "test" / "b" / "pipe.png")
    decoded = decode_folder(folder)
    assert len(decoded.images) == 3
    assert caplog.messages == [
        f"{folder}: 5 files or folders are no images or stand in no class: loose.png, val,"
        " train/a/notes.txt, ..."
    ]


def test_images_in_folders_below_a_class_are_of_that_class(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 4, 4, 4)
    for name, image in zip(("a/1", "a/2019/may/1", "a/2020/1", "b/x/1"), images, strict=True):
        save(image, folder / f"{name}.png")
    decoded = decode_folder(folder)
    np.testing.assert_array_equal(decoded.images, images[[0, 1, 2, 3], None])
    assert decoded.labels.tolist() == [0, 0, 0, 1]


def test_links_to_files_and_classes_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 2, 4, 4)
    for row, name in enumerate(("a", "b")):
        save(images[row], tmp_path / "elsewhere" / name / "1.png")
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "linked.png").symlink_to(tmp_path / "elsewhere" / "a" / "1.png")
    (folder / "b").symlink_to(tmp_path / "elsewhere" / "b")
    np.testing.assert_array_equal(decode_folder(folder).images, images[:, None])


def test_a_link_to_nowhere_is_out_of_reach(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder, "a/1.png", "b/1.png")
    (folder / "b" / "2.png").symlink_to(tmp_path / "unmounted")
    with pytest.raises(DataUnavailable) as refused:
        image_folder(folder)
    assert (
        str(refused.value)
        == f"{folder / 'b' / '2.png'}: cannot be read (No such file or directory); make it readable"
        " or remove it"
    )


def test_any_name_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "my images"
    names = (
        "꽃 장미/사진 1.PNG",
        "꽃 장미/it's.Jpg.png",
        "강아지/ .png.BMP",
        "강아지/line\nbreak.png",
    )
    images = noise(0, 4, 4, 4)
    for name, image in zip(names, images, strict=True):
        save(image, folder / name)
    with open(os.fsencode(folder / "강아지") + b"/\xff.png", "wb") as not_utf8:  # noqa: PTH123 - no Path has this name
        Image.fromarray(noise(1, 4, 4)).save(not_utf8, "png")
    decoded = decode_folder(folder)
    assert decoded.class_names == ("강아지", "꽃 장미")
    assert contents(decoded, np.arange(5)) == {
        image.tobytes() for image in (*images, noise(1, 4, 4))
    }


def test_the_name_of_a_class_must_be_text(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    save(noise(0, 4, 4), folder / "a" / "1.png")
    os.mkdir(os.fsencode(folder) + b"/\xff")  # noqa: PTH102 - no Path has this name
    with pytest.raises(DataError) as refused:
        image_folder(folder)
    assert (
        str(refused.value)
        == f"{folder}/\\udcff: the name of this class is not in UTF-8; rename the folder"
    )


def test_files_that_cannot_be_read_are_named_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    for row in range(6):
        save(noise(row, 64, 64), folder / "ab"[row % 2] / f"{row}.png")
    whole = (folder / "a" / "0.png").read_bytes()
    jpeg = BytesIO()
    Image.fromarray(noise(9, 64, 64)).save(jpeg, "jpeg")
    (folder / "a" / "empty.png").touch()
    (folder / "a" / "text.jpg").write_text("hello")
    (folder / "b" / "cut.jpg").write_bytes(jpeg.getvalue()[: len(jpeg.getvalue()) // 2])
    (folder / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        decoded = decode_folder(folder)
    assert caplog.messages == [
        f"{folder}: 4 of 10 images cannot be read and are left out: a/empty.png, a/text.jpg,"
        " b/cut.jpg, ... (-v names each with its reason)"
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="objectives.data.folder"):
        decode_folder(folder)
    assert [line.removeprefix(f"{folder}: ") for line in caplog.messages[:-1]] == [
        "a/empty.png is left out: the file is empty",
        "a/text.jpg is left out: it holds no image that Pillow reads",
        "b/cut.jpg is left out: image file is truncated (11 bytes not processed)",
        "b/cut.png is left out: image file is truncated",
    ]
    read = np.sort(np.concatenate([decoded.train, decoded.test]))
    np.testing.assert_array_equal(decoded.images[read], noise_of_rows([0, 2, 4, 1, 3, 5]))
    assert decoded.labels[read].tolist() == [0, 0, 0, 1, 1, 1]


def test_names_of_odd_files_are_shown_on_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    fill(folder, "a/1.png", "b/1.png")
    (folder / "a" / "two\nlines.png").touch()
    decode_folder(folder)
    assert caplog.messages == [
        f"{folder}: 1 of 3 images cannot be read and are left out: a/two\\nlines.png (-v names each"
        " with its reason)"
    ]


def test_an_image_in_two_classes_is_named_as_mislabelled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    images = noise(0, 12, 4, 4)
    for row, image in enumerate(images):
        save(image, folder / "ab"[row % 2] / f"{row}.png")
    save(images[0], folder / "b" / "copy.png")
    save(images[0], folder / "b" / "copy too.png")
    save(images[1], folder / "a" / "copy.png")
    decoded = decode_folder(folder)
    assert caplog.messages == [
        (
            f"{folder}: 2 images stand in more than one class, where all but one are mislabelled: "
            "a/0.png = b/copy too.png, a/copy.png = b/1.png"
        ),
        f"{folder}: 1 images are copies of others of their class: b/copy too.png = b/copy.png",
    ]
    assert len(decoded.train) + len(decoded.test) == 15


def test_an_image_of_test_that_is_in_train_too_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    fill(folder, "train/a/1.png", "train/b/1.png", "test/b/1.png", "test/a/2.png")
    (folder / "test" / "b" / "copy.png").write_bytes(
        (folder / "train" / "b" / "1.png").read_bytes()
    )
    decode_folder(folder)
    assert caplog.messages == [
        f"{folder}: 1 images of test are in train too, so that the test split flatters:"
        " train/b/1.png = test/b/copy.png"
    ]


@pytest.mark.parametrize(("large", "said"), [(19, False), (20, True)])
def test_very_uneven_classes_are_told_which_metrics_weigh_them_alike(
    large: int, said: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    for row, image in enumerate(noise(0, large + 2, 4, 4)):
        save(image, folder / ("common" if row < large else "rare") / f"{row}.png")
    # An empty file does not count.
    (folder / "rare" / "empty.png").touch()
    decode_folder(folder)
    line = (
        f'{folder}: class "common" has {large} images and "rare" 2: accuracy counts images; '
        'metric = "balanced_accuracy" or "macro_f1" counts classes, and class_weights and '
        "balanced_sampling in [space] train for it"
    )
    assert caplog.messages[1:] == [line] * said


def noise_of_rows(seeds: list[int]) -> Pixels:
    return np.stack([noise(seed, 1, 64, 64) for seed in seeds])


def test_progress_ends_with_the_last_image(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for row in range(120):
        save(noise(row, 2, 2), folder / "ab"[row % 2] / f"{row}.png")
    seen: list[tuple[int, int]] = []
    image_folder(folder).decode(tmp_path, None, lambda done, total: seen.append((done, total)))
    assert seen == [(100, 120), (120, 120)]


def test_images_larger_than_memory_are_refused_before_they_are_read(tmp_path: Path) -> None:
    for class_name in ("a", "b"):
        save(noise(0, 4, 4), tmp_path / "images" / class_name / "1.png")
    with pytest.raises(DataError) as refused:
        decode_folder(tmp_path / "images", image_size=10_000_000)
    assert str(refused.value).startswith(
        f"{tmp_path / 'images'}: 2 images of 10000000 x 10000000 pixels need 200000.0 GB of memory"
        " and "
    )
    assert str(refused.value).endswith(" GB are free; set a smaller image_size")


# --- folders: the test split


def test_a_published_test_folder_is_the_test_split(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 5, 4, 4)
    for name, image in zip(
        ("train/a/1", "train/a/2", "train/b/1", "train/b/2", "test/b/1"), images, strict=True
    ):
        save(image, folder / f"{name}.png")
    decoded = decode_folder(folder)
    np.testing.assert_array_equal(decoded.images, images[:, None])
    assert (decoded.train.tolist(), decoded.test.tolist()) == ([0, 1, 2, 3], [4])
    assert decoded.labels.tolist() == [0, 0, 1, 1, 1]


def test_the_test_split_of_a_tree_is_the_fifth_of_each_class_with_the_smallest_hash(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "images"
    images = noise(0, 30, 4, 4)
    for row, image in enumerate(images):
        save(image, folder / ("a" if row < 10 else "b") / f"{row}.png")
    decoded = decode_folder(folder)
    expected: set[bytes] = set()
    for class_name, count in (("a", 2), ("b", 4)):
        files = sorted(
            (folder / class_name).iterdir(),
            key=lambda file: hashlib.sha256(file.read_bytes()).digest(),
        )
        expected |= {np.asarray(Image.open(file)).tobytes() for file in files[:count]}
    assert contents(decoded, decoded.test) == expected
    assert contents(decoded, decoded.train) == {image.tobytes() for image in images} - expected


def test_the_test_split_depends_on_no_file_name(tmp_path: Path) -> None:
    for row, image in enumerate(noise(0, 40, 4, 4)):
        save(image, tmp_path / "once" / "ab"[row % 2] / f"{row}.png")
        save(image, tmp_path / "renamed" / "ab"[row % 2] / f"{row * 7919 % 1000} {row}.png")
    once, renamed = decode_folder(tmp_path / "once"), decode_folder(tmp_path / "renamed")
    assert once.images.tobytes() != renamed.images.tobytes()
    assert len(once.test) == 8
    assert contents(once, once.test) == contents(renamed, renamed.test)


def test_no_file_has_a_copy_on_the_other_side_of_the_test_split(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for row, image in enumerate(noise(0, 60, 4, 4)):
        own, other = "ab" if row < 40 else "ba"
        for name in (
            f"{own}/{row}.png",
            f"{own}/copy of {row}.png",
            *[f"{other}/{row}.png"] * (row % 2),
        ):
            save(image, folder / name)
    decoded = decode_folder(folder)
    test, train = contents(decoded, decoded.test), contents(decoded, decoded.train)
    assert len(test) >= 10
    assert len(test) + len(train) == 60
    assert test.isdisjoint(train)


# --- folders: what is wrong with them


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        image_folder(tmp_path / "nowhere")
    assert (
        str(refused.value)
        == f"{tmp_path / 'nowhere'}: no such folder; give one that holds a sub-folder of images for"
        " each class"
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "{folder}: 0 sub-folders; give each of two or more classes a sub-folder of images"),
        (
            ["a.png"],
            "{folder}: 0 sub-folders; give each of two or more classes a sub-folder of images",
        ),
        (
            ["a/1.png"],
            "{folder}: 1 sub-folders; give each of two or more classes a sub-folder of images",
        ),
        (
            ["train/a/1.png", "test/a/1.png"],
            (
                "{folder}/train: 1 sub-folders; give each of two or more classes a sub-folder of"
                " images"
            ),
        ),
        (
            ["a/1.png", "b/notes.txt"],
            (
                "{folder}/b: no image in this class; add some "
                "(.bmp .gif .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp) or remove it"
            ),
        ),
        (
            ["train/a/1.png", "train/b/1.png", "val/a/1.png"],
            (
                "{folder}: train without test; add {folder}/test, or give {folder}/train, which is"
                " then split"
            ),
        ),
        (
            ["train/a/1.png", "train/b/1.png", "test/c/1.png"],
            "{folder}/test/c: no such class in {folder}/train; add it there or remove it here",
        ),
    ],
)
def test_a_folder_that_is_laid_out_otherwise_is_refused(
    files: list[str], expected: str, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in files:
        if name.endswith(".png"):
            save(noise(0, 4, 4), folder / name)
        else:
            (folder / name).parent.mkdir()
            (folder / name).touch()
    with pytest.raises(DataError) as refused:
        image_folder(folder)
    assert str(refused.value) == expected.format(folder=folder)


def test_a_file_that_the_system_will_not_open_ends_the_decoding(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder, "a/1.png", "b/1.png")
    source = image_folder(folder)
    (folder / "b" / "1.png").unlink()
    with pytest.raises(DataUnavailable) as refused:
        source.decode(tmp_path, None, lambda done, total: None)
    assert (
        str(refused.value)
        == f"{folder / 'b' / '1.png'}: cannot be read (No such file or directory); make it readable"
        " or remove it"
    )


# --- folders: what tells that they have changed


@pytest.mark.parametrize(
    ("changed_ns", "now_ns", "seconds"),
    [
        # The clock ticks every 10 ms.
        ([5, 1_000_000_007], 1_000_000_007, 0.01),
        ([5, 1_000_000_007], 1_004_000_007, 0.006),
        ([5, 1_000_000_007], 1_010_000_007, 0.0),
        # The clock tells whole seconds, which is taken as every 2 s.
        ([0, 7 * 10**9], 7 * 10**9 + 500_000_000, 1.5),
        ([0, 7 * 10**9], 9 * 10**9, 0.0),
        # The file's clock is ahead.
        ([1_000_000_007], 1_000_000_000, 0.0),
    ],
)
def test_decoding_waits_until_a_write_would_show(
    changed_ns: list[int], now_ns: int, seconds: float
) -> None:
    assert seconds_to_next_stamp(changed_ns, now_ns) == seconds


def add(folder: Path) -> None:
    save(noise(9, 4, 4), folder / "a" / "new.bmp")


def remove(folder: Path) -> None:
    (folder / "a" / "2.bmp").unlink()


def rename(folder: Path) -> None:
    (folder / "a" / "2.bmp").rename(folder / "b" / "2.bmp")


def touch(folder: Path) -> None:
    (folder / "a" / "2.bmp").touch()


def replace_keeping_its_time(folder: Path) -> None:
    file, other = folder / "a" / "2.bmp", folder / "b" / "1.bmp"
    before = file.stat()
    (folder / "aside").write_bytes(other.read_bytes())
    os.utime(folder / "aside", ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "aside").replace(file)


def write_over_keeping_its_time(folder: Path) -> None:
    file, other = folder / "a" / "2.bmp", folder / "b" / "1.bmp"
    before = file.stat()
    # A BMP of other pixels has the same size.
    file.write_bytes(other.read_bytes())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "change", [add, remove, rename, touch, replace_keeping_its_time, write_over_keeping_its_time]
)
def test_whatever_changes_an_image_changes_the_fingerprint(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    fill(folder, "a/1.bmp", "a/2.bmp", "b/1.bmp")
    # Decoding waits for the clock.
    decode_folder(folder)
    before = image_folder(folder)
    assert image_folder(folder).fingerprint == before.fingerprint
    change(folder)
    after = image_folder(folder)
    assert after.fingerprint != before.fingerprint
    assert after.slug == before.slug
