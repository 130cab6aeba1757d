"""Every data set is read as it is meant: pixels, classes, test split, and what is wrong with it in one line."""

import hashlib
import logging
import pickle
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from objectives import datasets
from objectives.datasets import Decoded, find_source, stratified_split
from objectives.errors import DataError, DataUnavailable
from objectives.names import DATASETS

Pixels = NDArray[np.uint8]


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def save(pixels: Pixels, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def decode(dataset: str, tmp_path: Path, image_size: int | None = None) -> Decoded:
    scratch = Path(tempfile.mkdtemp(dir=tmp_path))
    return find_source(dataset, tmp_path / "data").decode(scratch, image_size, lambda done, total: None)


def decode_folder(folder: Path, image_size: int | None = None) -> Decoded:
    return decode(f"images:{folder}", folder.parent, image_size)


def contents(decoded: Decoded, rows: NDArray[np.int64]) -> set[bytes]:
    return {decoded.images[row].tobytes() for row in rows}


def test_every_named_image_set_has_a_reader() -> None:
    assert set(datasets.READERS) == set(DATASETS) - {"synthetic"}


def test_an_unknown_data_set_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        find_source("mnits", tmp_path)
    assert str(refused.value) == 'dataset "mnits": choose mnist-5k, mnist, fashion-mnist, cifar10 or images:FOLDER'


# --- stratified splits


@given(st.lists(st.integers(2, 40), min_size=2, max_size=8), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_a_stratified_split_takes_exactly_its_fraction_and_leaves_every_class_on_both_sides(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))
    total = round(fraction * len(labels))
    if not len(counts) <= total <= len(labels) - len(counts):
        return
    stay, taken = stratified_split(labels, fraction, seed)
    assert sorted([*stay, *taken]) == list(range(len(labels)))
    assert len(taken) == total
    assert set(labels[stay]) == set(labels[taken]) == set(range(len(counts)))


def test_a_stratified_split_shares_by_largest_remainder() -> None:
    labels = np.repeat([0, 1, 2], [10, 13, 17])  # 30 % of 40 is 12; the exact shares are 3.0, 3.9 and 5.1
    _, taken = stratified_split(labels, 0.3, seed=0)
    assert np.bincount(labels[taken]).tolist() == [3, 4, 5]


def test_a_class_too_small_for_its_fraction_takes_its_image_from_the_largest() -> None:
    labels = np.repeat([0, 1, 2], [26, 2, 2])  # 10 % of 30 is 3; the exact shares are 2.6, 0.2 and 0.2
    _, taken = stratified_split(labels, 0.1, seed=0)
    assert np.bincount(labels[taken]).tolist() == [1, 1, 1]


def test_a_split_is_the_same_in_every_release_of_numpy() -> None:
    _, taken = stratified_split(np.repeat([0, 1], 10), 0.3, seed=7)
    assert taken.tolist() == [0, 5, 8, 11, 12, 13]


# --- mnist-5k


def test_the_test_split_of_mnist_5k_never_changes(mnist_5k_cache: Path) -> None:
    (entry,) = mnist_5k_cache.glob("mnist-5k.native.*/")
    images, labels = np.load(entry / "test_images.npy"), np.load(entry / "test_labels.npy")
    assert np.bincount(labels).tolist() == [100] * 10
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "e95ac17f866a4c392a51b7e7f3ce1fe912d566ef75ecbca822038816400f6619"


# --- published sets


def write_idx(path: Path, values: Pixels) -> None:
    """The format of the MNIST files: two zero bytes, 8 for uint8, the number of dimensions, each big-endian."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(header + values.tobytes())


def write_mnist(raw: Path) -> tuple[Pixels, Pixels]:
    """A MNIST of 30 images to train on and 10 to test; gives the images."""
    train, test = noise(0, 30, 28, 28), noise(1, 10, 28, 28)
    for name, images in (("train", train), ("t10k", test)):
        write_idx(raw / f"{name}-images-idx3-ubyte", images)
        write_idx(raw / f"{name}-labels-idx1-ubyte", np.arange(len(images), dtype=np.uint8) % 10)
    return train, test


@pytest.mark.parametrize(
    ("dataset", "folder", "third"), [("mnist", "MNIST", "2"), ("fashion-mnist", "FashionMNIST", "Pullover")]
)
def test_idx_files_are_read_with_their_published_test_split(
    dataset: str, folder: str, third: str, tmp_path: Path
) -> None:
    train, test = write_mnist(tmp_path / "data" / folder / "raw")
    decoded = decode(dataset, tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], train[:, None])
    np.testing.assert_array_equal(decoded.images[decoded.test], test[:, None])
    assert decoded.labels.tolist() == [*range(10)] * 4
    assert (len(decoded.class_names), decoded.class_names[2]) == (10, third)


def write_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Pixels, Pixels]:
    """A CIFAR-10 of 10 images to train on and 2 to test, whose checksums torchvision is told; gives the images."""
    folder.mkdir(parents=True)
    train, test = noise(2, 10, 3, 32, 32), noise(3, 2, 3, 32, 32)
    batches = {f"data_batch_{i + 1}": train[2 * i : 2 * i + 2] for i in range(5)} | {"test_batch": test}
    checksums = {}
    for name, images in batches.items():
        content = pickle.dumps({"data": images.reshape(len(images), -1), "labels": [3, 8]})
        (folder / name).write_bytes(content)
        checksums[name] = hashlib.md5(content).hexdigest()
    meta = pickle.dumps({"label_names": []})
    (folder / "batches.meta").write_bytes(meta)
    cifar10 = torchvision.datasets.CIFAR10
    monkeypatch.setattr(cifar10, "train_list", [[n, checksums[n]] for n in batches if n != "test_batch"])
    monkeypatch.setattr(cifar10, "test_list", [["test_batch", checksums["test_batch"]]])
    monkeypatch.setattr(cifar10, "meta", cifar10.meta | {"md5": hashlib.md5(meta).hexdigest()})
    return train, test


def test_cifar10_is_read_with_its_published_test_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = write_cifar10(tmp_path / "data" / "cifar-10-batches-py", monkeypatch)
    decoded = decode("cifar10", tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], train)
    np.testing.assert_array_equal(decoded.images[decoded.test], test)
    assert decoded.labels.tolist() == [3, 8] * 6
    assert decoded.class_names[3::5] == ("cat", "ship")


def test_a_published_set_is_resized_where_a_size_is_asked_for(tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    train, _ = write_mnist(raw)
    np.testing.assert_array_equal(decode("mnist", tmp_path, 28).images[:30], train[:, None])
    halved = decode("mnist", tmp_path, 14).images[:30, 0]
    expected = [np.asarray(Image.fromarray(image).resize((14, 14), Image.Resampling.BILINEAR)) for image in train]
    np.testing.assert_array_equal(halved, expected)


def test_damaged_files_of_a_published_set_are_named(tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_mnist(raw)
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"<html>")
    with pytest.raises(DataUnavailable) as refused:
        decode("mnist", tmp_path)
    assert str(refused.value) == (
        "mnist: the files are damaged; place train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
        f"t10k-labels-idx1-ubyte in {raw}"
    )


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sends every download to a port of this machine."""

    def proxy(port: int) -> None:
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")

    return proxy


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_an_absent_set_without_network_says_what_to_place_where(
    tmp_path: Path, no_network: Callable[[int], None], capfd: pytest.CaptureFixture[str]
) -> None:
    no_network(closed_port())
    with pytest.raises(DataUnavailable) as refused:
        find_source("cifar10", tmp_path)
    assert str(refused.value) == (
        "cifar10: neither found nor downloaded; place data_batch_1, data_batch_2, data_batch_3, data_batch_4, "
        f"data_batch_5, test_batch, batches.meta in {tmp_path / 'cifar-10-batches-py'}"
    )
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert capfd.readouterr() == ("", "")


def test_a_server_that_never_answers_does_not_hold_a_download_for_ever(
    tmp_path: Path, no_network: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "DOWNLOAD_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        no_network(silent.getsockname()[1])
        with pytest.raises(DataUnavailable):
            find_source("mnist", tmp_path)


PRETEND_DOWNLOAD = """
import pathlib, sys
_, name, folder, timeout = sys.argv
raw = pathlib.Path(folder) / name / "raw"
raw.mkdir(parents=True)
for file in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
    (raw / f"{file}-ubyte").write_text(file)
"""


def test_a_download_stands_in_its_place_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_DOWNLOAD", PRETEND_DOWNLOAD)
    find_source("mnist", tmp_path)
    assert sorted(path.name for path in (tmp_path / "MNIST" / "raw").iterdir()) == [
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["MNIST"]


def test_a_download_that_breaks_off_leaves_nothing_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "_DOWNLOAD", PRETEND_DOWNLOAD + "sys.exit(1)")
    with pytest.raises(DataUnavailable):
        find_source("mnist", tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


# --- folders: pixels


def test_a_folder_of_grey_images_of_one_size_is_read_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 4, 5, 7)
    for name, image in zip(("dog/b.png", "dog/a.BMP", "cat/2.png", "cat/10.tif"), images, strict=True):
        save(image, folder / name)
    decoded = decode_folder(folder)
    assert decoded.class_names == ("cat", "dog")
    assert decoded.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(decoded.images, images[[3, 2, 1, 0], None])  # by relative path


def test_one_colour_image_makes_a_folder_rgb(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    grey, colour = noise(0, 6, 6), noise(1, 6, 6, 3)
    save(grey, folder / "a" / "grey.png")
    save(colour, folder / "b" / "colour.png")
    np.testing.assert_array_equal(decode_folder(folder).images, [np.stack([grey] * 3), np.moveaxis(colour, -1, 0)])


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
        (constant("I;16", 257 * 9 + 128), "grey_16_bits.png", (9,)),
        (constant("I;16B", 257 * 9 + 129), "grey_16_bits_big_endian.tif", (10,)),
        (constant("I", 70_000), "more_than_16_bits.tif", (255,)),
        (constant("F", 12.0), "floats.tif", (12,)),
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
    pixels = np.broadcast_to(np.array(expected, dtype=np.uint8)[:, None, None], (len(expected), 4, 4))
    np.testing.assert_array_equal(decode_folder(tmp_path / "images").images, [pixels, pixels])


def test_images_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    upright = noise(0, 4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    save(upright, folder / "a" / "upright.png")
    (folder / "b").mkdir()
    Image.fromarray(np.rot90(upright)).save(folder / "b" / "turned.png", exif=exif)
    np.testing.assert_array_equal(decode_folder(folder).images, [upright[None], upright[None]])


def test_an_image_size_scales_the_shorter_side_and_keeps_the_centre(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    wide = np.repeat(np.repeat(np.array([[0, 50, 100, 150, 200, 250]], dtype=np.uint8), 8, axis=0), 4, axis=1)
    save(wide, folder / "a" / "wide.png")  # (8, 24): stripes of 4 pixels
    save(wide.T, folder / "b" / "tall.png")
    square = np.repeat(np.array([[100, 150]], dtype=np.uint8), 2, axis=0)
    decoded = decode_folder(folder, image_size=2)
    np.testing.assert_allclose(decoded.images, np.array([square[None], square.T[None]]), atol=7)  # antialiased


def test_a_folder_of_mixed_sizes_becomes_squares_of_64(tmp_path: Path) -> None:
    save(noise(0, 10, 12), tmp_path / "images" / "a" / "1.png")
    save(noise(1, 90, 70), tmp_path / "images" / "b" / "1.png")
    assert decode_folder(tmp_path / "images").images.shape == (2, 1, 64, 64)


def test_hidden_and_foreign_files_are_no_images(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for name in ("a/1.png", "b/1.png", "a/._1.png", ".thumbnails/1.png"):
        save(noise(0, 4, 4), folder / name)
    (folder / "a" / "notes.txt").write_text("a cat")
    (folder / "README.md").write_text("two classes")
    decoded = decode_folder(folder)
    assert (decoded.class_names, len(decoded.images)) == (("a", "b"), 2)


def test_files_that_cannot_be_read_are_named_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    for row in range(6):
        save(noise(row, 64, 64), folder / "ab"[row % 2] / f"{row}.png")
    whole = (folder / "a" / "0.png").read_bytes()
    for name in ("a/empty.png", "a/text.jpg", "b/cut.png", "b/cut_too.png"):
        (folder / name).write_bytes({"a/empty.png": b"", "a/text.jpg": b"hello"}.get(name, whole[: len(whole) // 2]))
    with caplog.at_level(logging.WARNING):
        decoded = decode_folder(folder)
    assert caplog.messages == [
        f"{folder}: 4 of 10 images cannot be read and are left out: a/empty.png, a/text.jpg, b/cut.png, ..."
    ]
    read = np.sort(np.concatenate([decoded.train, decoded.test]))
    np.testing.assert_array_equal(decoded.images[read], noise_of_rows([0, 2, 4, 1, 3, 5]))
    assert decoded.labels[read].tolist() == [0, 0, 0, 1, 1, 1]


def noise_of_rows(seeds: list[int]) -> Pixels:
    return np.stack([noise(seed, 1, 64, 64) for seed in seeds])


def test_progress_ends_with_the_last_image(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for row in range(120):
        save(noise(row, 2, 2), folder / "ab"[row % 2] / f"{row}.png")
    seen: list[tuple[int, int]] = []
    find_source(f"images:{folder}", tmp_path).decode(tmp_path, None, lambda done, total: seen.append((done, total)))
    assert seen == [(100, 120), (120, 120)]


def test_images_larger_than_memory_are_refused_before_they_are_read(tmp_path: Path) -> None:
    for class_name in ("a", "b"):
        save(noise(0, 4, 4), tmp_path / "images" / class_name / "1.png")
    with pytest.raises(DataError) as refused:
        decode_folder(tmp_path / "images", image_size=10_000_000)
    assert str(refused.value).startswith(
        f"{tmp_path / 'images'}: 2 images of 10000000 x 10000000 pixels need 200000.0 GB of memory and "
    )
    assert str(refused.value).endswith(" GB are free; set a smaller image_size")


# --- folders: the test split


def test_a_published_test_folder_is_the_test_split(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 5, 4, 4)
    for name, image in zip(("train/a/1", "train/a/2", "train/b/1", "train/b/2", "test/b/1"), images, strict=True):
        save(image, folder / f"{name}.png")
    decoded = decode_folder(folder)
    np.testing.assert_array_equal(decoded.images, images[:, None])
    assert (decoded.train.tolist(), decoded.test.tolist()) == ([0, 1, 2, 3], [4])
    assert decoded.labels.tolist() == [0, 0, 1, 1, 1]


def test_the_test_split_of_a_tree_is_the_fifth_of_each_class_with_the_smallest_hash(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(0, 30, 4, 4)
    for row, image in enumerate(images):
        save(image, folder / ("a" if row < 10 else "b") / f"{row}.png")
    decoded = decode_folder(folder)
    expected: set[bytes] = set()
    for class_name, count in (("a", 2), ("b", 4)):
        files = sorted((folder / class_name).iterdir(), key=lambda file: hashlib.sha256(file.read_bytes()).digest())
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
        for name in (f"{own}/{row}.png", f"{own}/copy of {row}.png", *[f"{other}/{row}.png"] * (row % 2)):
            save(image, folder / name)
    decoded = decode_folder(folder)
    test, train = contents(decoded, decoded.test), contents(decoded, decoded.train)
    assert len(test) >= 10
    assert len(test) + len(train) == 60
    assert test.isdisjoint(train)


# --- folders: what is wrong with them


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        find_source(f"images:{tmp_path / 'nowhere'}", tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / 'nowhere'}: no such folder; give one that holds a sub-folder of images for each class"
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "{folder}: 0 sub-folders; give each of two or more classes a sub-folder of images"),
        (["a.png"], "{folder}: 0 sub-folders; give each of two or more classes a sub-folder of images"),
        (["a/1.png"], "{folder}: 1 sub-folders; give each of two or more classes a sub-folder of images"),
        (
            ["train/a/1.png", "test/a/1.png"],
            "{folder}/train: 1 sub-folders; give each of two or more classes a sub-folder of images",
        ),
        (
            ["a/1.png", "b/notes.txt"],
            "{folder}/b: no image in this class; add some "
            "(.bmp .gif .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp) or remove it",
        ),
        (
            ["train/a/1.png", "train/b/1.png", "val/a/1.png"],
            "{folder}: train without test; add {folder}/test, or give {folder}/train, which is then split",
        ),
        (
            ["train/a/1.png", "train/b/1.png", "test/c/1.png"],
            "{folder}/test/c: no such class in {folder}/train; add it there or remove it here",
        ),
    ],
)
def test_a_folder_that_is_laid_out_otherwise_is_refused(files: list[str], expected: str, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in files:
        if name.endswith(".png"):
            save(noise(0, 4, 4), folder / name)
        else:
            (folder / name).parent.mkdir()
            (folder / name).touch()
    with pytest.raises(DataError) as refused:
        find_source(f"images:{folder}", tmp_path)
    assert str(refused.value) == expected.format(folder=folder)


def test_a_file_that_the_system_will_not_open_ends_the_decoding(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for name in ("a/1.png", "b/1.png"):
        save(noise(0, 4, 4), folder / name)
    source = find_source(f"images:{folder}", tmp_path)
    (folder / "b" / "1.png").unlink()
    with pytest.raises(DataUnavailable) as refused:
        source.decode(tmp_path, None, lambda done, total: None)
    assert str(refused.value) == (
        f"{folder / 'b' / '1.png'}: cannot be read (No such file or directory); make it readable or remove it"
    )
