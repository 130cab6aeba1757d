"""Images are decoded once a machine, split the same way everywhere, and held on the device; the
test split is apart.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from objectives import errors
from objectives.data.config import DataConfig
from objectives.data.images import ImageDataset, LabelledArrays, hold, open_dataset
from objectives.data.source import DataFacts
from objectives.data.test_split import open_test_split
from objectives.errors import DataError, DataUnavailable

Pixels = NDArray[np.uint8]


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def make_folder(folder: Path, per_class: int = 20, seed: int = 0) -> DataConfig:
    """Two classes of grey noise (6, 6)."""
    for row, image in enumerate(noise(seed, 2 * per_class, 6, 6)):
        path = folder / "ab"[row % 2] / f"{row:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return DataConfig(f"images:{folder}", validation_fraction=0.25)


class Opener:
    """Opens data sets in one cache and counts how often one was decoded."""

    def __init__(self, root: Path) -> None:
        self.data_root = root / "data"
        self.cache_root = root / "cache"
        self.decoded = 0

    def __call__(self, config: DataConfig) -> ImageDataset:
        return open_dataset(
            config,
            data_root=self.data_root,
            cache_root=self.cache_root,
            on_progress=self._count_the_last,
        )

    def _count_the_last(self, done: int, total: int) -> None:
        self.decoded += done == total

    def entries(self) -> list[Path]:
        return sorted(path for path in self.cache_root.iterdir() if path.is_dir())


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    return Opener(tmp_path)


def contents(arrays: LabelledArrays) -> set[bytes]:
    return {image.tobytes() for image in arrays.images}


def everything(dataset: ImageDataset) -> set[bytes]:
    return contents(dataset.split("train")) | contents(dataset.split("validation"))


# --- splits


def test_mnist_5k_is_3200_800_and_1000_images_of_which_each_class_is_a_tenth(
    mnist_5k_cache: Path,
) -> None:
    config, roots = (
        DataConfig("mnist-5k"),
        {"data_root": mnist_5k_cache, "cache_root": mnist_5k_cache},
    )
    dataset = open_dataset(config, **roots)
    train, validation, test = (
        dataset.split("train"),
        dataset.split("validation"),
        open_test_split(config, **roots),
    )
    assert dataset.class_names == tuple("0123456789")
    assert dataset.image_shape == (1, 28, 28)
    for arrays, per_class in ((train, 320), (validation, 80), (test, 100)):
        assert arrays.images.shape == (10 * per_class, 1, 28, 28)
        assert (arrays.images.dtype, arrays.labels.dtype) == (np.uint8, np.int64)
        assert np.bincount(arrays.labels).tolist() == [per_class] * 10
    # All images differ, so no image is in two splits.
    assert len(contents(train) | contents(validation) | contents(test)) == 5000


def test_the_test_split_depends_on_neither_the_seed_nor_the_fraction_of_validation(
    mnist_5k_cache: Path,
) -> None:
    roots = {"data_root": mnist_5k_cache, "cache_root": mnist_5k_cache}
    configs = [DataConfig(), DataConfig(split_seed=1), DataConfig(validation_fraction=0.5)]
    first, *others = [open_test_split(config, **roots).images for config in configs]
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_the_split_seed_alone_chooses_the_validation_images(mnist_5k_cache: Path) -> None:
    def validation(seed: int) -> LabelledArrays:
        config = DataConfig(split_seed=seed)
        return open_dataset(config, data_root=mnist_5k_cache, cache_root=mnist_5k_cache).split(
            "validation"
        )

    np.testing.assert_array_equal(validation(3).images, validation(3).images)
    # By chance 160 of 800 would be in both.
    assert 100 < len(contents(validation(3)) & contents(validation(4))) < 220


def test_a_search_cannot_read_the_test_split(mnist_5k_cache: Path) -> None:
    dataset = open_dataset(DataConfig(), data_root=mnist_5k_cache, cache_root=mnist_5k_cache)
    with pytest.raises(errors.TestSplitError) as refused:
        dataset.split("test")
    assert (
        str(refused.value)
        == 'split "test": a search sees train and validation; open_test_split is for follow-ups'
    )
    assert len(dataset.searchable.images) == 4000


def test_the_three_splits_of_a_folder_share_no_image(tmp_path: Path, opened: Opener) -> None:
    config = make_folder(tmp_path / "images")
    dataset = opened(config)
    test = open_test_split(config, data_root=opened.data_root, cache_root=opened.cache_root)
    train, validation = dataset.split("train"), dataset.split("validation")
    assert (len(train.images), len(validation.images), len(test.images)) == (24, 8, 8)
    assert len(contents(train) | contents(validation) | contents(test)) == 40


def test_a_label_stays_with_its_image(tmp_path: Path, opened: Opener) -> None:
    folder = tmp_path / "images"
    dataset = opened(make_folder(folder))
    for name in ("train", "validation"):
        arrays = dataset.split(name)
        for image, label in zip(arrays.images, arrays.labels, strict=True):
            files = (folder / dataset.class_names[label]).iterdir()
            assert image.tobytes() in {np.asarray(Image.open(file)).tobytes() for file in files}


@pytest.mark.parametrize(
    ("per_class", "fraction", "expected"),
    [
        (1, 0.25, 'class "a" has 1 images outside the test split; add some until it has 2 or more'),
        (
            2,
            0.2,
            "1 of 4 images for validation are fewer than the 2 classes; raise it or add images",
        ),
        (
            10,
            0.01,
            "0 of 16 images for validation are fewer than the 2 classes; raise it or add images",
        ),
        (
            10,
            0.95,
            "1 of 16 images for training are fewer than the 2 classes; lower it or add images",
        ),
    ],
)
def test_too_few_images_for_a_split_are_refused(
    per_class: int, fraction: float, expected: str, tmp_path: Path, opened: Opener
) -> None:
    config = DataConfig(make_folder(tmp_path / "images", per_class).dataset, fraction)
    with pytest.raises(DataError) as refused:
        opened(config)
    where = f'dataset "{config.dataset}"' if per_class == 1 else f"validation_fraction {fraction}"
    assert str(refused.value) == f"{where}: {expected}"


def test_two_classes_of_two_images_are_enough_for_a_search(tmp_path: Path, opened: Opener) -> None:
    dataset = opened(
        DataConfig(make_folder(tmp_path / "images", per_class=2).dataset, validation_fraction=0.5)
    )
    assert [dataset.split(name).labels.tolist() for name in ("train", "validation")] == [
        [0, 1],
        [0, 1],
    ]


def test_a_thousand_classes_of_five_pixels_are_split_with_each_class_everywhere(
    tmp_path: Path, opened: Opener
) -> None:
    for label in range(1000):
        folder = tmp_path / "images" / f"{label:03}"
        folder.mkdir(parents=True)
        for row in range(5):
            (folder / f"{row}.ppm").write_bytes(
                b"P6 1 1 255\n" + bytes([label % 256, label // 256, row])
            )
    config = DataConfig(f"images:{tmp_path / 'images'}", validation_fraction=0.25)
    dataset = opened(config)
    test = open_test_split(config, data_root=opened.data_root, cache_root=opened.cache_root)
    assert dataset.image_shape == (3, 1, 1)
    for arrays, per_class in (
        (dataset.split("train"), 3),
        (dataset.split("validation"), 1),
        (test, 1),
    ):
        assert np.bincount(arrays.labels).tolist() == [per_class] * 1000
        np.testing.assert_array_equal(arrays.images[:, :2, 0, 0] @ [1, 256], arrays.labels)


def test_a_test_split_without_images_is_refused(tmp_path: Path, opened: Opener) -> None:
    config = make_folder(tmp_path / "images", per_class=2)
    with pytest.raises(DataError) as refused:
        open_test_split(config, data_root=opened.data_root, cache_root=opened.cache_root)
    assert (
        str(refused.value)
        == f'dataset "{config.dataset}": no image is left for the test split; add images'
    )


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            {"validation_fraction": 0.0},
            "validation_fraction 0.0: give a number between 0 and 1, as 0.2",
        ),
        (
            {"validation_fraction": float("nan")},
            "validation_fraction nan: give a number between 0 and 1, as 0.2",
        ),
        ({"split_seed": -1}, "split_seed -1: give a whole number from 0 to 4294967295"),
        ({"image_size": 0}, "image_size 0: give a number of pixels, 1 or more"),
    ],
)
def test_a_value_out_of_its_range_is_refused(wrong: dict[str, float], expected: str) -> None:
    with pytest.raises(DataError) as refused:
        DataConfig(**wrong)
    assert str(refused.value) == expected


# --- the cache


def test_a_data_set_is_decoded_once_and_mapped_read_only(tmp_path: Path, opened: Opener) -> None:
    config = make_folder(tmp_path / "images")
    first, second = opened(config), opened(config)
    assert opened.decoded == 1
    for dataset in (first, second):
        assert isinstance(dataset.searchable.images, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            dataset.searchable.images[0] = 0
    np.testing.assert_array_equal(first.split("train").images, second.split("train").images)


def test_a_data_set_larger_than_a_chunk_is_kept_whole(
    tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_folder(tmp_path / "images")
    at_once = opened(config)
    monkeypatch.setattr("objectives.data.cache._CHUNK_BYTES", 6 * 6 * 5)
    in_chunks = open_dataset(
        config, data_root=opened.data_root, cache_root=tmp_path / "other cache"
    )
    np.testing.assert_array_equal(in_chunks.searchable.images, at_once.searchable.images)


EIGHT_PROCESSES = """
import os, sys
from pathlib import Path
from objectives.data.images import open_dataset
from objectives.data.config import DataConfig

