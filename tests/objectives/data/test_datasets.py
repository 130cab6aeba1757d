"""Every named data set is read as it is meant: pixels, classes, test split, and what is wrong with
it in one line.
"""

import bz2
import hashlib
import pickle
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import sklearn.datasets
import torchvision
from numpy.typing import NDArray
from PIL import Image

from objectives.data import datasets, published
from objectives.data.datasets import find_source
from objectives.data.source import Decoded
from objectives.errors import DataError, DataUnavailable
from objectives.names import DATASETS

Pixels = NDArray[np.uint8]


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def decode(dataset: str, tmp_path: Path, image_size: int | None = None) -> Decoded:
    scratch = Path(tempfile.mkdtemp(dir=tmp_path))
    return find_source(dataset, tmp_path / "data").decode(
        scratch, image_size, lambda done, total: None
    )


def test_every_named_image_set_has_a_reader() -> None:
    assert set(datasets.READERS) == set(DATASETS) - {"synthetic"}


def test_an_unknown_data_set_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        find_source("mnits", tmp_path)
    assert (
        str(refused.value)
        == 'dataset "mnits": choose mnist-5k, digits, mnist, fashion-mnist, kmnist, qmnist, emnist,'
        " usps, svhn, cifar10, cifar100, stl10 or images:FOLDER"
    )


def test_the_home_of_nobody_is_no_folder() -> None:
    with pytest.raises(DataError) as refused:
        find_source("images:~nobody-of-that-name/photos", Path())
    assert (
        str(refused.value)
        == "~nobody-of-that-name/photos: no such folder; give one that holds a sub-folder of images"
        " for each class"
    )


# --- shipped with a package


def test_the_test_split_of_mnist_5k_never_changes(mnist_5k_cache: Path) -> None:
    (entry,) = mnist_5k_cache.glob("mnist-5k.native.*/")
    images, labels = np.load(entry / "test_images.npy"), np.load(entry / "test_labels.npy")
    assert np.bincount(labels).tolist() == [100] * 10
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "e95ac17f866a4c392a51b7e7f3ce1fe912d566ef75ecbca822038816400f6619"


def test_digits_are_those_of_scikit_learn_on_the_scale_of_pixels(tmp_path: Path) -> None:
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    decoded = decode("digits", tmp_path)
    np.testing.assert_array_equal(
        decoded.images, np.rint(pixels * 15.9375).astype(np.uint8).reshape(-1, 1, 8, 8)
    )
    np.testing.assert_array_equal(decoded.labels, labels)
    assert decoded.class_names == tuple("0123456789")


def test_the_test_split_of_digits_never_changes(tmp_path: Path) -> None:
    decoded = decode("digits", tmp_path)
    assert (len(decoded.train), len(decoded.test)) == (1438, 359)
    assert np.bincount(decoded.labels[decoded.test]).tolist() == [
        36,
        36,
        35,
        37,
        36,
        36,
        36,
        36,
        35,
        36,
    ]
    assert (
        hashlib.sha256(decoded.test.tobytes()).hexdigest()
        == "3530be80b9605f4c4adc46d0ee3006a356c16968a8efcc58f24463bc820d5ef9"
    )


# --- published sets


