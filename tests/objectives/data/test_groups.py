"""Images that belong together never stand on two sides of a split."""

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectives.data.config import DataConfig, groups_fault
from objectives.data.images import ImageDataset, open_dataset
from objectives.data.splits import Belonging, Undivided, split_by_units, units_for_test, units_of
from objectives.errors import DataError

Pixels = NDArray[np.uint8]
PATIENTS = "(p[0-9]+)_"
SPLITS: tuple[Literal["train", "validation"], ...] = ("train", "validation")


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def save(pixels: Pixels, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def folder_of_patients(folder: Path, patients: int = 20, each: int = 5) -> Path:
    """Two classes; each patient has images of one of them."""
    for patient in range(patients):
        for number in range(each):
            save(
                noise(100 * patient + number, 6, 6),
                folder / "ab"[patient % 2] / f"p{patient}_{number}.png",
            )
    return folder


def opened(config: DataConfig, root: Path) -> ImageDataset:
    return open_dataset(config, data_root=root / "data", cache_root=root / "cache")


def patients_of(dataset: ImageDataset, folder: Path) -> tuple[set[str], set[str], set[str]]:
    """The patients of training, validation and, by what is left, test."""
    by_content = {
        np.asarray(Image.open(path)).tobytes(): path.name.partition("_")[0]
        for path in folder.rglob("*.png")
    }
    train, validation = (
        [by_content[image.tobytes()] for image in dataset.split(name).images]
        for name in ("train", "validation")
    )
    seen = {image.tobytes() for image in dataset.searchable.images}
    test = [patient for content, patient in by_content.items() if content not in seen]
    return set(train), set(validation), set(test)


# --- copies


def test_copies_of_random_images_with_random_labels_teach_nothing_about_validation(
    tmp_path: Path,
) -> None:
    """Each of them five times: no content of validation is in training, so that chance is all that
    can be reached.
    """
    folder = tmp_path / "images"
    for row, image in enumerate(noise(0, 60, 6, 6)):
        for copy in range(5):
            save(image, folder / "ab"[row % 2] / f"{row}-{copy}.png")
    dataset = opened(DataConfig(f"images:{folder}", split_version=2), tmp_path)
    train, validation = (
        [image.tobytes() for image in dataset.split(name).images] for name in SPLITS
    )
    assert not set(train) & set(validation)
    # Of the 48 contents outside the test split 38 are for training, and 10 for validation.
    assert (len(train), len(validation)) == (190, 50)
    before = opened(DataConfig(f"images:{folder}", split_version=1), tmp_path)
    assert {image.tobytes() for image in before.split("train").images} & set(validation)


def test_copies_in_two_classes_stay_on_one_side(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    images = noise(1, 40, 6, 6)
    for row, image in enumerate(images):
        save(image, folder / "ab"[row % 2] / f"{row}.png")
        if row < 20:
            save(image, folder / "ba"[row % 2] / f"copy of {row}.png")
    dataset = opened(DataConfig(f"images:{folder}", split_version=2), tmp_path)
    train, validation = (
        {image.tobytes() for image in dataset.split(name).images} for name in SPLITS
    )
    assert not train & validation
    assert sorted(set(dataset.split("validation").labels.tolist())) == [0, 1]


def test_a_renamed_file_is_on_the_side_where_it_was(tmp_path: Path) -> None:
    """The fingerprint of a data set does not know names, so that trials of one fingerprint must
    share a split.
    """
    folder = folder_of_patients(tmp_path / "images")
    config = DataConfig(f"images:{folder}", split_version=2)
    before = opened(config, tmp_path)
    for row, path in enumerate(sorted(folder.rglob("*.png"), key=lambda path: path.read_bytes())):
        path.rename(path.with_name(f"renamed {row}.png"))
    after = opened(config, tmp_path)
    assert after.facts == before.facts
    for name in SPLITS:
        np.testing.assert_array_equal(after.split(name).images, before.split(name).images)
        np.testing.assert_array_equal(after.split(name).labels, before.split(name).labels)


def test_a_split_by_contents_has_the_shares_of_one_by_rows(tmp_path: Path) -> None:
    folder = folder_of_patients(tmp_path / "images")
    for fraction in (0.1, 0.25, 0.5):
        one, two = (
            opened(
                DataConfig(f"images:{folder}", validation_fraction=fraction, split_version=version),
                tmp_path,
            )
            for version in (1, 2)
        )
        for name in SPLITS:
            assert (
                np.bincount(one.split(name).labels).tolist()
                == np.bincount(two.split(name).labels).tolist()
            )


# --- groups


def test_a_group_is_never_on_two_sides_of_validation_or_test(tmp_path: Path) -> None:
    folder = folder_of_patients(tmp_path / "images")
    for seed in range(5):
        config = DataConfig(f"images:{folder}", split_seed=seed, split_version=2, groups=PATIENTS)
        train, validation, test = patients_of(opened(config, tmp_path), folder)
        assert not train & validation
        assert not (train | validation) & test
        # Of ten patients of a class a fifth is test, and a fifth of the other eight, rounded to
        # whole ones, validation.
        assert (len(test), len(validation)) == (4, 4)


def test_the_test_split_of_groups_depends_on_no_name_and_no_order(tmp_path: Path) -> None:
    folder = folder_of_patients(tmp_path / "images")
    config = DataConfig(f"images:{folder}", split_version=2, groups=PATIENTS)
    seen = {image.tobytes() for image in opened(config, tmp_path).searchable.images}
    for path in list(folder.rglob("*.png")):
        patient, _, number = path.name.partition("_")
        path.rename(path.with_name(f"p{99 - int(patient[1:])}_{number}"))
    assert {image.tobytes() for image in opened(config, tmp_path).searchable.images} == seen


def test_a_group_may_have_images_of_several_classes(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for patient in range(10):
        for number in range(4):
            save(
                noise(10 * patient + number, 6, 6),
                folder / "ab"[number % 2] / f"p{patient}_{number}.png",
            )
    config = DataConfig(f"images:{folder}", split_version=2, groups=PATIENTS)
    train, validation, test = patients_of(opened(config, tmp_path), folder)
    assert len(train | validation | test) == len(train) + len(validation) + len(test) == 10
    assert (len(test), len(validation)) == (2, 1)


def test_a_group_of_a_test_split_of_ones_own_that_is_in_train_too_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    folder_of_patients(folder / "train", 6, 2)
    save(noise(999, 6, 6), folder / "test" / "a" / "p0_9.png")
    opened(DataConfig(f"images:{folder}", split_version=2, groups=PATIENTS), tmp_path)
    assert caplog.messages == [
        f"{folder}: 1 groups of test are in train too, so that the test split flatters: p0"
    ]


@pytest.mark.parametrize("header", ["path,group\n", "", "group;path\n", "\ufeffPath\tGroup\n"])
def test_a_table_of_path_and_group_groups_as_an_expression_does(
    header: str, tmp_path: Path
) -> None:
    folder = folder_of_patients(tmp_path / "images")
    delimiter = next((each for each in ";\t" if each in header), ",")
    rows = []
    for path in sorted(folder.rglob("*.png")):
        cells = [path.relative_to(folder).as_posix(), path.name.partition("_")[0]]
        rows.append(delimiter.join(reversed(cells) if header.startswith("group") else cells))
    (folder / "patients.csv").write_text(header + "\n".join(rows), encoding="utf-8")
    config = DataConfig(f"images:{folder}", split_version=2, groups="patients.csv")
    by_table = opened(config, tmp_path)
    by_expression = opened(
        DataConfig(f"images:{folder}", split_version=2, groups=PATIENTS), tmp_path
    )
    np.testing.assert_array_equal(
        by_table.split("validation").images, by_expression.split("validation").images
    )
    assert by_table.facts == by_expression.facts


def test_another_table_is_other_data(tmp_path: Path) -> None:
    folder = folder_of_patients(tmp_path / "images", 8, 2)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    config = DataConfig(f"images:{folder}", split_version=2, groups="g.csv")
    fingerprints = set()
    for size in (2, 4):
        (folder / "g.csv").write_text(
            "\n".join(f"{name},{row // size}" for row, name in enumerate(names))
        )
        fingerprints.add(opened(config, tmp_path).facts.fingerprint)
    plain = opened(DataConfig(f"images:{folder}", split_version=2), tmp_path).facts.fingerprint
    assert len(fingerprints | {plain}) == 3


@pytest.mark.parametrize(
    ("groups", "table", "message"),
    [
        (
            "(q[0-9]+)",
            "",
            (
                'data.groups "(q[0-9]+)": 16 of 16 images have no group: a/p0_0.png, a/p0_1.png,'
                " a/p2_0.png, ...; mend it so that each has one"
            ),
        ),
        (
            "no.csv",
            "",
            "{folder}/no.csv: no such file; data.groups names a CSV in the folder of the images",
        ),
        (
            "g.csv",
            "path,group\na/p0_0.png,1\n",
            (
                'data.groups "g.csv": 15 of 16 images have no group: a/p0_1.png, a/p2_0.png,'
                " a/p2_1.png, ...; mend it so that each has one"
            ),
        ),
        (
            "g.csv",
            "path\na/p0_0.png\n",
            "{folder}/g.csv: row 1 has 1 columns; write path and group in each",
        ),
        (
            "g.csv",
            "a/p0_0.png,1\n./a\\p0_0.png,2\n",
            '{folder}/g.csv: "a/p0_0.png" is in two groups (row 2); leave one out',
        ),
        (
            "(a|p[0-9]+_)",
            "",
            (
                '{folder}: all images of class "a" are of one group, "a": none can be set aside for'
                " validation; add images of another group"
            ),
        ),
    ],
)
def test_groups_that_do_not_fit_the_folder_are_refused(
    groups: str, table: str, message: str, tmp_path: Path
) -> None:
    folder = folder_of_patients(tmp_path / "images", 8, 2)
    if table:
        (folder / "g.csv").write_text(table)
    with pytest.raises(DataError) as refused:
        opened(DataConfig(f"images:{folder}", split_version=2, groups=groups), tmp_path)
    assert str(refused.value) == message.format(folder=folder)


def test_a_class_of_equal_images_is_refused(tmp_path: Path) -> None:
    folder = folder_of_patients(tmp_path / "images", 6, 2)
    shutil.rmtree(folder / "b")
    for copy in range(4):
        save(noise(7, 6, 6), folder / "b" / f"p1_{copy}.png")
    with pytest.raises(DataError) as refused:
        opened(DataConfig(f"images:{folder}", split_version=2), tmp_path)
    assert (
        str(refused.value)
        == f'dataset "images:{folder}": no image of class "b" can be set aside for validation: all'
        " belong together, as equal images or as a group; add others"
    )


@pytest.mark.parametrize(
    ("groups", "fault"),
    [
        (PATIENTS, None),
        ("a.csv", None),
        ("C:\\new\\patients.CSV", None),
        ("(?P<patient>x)", None),
        (
            "patient",
            "must hold a group in brackets, as 'patient_([0-9]+)', or name a CSV of path and group",
        ),
        (
            "(?:patient)",
            "must hold a group in brackets, as 'patient_([0-9]+)', or name a CSV of path and group",
        ),
        (
            "",
            "must hold a group in brackets, as 'patient_([0-9]+)', or name a CSV of path and group",
        ),
        ("(", "is no regular expression (missing ), unterminated subpattern at position 0)"),
    ],
)
def test_what_names_groups_is_an_expression_with_brackets_or_a_table(
    groups: str, fault: str | None
) -> None:
    assert groups_fault(groups) == fault


# --- the rules


def test_units_join_whatever_shares_a_mark() -> None:
    assert units_of([1, 2, 3, 4, 1], ["a", "b", "b", "c", "c"]).tolist() == [0, 1, 1, 0, 0]
    assert units_of([1, 2, 3]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(20))
def test_units_stay_whole_and_every_class_is_on_both_sides(seed: int) -> None:
    random = np.random.RandomState(seed)
    labels = random.randint(0, 4, 300)
    units = random.randint(0, 80, 300)
    stay, taken = split_by_units(labels, Belonging(units, random.permutation(300)), 0.2, seed)
    assert sorted([*stay, *taken]) == list(range(300))
    assert not set(units[stay]) & set(units[taken])
    for label in range(4):
        share = (labels[taken] == label).mean() * len(taken) / (labels == label).sum()
        assert 0 < share < 0.35


def test_a_class_of_one_unit_cannot_be_divided() -> None:
    with pytest.raises(Undivided) as undivided:
        split_by_units(
            np.array([0, 0, 1, 1]), Belonging(np.array([0, 1, 2, 2]), np.arange(4)), 0.5, 0
        )
    assert undivided.value.label == 1


def test_two_units_of_each_class_are_left_by_the_test_split() -> None:
    labels, units = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1]), np.array([0, 1, 1, 2, 2, 3, 3, 4, 4])
    contents = [bytes([row]) for row in range(9)]
    assert units_for_test(labels, units, contents).tolist() == [
        False,
        False,
        False,
        True,
        True,
        *[False] * 4,
    ]