dataset, root = sys.argv[1], Path(sys.argv[2])
start, started = os.pipe()
for number in range(8):
    if os.fork() == 0:
        os.close(started)
        os.read(start, 1)  # until the parent closes its end
        log = open(root / f"{number}.decoded", "w")
        opened = open_dataset(
            DataConfig(dataset), data_root=root / "data", cache_root=root / "cache",
            on_progress=lambda done, total: print(done, total, file=log, flush=True),
        )
        (root / f"{number}.read").write_bytes(opened.split("train").images.tobytes())
        os._exit(0)
os.close(started)
sys.exit(any(os.wait()[1] for _ in range(8)))
"""


def test_eight_processes_that_start_at_once_decode_once(tmp_path: Path) -> None:
    config = make_folder(tmp_path / "images", per_class=150)
    subprocess.run(
        [sys.executable, "-c", EIGHT_PROCESSES, config.dataset, str(tmp_path)], check=True
    )
    assert sorted(path.read_text() for path in tmp_path.glob("*.decoded")) == [""] * 7 + [
        "100 300\n200 300\n300 300\n"
    ]
    read = [path.read_bytes() for path in tmp_path.glob("*.read")]
    assert len(read) == 8
    assert len(set(read)) == 1


def test_a_changed_folder_is_decoded_again_and_its_old_entry_removed(
    tmp_path: Path, opened: Opener
) -> None:
    folder = tmp_path / "images"
    config = make_folder(folder)
    before = everything(opened(config))
    (old,) = opened.entries()
    added = folder / "a" / "added.png"
    Image.fromarray(noise(1, 6, 6)).save(added)
    after = everything(opened(config))
    test = open_test_split(config, data_root=opened.data_root, cache_root=opened.cache_root)
    assert opened.decoded == 2
    assert after != before
    assert len(after | contents(test)) == 41
    (new,) = opened.entries()
    assert new != old


def test_a_file_written_anew_with_its_old_size_is_decoded_again(
    tmp_path: Path, opened: Opener
) -> None:
    folder = tmp_path / "images"
    config = make_folder(folder)
    opened(config)
    file = folder / "a" / "000.png"
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    opened(config)
    assert opened.decoded == 2


def test_each_image_size_and_each_folder_keeps_its_own_entry(
    tmp_path: Path, opened: Opener
) -> None:
    config, other = make_folder(tmp_path / "images"), make_folder(tmp_path / "others", seed=1)
    small = DataConfig(config.dataset, image_size=4)
    shapes = [opened(each).image_shape for each in (config, small, other, config, small, other)]
    assert shapes == [(1, 6, 6), (1, 4, 4), (1, 6, 6)] * 2
    assert opened.decoded == 3


def damage_images(entry: Path) -> None:
    os.truncate(entry / "train_images.npy", 500)


def damage_class_names(entry: Path) -> None:
    meta = json.loads((entry / "meta.json").read_text())
    meta["content"]["class_names"] = ["b", "a"]
    (entry / "meta.json").write_text(json.dumps(meta))


def cut_off_meta(entry: Path) -> None:
    os.truncate(entry / "meta.json", 20)


def remove_labels(entry: Path) -> None:
    (entry / "train_labels.npy").unlink()


@pytest.mark.parametrize("damage", [damage_images, damage_class_names, cut_off_meta, remove_labels])
def test_a_damaged_entry_is_decoded_again(
    damage: Callable[[Path], None], tmp_path: Path, opened: Opener
) -> None:
    config = make_folder(tmp_path / "images")
    before = opened(config)
    images, class_names = before.split("train").images, before.class_names
    damage(opened.entries()[0])
    after = opened(config)
    assert opened.decoded == 2
    assert after.class_names == class_names
    np.testing.assert_array_equal(after.split("train").images, images)


def test_what_a_process_that_died_left_half_made_is_not_used(
    tmp_path: Path, opened: Opener
) -> None:
    config = make_folder(tmp_path / "images")
    opened(config)
    (entry,) = opened.entries()
    half_made = entry.with_name(entry.name.rpartition(".")[0] + ".aside")
    entry.rename(half_made)
    (half_made / "train_images.npy").write_bytes(b"half")
    (half_made / "scratch").mkdir()
    assert len(everything(opened(config))) == 32
    assert opened.entries() == [entry]


KILLED = """
import sys, time
from pathlib import Path
from objectives.data.cache import open_searchable
from objectives.data.config import DataConfig

