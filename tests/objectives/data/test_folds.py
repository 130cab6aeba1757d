"""Folds hold every image once, each class in its share, and nothing that belongs together twice."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from objectives.data.cache import divided, load_entry, open_split
from objectives.data.config import OF_THE_SEARCH, DataConfig, Fold, fold_of_seed
from objectives.data.folds import Folds
from objectives.data.images import HeldImages, ImageDataset, as_dataset, open_dataset
from objectives.data.parcels import packed, unpack
from objectives.data.splits import Belonging, Undivided
from objectives.errors import DataError

COUNTS = st.lists(st.integers(6, 30), min_size=2, max_size=6)
SEEDS = st.integers(0, 2**32 - 1)


def shuffled(counts: list[int]) -> np.ndarray:
    return np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))


def validations(folds: Folds, shuffle: int) -> list[np.ndarray]:
    """Of each fold, that of the search first."""
    wanted = [OF_THE_SEARCH, *(Fold(shuffle, number) for number in range(1, folds.count))]
    return [folds.split(each)[1] for each in wanted]


@settings(max_examples=40, deadline=None)
@given(COUNTS, st.integers(2, 6), SEEDS, st.integers(0, 3))
def test_folds_hold_every_image_once_and_differ_by_at_most_one_in_each_class_and_in_all(
    counts: list[int], count: int, seed: int, shuffle: int
) -> None:
    labels = shuffled(counts)
    folds = Folds(labels, None, count, seed)
    held = validations(folds, shuffle)
    assert sorted(np.concatenate(held)) == list(range(len(labels)))
    assert max(map(len, held)) - min(map(len, held)) <= 1 + (shuffle > 0)
    by_class = np.stack([np.bincount(labels[each], minlength=len(counts)) for each in held])
    assert np.ptp(by_class, axis=0).max() <= 1 + (shuffle > 0)
    for number, validation in enumerate(held):
        train, again = folds.split(Fold(shuffle, number) if number else OF_THE_SEARCH)
        assert again.tolist() == validation.tolist()
        assert sorted([*train, *again]) == list(range(len(labels)))


def test_later_shuffles_leave_the_search_its_fold_and_mix_the_others() -> None:
    folds = Folds(shuffled([50, 70]), None, 5, 3)
    first, second, third = (validations(folds, shuffle) for shuffle in range(3))
    for other in (second, third):
        assert other[0].tolist() == first[0].tolist()
        assert all(a.tolist() != b.tolist() for a, b in zip(other[1:], first[1:], strict=True))
    assert second[1].tolist() != third[1].tolist()


def test_a_seed_of_the_split_is_another_split() -> None:
    labels = shuffled([50, 70])
    splits = {tuple(Folds(labels, None, 5, seed).split()[1]) for seed in range(5)}
    assert len(splits) == 5


def test_folds_are_the_same_in_every_release_of_numpy() -> None:
    folds = Folds(np.repeat([0, 1], 10), None, 4, 7)
    assert [each.tolist() for each in validations(folds, 0)] == [
        [1, 3, 6, 14, 18],
        [2, 4, 8, 13, 16],
        [5, 9, 12, 17, 19],
        [0, 7, 10, 11, 15],
    ]
    assert [each.tolist() for each in validations(folds, 1)] == [
        [1, 3, 6, 14, 18],
        [4, 5, 7, 12, 13],
        [8, 9, 15, 16, 17],
        [0, 2, 10, 11, 19],
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=24, max_size=40), SEEDS, st.integers(0, 2))
def test_what_belongs_together_is_in_one_fold_and_every_fold_has_every_class(
    sizes: list[int], seed: int, shuffle: int
) -> None:
    units = np.repeat(np.arange(len(sizes)), sizes)
    labels = units % 3
    belonging = Belonging(units, np.random.RandomState(1).permutation(len(units)))
    folds = Folds(labels, belonging, 4, seed)
    held = validations(folds, shuffle)
    assert sorted(np.concatenate(held)) == list(range(len(units)))
    of_fold = [set(units[each]) for each in held]
    assert sum(map(len, of_fold)) == len(sizes)
    assert all(set(labels[each]) == {0, 1, 2} for each in held)
    # The largest unit has four images, so that no class need be further off.
    by_class = np.stack([np.bincount(labels[each], minlength=3) for each in held])
    assert np.ptp(by_class[1:], axis=0).max() <= 4


def test_folds_go_by_contents_and_not_by_the_order_of_files() -> None:
    random = np.random.RandomState(2)
    contents = random.permutation(60)
    labels, units = contents % 3, contents // 6
    order = random.permutation(60)
    one = Folds(labels, Belonging(units, contents), 3, 0)
    # Units have other numbers too, where they are met in another order.
    renumbered = np.unique(-units[order], return_inverse=True)[1]
    other = Folds(labels[order], Belonging(renumbered, contents[order]), 3, 0)
    for fold in (OF_THE_SEARCH, Fold(0, 2), Fold(2, 1)):
        for ours, theirs in zip(one.split(fold), other.split(fold), strict=True):
            assert contents[ours].tolist() == contents[order][theirs].tolist()


def test_a_class_of_fewer_units_than_folds_is_refused_by_its_label() -> None:
    labels = np.repeat([0, 1], [12, 12])
    units = np.concatenate([np.arange(12), 12 + np.arange(12) // 6])
    with pytest.raises(Undivided) as refused:
        Folds(labels, Belonging(units, np.arange(24)), 3, 0).split()
    assert refused.value.label == 1


def test_no_seed_is_judged_on_the_fold_of_the_search() -> None:
    found = [fold_of_seed(index, 4) for index in range(7)]
    assert found == [
        Fold(0, 1),
        Fold(0, 2),
        Fold(0, 3),
        Fold(1, 1),
        Fold(1, 2),
        Fold(1, 3),
        Fold(2, 1),
    ]


def folder_of(tmp_path: Path, copies: int) -> Path:
    """Two classes of 12 contents, of the second each so many times, the last of them once."""
    random = np.random.RandomState(0)
    for row in range(24):
        image = Image.fromarray(random.randint(0, 256, (6, 6)).astype(np.uint8))
        for copy in range(copies if row % 2 and row < 23 else 1):
            path = tmp_path / "images" / "ab"[row % 2] / f"{row}-{copy}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return tmp_path / "images"


def opened(folder: Path, folds: int, version: int = 2) -> ImageDataset:
    return open_dataset(
        DataConfig(f"images:{folder}", folds=folds, split_version=version),
        data_root=folder.parent,
        cache_root=folder.parent / "cache",
    )


@pytest.mark.parametrize("version", [1, 2])
def test_a_data_set_is_validated_on_the_fold_that_is_asked_for(
    version: int, tmp_path: Path
) -> None:
    dataset = opened(folder_of(tmp_path, 1), 4, version)
    folds = [OF_THE_SEARCH, *(fold_of_seed(index, 4) for index in range(3))]
    seen = [dataset.on(each).split("validation").images for each in folds]
    assert dataset.on(None) is dataset
    assert (dataset.split("validation").images == seen[0]).all()
    everything = sorted(image.tobytes() for image in dataset.searchable.images)
    assert sorted(image.tobytes() for each in seen for image in each) == everything
    held = HeldImages(dataset, torch.device("cpu"))
    for fold, images in zip(folds, seen, strict=True):
        resident = held.on(fold)
        assert held.on(fold) is resident
        assert (resident.validation.images.numpy() == images).all()
        assert len(resident.train.images) + len(images) == len(everything)


def test_images_that_were_sent_are_divided_as_where_they_came_from(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 3)
    config = DataConfig(f"images:{folder}", folds=4, split_version=2)
    cache = tmp_path / "cache"
    sent = open_split(config, "train", tmp_path, cache, lambda done, total: None)
    unpack(packed(sent), "train", tmp_path / "there" / "parcel")
    there = as_dataset(divided(config, load_entry(tmp_path / "there" / "parcel", "train")))
    here = opened(folder, 4)
    for fold in (None, Fold(0, 3), Fold(2, 1)):
        ours, theirs = (each.on(fold).split("validation").images for each in (here, there))
        assert (ours == theirs).all()


@pytest.mark.parametrize(
    ("copies", "folds", "said"),
    [
        (
            1,
            11,
            'class "a" has 10 images outside the test split, and data.folds = 11 needs one in each'
            " fold; lower it or add images",
        ),
        (
            5,
            11,
            'class "b" cannot be in each of data.folds = 11: too many of its images belong'
            " together, as equal images or as a group; lower it or add others",
        ),
    ],
)
def test_a_class_that_cannot_be_in_every_fold_is_refused_in_a_line(
    copies: int, folds: int, said: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, copies)
    if copies > 1:
        extra = np.random.RandomState(1).randint(0, 256, (9, 6, 6)).astype(np.uint8)
        for row, image in enumerate(extra):
            Image.fromarray(image).save(folder / "a" / f"more {row}.png")
    with pytest.raises(DataError) as refused:
        opened(folder, folds)
    assert str(refused.value) == f'dataset "images:{folder}": {said}'


@pytest.mark.parametrize("folds", [0, 1, 101, -5])
def test_a_number_of_folds_that_cannot_be_is_refused(folds: int) -> None:
    with pytest.raises(DataError) as refused:
        DataConfig(folds=folds)
    assert str(refused.value) == f"folds {folds}: give a whole number from 2 to 100"


def test_a_share_and_folds_are_not_both_given() -> None:
    with pytest.raises(DataError) as refused:
        DataConfig(validation_fraction=0.3, folds=5)
    assert str(refused.value) == (
        "validation_fraction 0.3: folds 5 say what validation takes; give one of the two"
    )