def write_idx(path: Path, values: Pixels) -> None:
    """The format of the MNIST files: two zero bytes, 8 for uint8, the number of dimensions, each
    big-endian.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, values.ndim]) + b"".join(
        size.to_bytes(4, "big") for size in values.shape
    )
    path.write_bytes(header + values.tobytes())


def write_mnist(raw: Path) -> tuple[Pixels, Pixels]:
    """A MNIST of 30 images to train on and 10 to test; gives the images."""
    train, test = noise(0, 30, 28, 28), noise(1, 10, 28, 28)
    for name, images in (("train", train), ("t10k", test)):
        write_idx(raw / f"{name}-images-idx3-ubyte", images)
        write_idx(raw / f"{name}-labels-idx1-ubyte", np.arange(len(images), dtype=np.uint8) % 10)
    return train, test


@pytest.mark.parametrize(
    ("dataset", "folder", "third"),
    [
        ("mnist", "MNIST", "2"),
        ("fashion-mnist", "FashionMNIST", "Pullover"),
        ("kmnist", "KMNIST", "su"),
    ],
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


def test_a_label_of_qmnist_is_the_first_number_of_its_row(tmp_path: Path) -> None:
    raw = tmp_path / "data" / "QMNIST" / "raw"
    images = {"train": noise(0, 4, 28, 28), "test": noise(1, 3, 28, 28)}
    for split, pixels in images.items():
        write_idx(raw / f"qmnist-{split}-images-idx3-ubyte", pixels)
        rows = np.array(
            [[digit, 4, 100 + digit, 7, 1, 2, 0, 0] for digit in range(9, 9 - len(pixels), -1)]
        )
        # The type 0x0C is int32.
        header = bytes([0, 0, 0x0C, 2]) + b"".join(size.to_bytes(4, "big") for size in rows.shape)
        (raw / f"qmnist-{split}-labels-idx2-int").write_bytes(header + rows.astype(">i4").tobytes())
    decoded = decode("qmnist", tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], images["train"][:, None])
    np.testing.assert_array_equal(decoded.images[decoded.test], images["test"][:, None])
    assert decoded.labels.tolist() == [9, 8, 7, 6, 9, 8, 7]
    assert decoded.class_names == tuple("0123456789")


def test_emnist_is_its_balanced_split_upright(tmp_path: Path) -> None:
    raw = tmp_path / "data" / "EMNIST" / "raw"
    images = {"train": noise(0, 47, 28, 28), "test": noise(1, 2, 28, 28)}
    for split, pixels in images.items():
        # The files are as published.
        write_idx(raw / f"emnist-balanced-{split}-images-idx3-ubyte", pixels.swapaxes(1, 2))
        write_idx(
            raw / f"emnist-balanced-{split}-labels-idx1-ubyte",
            np.arange(len(pixels), dtype=np.uint8),
        )
    decoded = decode("emnist", tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], images["train"][:, None])
    np.testing.assert_array_equal(decoded.images[decoded.test], images["test"][:, None])
    assert decoded.labels.tolist() == [*range(47), 0, 1]
    assert decoded.class_names == tuple(torchvision.datasets.EMNIST.classes_split_dict["balanced"])


def test_usps_is_read_from_its_lines_of_numbers(tmp_path: Path) -> None:
    images = {"usps.bz2": noise(0, 10, 16, 16), "usps.t.bz2": noise(1, 3, 16, 16)}
    (tmp_path / "data").mkdir()
    for name, pixels in images.items():
        lines = []
        # torchvision rounds down to whole pixels.
        for row, image in enumerate(pixels):
            numbers = " ".join(
                f"{i}:{(pixel + 0.5) / 127.5 - 1:.6f}"
                for i, pixel in enumerate(image.ravel(), start=1)
            )
            lines.append(f"{row + 1} {numbers} \n")
        (tmp_path / "data" / name).write_bytes(bz2.compress("".join(lines).encode()))
    decoded = decode("usps", tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], images["usps.bz2"][:, None])
    np.testing.assert_array_equal(decoded.images[decoded.test], images["usps.t.bz2"][:, None])
    assert decoded.labels.tolist() == [*range(10), 0, 1, 2]
    assert decoded.class_names == tuple("0123456789")


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_svhn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Pixels]:
    """An SVHN of 10 images to train on and 2 to test, whose checksums torchvision is told; gives
    the images.
    """
    folder.mkdir()
    images = {"train": noise(0, 10, 3, 32, 32), "test": noise(1, 2, 3, 32, 32)}
    told = {}
    for split, pixels in images.items():
        path = folder / f"{split}_32x32.mat"
        # The label 10 is the digit 0.
        labels = np.arange(1, len(pixels) + 1, dtype=np.uint8)[:, None]
        scipy.io.savemat(path, {"X": pixels.transpose(2, 3, 1, 0), "y": labels})
        told[split] = ["unused", path.name, md5_of(path)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", told)
    return images


def test_svhn_is_read_with_its_published_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_svhn(tmp_path / "data", monkeypatch)
    decoded = decode("svhn", tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], images["train"])
    np.testing.assert_array_equal(decoded.images[decoded.test], images["test"])
    assert decoded.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert decoded.class_names == tuple("0123456789")


def test_stl10_is_read_without_its_images_without_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "stl10_binary"
    folder.mkdir(parents=True)
    images = {"train": noise(0, 3, 3, 96, 96), "test": noise(1, 2, 3, 96, 96)}
    for split, pixels in images.items():
        # The pixels are published column by column.
        (folder / f"{split}_X.bin").write_bytes(pixels.swapaxes(2, 3).tobytes())
        (folder / f"{split}_y.bin").write_bytes(bytes([1, 10, 8][: len(pixels)]))
    stl10 = torchvision.datasets.STL10
    for attribute in ("train_list", "test_list"):
        told = [
            [name, md5_of(folder / name) if (folder / name).exists() else md5]
            for name, md5 in getattr(stl10, attribute)
        ]
        monkeypatch.setattr(stl10, attribute, told)
    decoded = decode("stl10", tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], images["train"])
    np.testing.assert_array_equal(decoded.images[decoded.test], images["test"])
    assert decoded.labels.tolist() == [0, 9, 7, 0, 9]
    assert decoded.class_names[::3] == ("airplane", "cat", "horse", "truck")


def write_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Pixels, Pixels]:
    """A CIFAR-10 of 10 images to train on and 2 to test, whose checksums torchvision is told; gives
    the images.
    """
    folder.mkdir(parents=True)
    train, test = noise(2, 10, 3, 32, 32), noise(3, 2, 3, 32, 32)
    batches = {f"data_batch_{i + 1}": train[2 * i : 2 * i + 2] for i in range(5)} | {
        "test_batch": test
    }
    checksums = {}
    for name, images in batches.items():
        content = pickle.dumps({"data": images.reshape(len(images), -1), "labels": [3, 8]})
        (folder / name).write_bytes(content)
        checksums[name] = hashlib.md5(content).hexdigest()
    meta = pickle.dumps({"label_names": []})
    (folder / "batches.meta").write_bytes(meta)
    cifar10 = torchvision.datasets.CIFAR10
    monkeypatch.setattr(
        cifar10, "train_list", [[n, checksums[n]] for n in batches if n != "test_batch"]
    )
    monkeypatch.setattr(cifar10, "test_list", [["test_batch", checksums["test_batch"]]])
    monkeypatch.setattr(cifar10, "meta", cifar10.meta | {"md5": hashlib.md5(meta).hexdigest()})
    return train, test


def test_cifar10_is_read_with_its_published_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = write_cifar10(tmp_path / "data" / "cifar-10-batches-py", monkeypatch)
    decoded = decode("cifar10", tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], train)
    np.testing.assert_array_equal(decoded.images[decoded.test], test)
    assert decoded.labels.tolist() == [3, 8] * 6
    assert decoded.class_names[3::5] == ("cat", "ship")


def test_cifar100_is_read_with_its_fine_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    names = [f"class {label}" for label in range(100)]
    images = {"train": noise(0, 4, 3, 32, 32), "test": noise(1, 2, 3, 32, 32)}
    labels = {"train": [99, 0, 1, 2], "test": [3, 98]}
    for split, pixels in images.items():
        content = {
            "data": pixels.reshape(len(pixels), -1),
            "fine_labels": labels[split],
            "coarse_labels": [7] * 4,
        }
        (folder / split).write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(
        pickle.dumps({"fine_label_names": names, "coarse_label_names": ["7"]})
    )
    cifar100 = torchvision.datasets.CIFAR100
    monkeypatch.setattr(cifar100, "train_list", [["train", md5_of(folder / "train")]])
    monkeypatch.setattr(cifar100, "test_list", [["test", md5_of(folder / "test")]])
    monkeypatch.setattr(cifar100, "meta", cifar100.meta | {"md5": md5_of(folder / "meta")})
    decoded = decode("cifar100", tmp_path)
    np.testing.assert_array_equal(decoded.images[decoded.train], images["train"])
    np.testing.assert_array_equal(decoded.images[decoded.test], images["test"])
    assert decoded.labels.tolist() == [99, 0, 1, 2, 3, 98]
    assert decoded.class_names == tuple(names)


def test_a_published_set_is_resized_where_a_size_is_asked_for(tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    train, _ = write_mnist(raw)
    np.testing.assert_array_equal(decode("mnist", tmp_path, 28).images[:30], train[:, None])
    halved = decode("mnist", tmp_path, 14).images[:30, 0]
    expected = [
        np.asarray(Image.fromarray(image).resize((14, 14), Image.Resampling.BILINEAR))
        for image in train
    ]
    np.testing.assert_array_equal(halved, expected)


def test_damaged_files_of_a_published_set_are_named(tmp_path: Path) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_mnist(raw)
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"<html>")
    with pytest.raises(DataUnavailable) as refused:
        decode("mnist", tmp_path)
    assert (
        str(refused.value)
        == "mnist: the files are damaged; place train-images-idx3-ubyte, train-labels-idx1-ubyte,"
        f" t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte in {raw}"
    )


def test_a_file_whose_checksum_is_another_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_svhn(tmp_path / "data", monkeypatch)
    with (tmp_path / "data" / "test_32x32.mat").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataUnavailable) as refused:
        decode("svhn", tmp_path)
    assert (
        str(refused.value)
        == "svhn: the files are damaged; place train_32x32.mat, test_32x32.mat in"
        f" {tmp_path / 'data'}"
    )


@pytest.mark.parametrize("labels", [[0] * 29 + [10], [0] * 29])
def test_labels_that_do_not_go_with_the_images_are_damaged(
    labels: list[int], tmp_path: Path
) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_mnist(raw)
    write_idx(raw / "train-labels-idx1-ubyte", np.array(labels, dtype=np.uint8))
    with pytest.raises(DataUnavailable, match="mnist: the files are damaged"):
        decode("mnist", tmp_path)


IDX = (
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,"
    " t10k-labels-idx1-ubyte"
)


@pytest.mark.parametrize(
    ("dataset", "files", "folder"),
    [
        ("mnist", IDX, "MNIST/raw"),
        ("fashion-mnist", IDX, "FashionMNIST/raw"),
        ("kmnist", IDX, "KMNIST/raw"),
        (
            "qmnist",
            (
                "qmnist-train-images-idx3-ubyte, qmnist-train-labels-idx2-int, "
                "qmnist-test-images-idx3-ubyte, qmnist-test-labels-idx2-int"
            ),
            "QMNIST/raw",
        ),
        (
            "emnist",
            (
                "emnist-balanced-train-images-idx3-ubyte, emnist-balanced-train-labels-idx1-ubyte, "
                "emnist-balanced-test-images-idx3-ubyte, emnist-balanced-test-labels-idx1-ubyte"
            ),
            "EMNIST/raw",
        ),
        ("usps", "usps.bz2, usps.t.bz2", ""),
        ("svhn", "train_32x32.mat, test_32x32.mat", ""),
        (
            "cifar10",
            (
                "data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5, test_batch,"
                " batches.meta"
            ),
            "cifar-10-batches-py",
        ),
        ("cifar100", "train, test, meta", "cifar-100-python"),
        ("stl10", "train_X.bin, train_y.bin, test_X.bin, test_y.bin", "stl10_binary"),
    ],
)
def test_a_set_that_is_not_to_be_had_says_which_files_to_place_where(
    dataset: str, files: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_DOWNLOAD", "raise SystemExit(1)")
    with pytest.raises(DataUnavailable) as refused:
        find_source(dataset, tmp_path)
    assert (
        str(refused.value)
        == f"{dataset}: neither found nor downloaded; place {files} in {tmp_path / folder}"
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
    assert (
        str(refused.value)
        == "cifar10: neither found nor downloaded; place data_batch_1, data_batch_2, data_batch_3,"
        " data_batch_4, data_batch_5, test_batch, batches.meta in"
        f" {tmp_path / 'cifar-10-batches-py'}"
    )
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert capfd.readouterr() == ("", "")


def test_a_server_that_never_answers_does_not_hold_a_download_for_ever(
    tmp_path: Path, no_network: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "DOWNLOAD_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        no_network(silent.getsockname()[1])
        with pytest.raises(DataUnavailable):
            find_source("mnist", tmp_path)


PRETEND_DOWNLOAD = """
import pathlib, sys
_, name, folder, timeout, splits = sys.argv
raw = pathlib.Path(folder) / name / "raw"
raw.mkdir(parents=True)
for file in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
    (raw / f"{file}-ubyte").write_text(file)
"""


def test_a_download_stands_in_its_place_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_DOWNLOAD", PRETEND_DOWNLOAD)
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
    monkeypatch.setattr(published, "_DOWNLOAD", PRETEND_DOWNLOAD + "sys.exit(1)")
    with pytest.raises(DataUnavailable):
        find_source("mnist", tmp_path)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