def progress(done, total):
    if done == int(sys.argv[3]):
        print("here", flush=True)
        time.sleep(600)

root = Path(sys.argv[2])
open_searchable(DataConfig(sys.argv[1]), root / "data", root / "cache", progress)
"""


@pytest.mark.parametrize("images", [100, 300])
def test_a_process_killed_while_it_decodes_leaves_nothing_that_is_taken_for_whole(
    images: int, tmp_path: Path, opened: Opener
) -> None:
    config = make_folder(tmp_path / "images", per_class=150)
    command = [sys.executable, "-c", KILLED, config.dataset, str(tmp_path), str(images)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.kill()
    (half_made,) = opened.entries()
    assert half_made.name.endswith(".aside")
    assert len(everything(opened(config))) == 240
    assert opened.decoded == 1
    (entry,) = opened.entries()
    assert entry != half_made


def test_decoding_can_be_interrupted(tmp_path: Path, opened: Opener) -> None:
    config = make_folder(tmp_path / "images", per_class=150)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_dataset(
            config, data_root=opened.data_root, cache_root=opened.cache_root, on_progress=interrupt
        )
    assert opened.entries() == []
    assert [
        thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")
    ] == []


def test_a_decoding_that_fails_leaves_nothing(tmp_path: Path, opened: Opener) -> None:
    config = DataConfig(make_folder(tmp_path / "images").dataset, image_size=10_000_000)
    with pytest.raises(
        DataError, match=r"40 images of 10000000 x 10000000 pixels need 4000000\.0 GB of memory"
    ):
        opened(config)
    assert opened.entries() == []


def test_an_entry_is_enough_where_the_cache_cannot_be_locked(
    tmp_path: Path, opened: Opener
) -> None:
    config = make_folder(tmp_path / "images")
    opened(config)
    (lock,) = opened.cache_root.glob("*.lock")
    lock.unlink()
    # A folder in its place makes taking the lock fail.
    lock.mkdir()
    opened(config)
    assert opened.decoded == 1


def test_a_cache_that_cannot_be_written_to_is_named(tmp_path: Path, opened: Opener) -> None:
    config = make_folder(tmp_path / "images")
    # A file stands there, as not even root writes below one.
    opened.cache_root.touch()
    with pytest.raises(DataUnavailable) as refused:
        opened(config)
    assert (
        str(refused.value)
        == f"{opened.cache_root}: cannot keep decoded images there (Not a directory); make it"
        " writable or make room"
    )


# --- on the device


def arrays_of(images: Pixels) -> LabelledArrays:
    return LabelledArrays(images, np.arange(len(images)) % 2)


def dataset_of(images: Pixels, validation: int) -> ImageDataset:
    """The first images are training, the last `validation` ones validation."""
    rows = np.arange(len(images))
    positions = {
        "train": rows[: len(images) - validation],
        "validation": rows[len(images) - validation :],
    }
    return ImageDataset(("a", "b"), arrays_of(images), positions, DataFacts("0" * 64))


def test_both_splits_are_held_as_they_are(tmp_path: Path, opened: Opener) -> None:
    dataset = opened(make_folder(tmp_path / "images"))
    data = hold(dataset, torch.device("cpu"))
    assert (data.class_names, data.facts) == (("a", "b"), dataset.facts)
    for held, name in ((data.train, "train"), (data.validation, "validation")):
        assert (held.images.dtype, held.labels.dtype) == (torch.uint8, torch.int64)
        np.testing.assert_array_equal(held.images.numpy(), dataset.split(name).images)
        np.testing.assert_array_equal(held.labels.numpy(), dataset.split(name).labels)


def test_mean_and_deviation_are_those_of_the_training_pixels_alone() -> None:
    images = noise(0, 30, 3, 8, 8) // np.array([1, 2, 5], dtype=np.uint8)[:, None, None]
    images[20:] = 255
    data = hold(dataset_of(images, validation=10), torch.device("cpu"))
    pixels = images[:20].astype(np.float64) / 255
    assert (data.mean.dtype, data.deviation.dtype) == (torch.float32, torch.float32)
    np.testing.assert_array_equal(data.mean, pixels.mean(axis=(0, 2, 3)).astype(np.float32))
    np.testing.assert_array_equal(data.deviation, pixels.std(axis=(0, 2, 3)).astype(np.float32))


def test_the_deviation_of_a_constant_channel_is_one() -> None:
    images = np.full((8, 2, 4, 4), 51, dtype=np.uint8)
    images[0, 1] = 0
    data = hold(dataset_of(images, validation=2), torch.device("cpu"))
    expected = images[:6, 1].std() / 255
    torch.testing.assert_close(
        data.mean, torch.tensor([0.2, images[:6, 1].mean() / 255], dtype=torch.float32)
    )
    torch.testing.assert_close(data.deviation, torch.tensor([1.0, expected], dtype=torch.float32))


def test_mean_and_deviation_do_not_depend_on_how_the_images_are_cut_into_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = dataset_of(noise(0, 30, 3, 8, 8), validation=7)
    whole = hold(dataset, torch.device("cpu"))
    monkeypatch.setattr("objectives.data.cache._CHUNK_BYTES", 3 * 8 * 8 * 5)
    cut = hold(dataset, torch.device("cpu"))
    assert torch.equal(whole.mean, cut.mean)
    assert torch.equal(whole.deviation, cut.deviation)


def test_images_larger_than_memory_are_refused_before_they_are_held() -> None:
    # The images take 100 TB, and hold one byte.
    images = np.broadcast_to(np.uint8(0), (10**6, 1, 10**4, 10**4))
    with pytest.raises(DataError) as refused:
        hold(dataset_of(images, validation=10), torch.device("cpu"))
    assert str(refused.value).startswith("the images need 100000.0 GB and ")
    assert str(refused.value).endswith(" GB of memory are free; set a smaller image_size")


def test_images_larger_than_the_memory_of_a_gpu_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10, 10))
    with pytest.raises(
        DataError, match="GB of memory of cuda:0 are free; set a smaller image_size"
    ):
        hold(dataset_of(noise(0, 10, 1, 4, 4), validation=2), torch.device("cuda:0"))


def test_a_removed_cache_does_not_take_the_data_from_those_who_hold_it(
    tmp_path: Path, opened: Opener
) -> None:
    dataset = opened(make_folder(tmp_path / "images"))
    before = dataset.split("train").images
    shutil.rmtree(opened.cache_root)
    np.testing.assert_array_equal(dataset.split("train").images, before)


# --- what a data set is known by


def test_a_fingerprint_is_of_contents_classes_and_splits_and_of_nothing_else(
    opened: Opener, tmp_path: Path
) -> None:
    config = make_folder(tmp_path / "images")
    fingerprint = opened(config).facts.fingerprint
    shutil.copytree(tmp_path / "images", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "a" / "000.png").rename(tmp_path / "elsewhere" / "a" / "first.png")
    assert (
        opened(DataConfig(f"images:{tmp_path / 'elsewhere'}", image_size=5)).facts.fingerprint
        == fingerprint
    )
    shutil.move(
        tmp_path / "elsewhere" / "a" / "first.png", tmp_path / "elsewhere" / "b" / "first.png"
    )
    of_another_class = opened(DataConfig(f"images:{tmp_path / 'elsewhere'}")).facts.fingerprint
    (tmp_path / "images" / "a" / "000.png").write_bytes(
        (tmp_path / "images" / "a" / "002.png").read_bytes()
    )
    of_other_content = opened(config).facts.fingerprint
    assert len({fingerprint, of_another_class, of_other_content}) == 3
