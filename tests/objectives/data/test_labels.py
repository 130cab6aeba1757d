"""A table beside the images says their classes, and what is wrong in it is said in one line."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives.data.cache import open_searchable, open_test
from objectives.data.config import DataConfig
from objectives.data.folder import image_folder
from objectives.data.source import Decoded
from objectives.errors import DataError

PATHS = tuple(f"{shop}/{row}.png" for shop in ("a", "b c") for row in range(5))
CLASSES = ("cat", "dog") * 5


def fill(folder: Path, *more: str) -> None:
    """Images that differ, in folders that are no classes."""
    for row, name in enumerate((*PATHS, *more)):
        pixels = np.random.RandomState(row).randint(0, 256, (4, 4)).astype(np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)


def rows(header: str, *columns: tuple[str, ...]) -> str:
    lines = (",".join(cells) for cells in zip(PATHS, CLASSES, *columns, strict=True))
    return "\n".join([header, *lines]) + "\n"


PLAIN = rows("path,class")


def decode(folder: Path, labels: str = "labels.csv", groups: str | None = None) -> Decoded:
    source = image_folder(folder, groups, labels=labels)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    return source.decode(scratch, None, lambda *_: None)


def classes_of(decoded: Decoded) -> dict[bytes, str]:
    everything = np.concatenate([decoded.train, decoded.test])
    return {
        decoded.images[row].tobytes(): decoded.class_names[decoded.labels[row]]
        for row in everything
    }


def expected(folder: Path) -> dict[bytes, str]:
    return {
        np.asarray(Image.open(folder / path))[None].tobytes(): name
        for path, name in zip(PATHS, CLASSES, strict=True)
    }


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace("/", "\\").encode(),
        PLAIN.replace("\na/", "\n./a//").encode(),
        PLAIN.replace("path,class", "Path , CLASS").replace(",cat", ', "cat"').encode(),
        (PLAIN.replace("b c/0.png", '"b c/0.png"') + "\n,\n").encode(),
        (PLAIN + PATHS[3] + "," + CLASSES[3]).encode(),
    ],
    ids=[
        "plain",
        "mark",
        "crlf",
        "semicolon",
        "tab",
        "windows",
        "dots",
        "spaces",
        "quoted",
        "twice",
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder)
    (folder / "labels.csv").write_bytes(content.replace(b', "cat"', b',"cat"'))
    decoded = decode(folder)
    assert decoded.class_names == ("cat", "dog")
    assert classes_of(decoded) == expected(folder)


def test_accents_are_found_however_the_system_that_named_the_file_writes_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    apart, joined = "e\N{COMBINING ACUTE ACCENT}.png", "\N{LATIN SMALL LETTER E WITH ACUTE}.png"
    fill(folder, apart)
    (folder / "labels.csv").write_text(f"{PLAIN}{joined},dog\n", encoding="utf-8")
    assert len(classes_of(decode(folder))) == 11
    assert caplog.messages == []


def test_the_same_classes_in_folders_are_the_same_data(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder)
    (tmp_path / "elsewhere.csv").write_text(PLAIN)
    by_table = decode(folder, str(tmp_path / "elsewhere.csv"))
    for path, name in zip(PATHS, CLASSES, strict=True):
        moved = tmp_path / "folders" / name / path.replace("/", "-")
        moved.parent.mkdir(parents=True, exist_ok=True)
        (folder / path).rename(moved)
    by_folder = image_folder(tmp_path / "folders").decode(
        Path(tempfile.mkdtemp(dir=tmp_path)), None, lambda *_: None
    )
    assert by_table.facts == by_folder.facts
    assert {by_table.images[row].tobytes() for row in by_table.test} == {
        by_folder.images[row].tobytes() for row in by_folder.test
    }


def test_the_splits_of_a_table_are_taken_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder)
    splits = ("train", "Test") + ("training",) * 6 + ("train", "TEST")
    (folder / "labels.csv").write_text(rows("path,class,split", splits))
    config = DataConfig(f"images:{folder}", 0.25, labels="labels.csv", split_version=2)
    test = open_test(config, tmp_path, tmp_path)
    assert {image.tobytes() for image in test.arrays.images} == {
        np.asarray(Image.open(folder / PATHS[row])).tobytes() for row in (1, 9)
    }
    found = open_searchable(config, tmp_path, tmp_path, lambda *_: None)
    assert (len(found.train), len(found.validation)) == (6, 2)
    # What the table says is part of what tells that the folder has changed.
    (folder / "labels.csv").write_text(rows("path,class,split", ("train",) * 8 + ("test",) * 2))
    assert len(open_test(config, tmp_path, tmp_path).arrays.images) == 2
    changed = open_searchable(config, tmp_path, tmp_path, lambda *_: None)
    assert changed.facts.fingerprint != found.facts.fingerprint


@pytest.mark.parametrize("by", ["column", "expression"])
def test_groups_come_from_the_table_or_from_paths(by: str, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder)
    places = tuple(path.split("/")[0] + str(int(path[-5]) // 2) for path in PATHS)
    content = rows("path,class,group", places) if by == "column" else PLAIN
    (folder / "labels.csv").write_text(content)
    groups = None if by == "column" else "^([^/]+/[0-9])"
    decoded = decode(folder, groups=groups)
    assert decoded.belonging is not None
    assert len(set(decoded.belonging.units.tolist())) == (6 if by == "column" else 10)


def test_images_in_no_row_are_named_and_damaged_ones_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    fill(folder, "new/1.png", ".hidden/2.png")
    (folder / "broken.png").write_text("no image")
    (folder / "labels.csv").write_text(PLAIN + "broken.png,dog\n")
    assert classes_of(decode(folder)) == expected(folder)
    assert caplog.messages == [
        f"{folder}: 1 files or folders are no images or stand in no class: new/1.png",
        f"{folder}: 1 of 11 images cannot be read and are left out: broken.png"
        " (-v names each with its reason)",
    ]


SPLIT = rows("path,class,split", ("train",) * 8 + ("test",) * 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file; data.labels names a CSV in the folder of the images"),
        (b"\xff\xfep\0a\0", "is no text in UTF-8; save it as such"),
        ("", 'has no column "path"; its first row names its columns: path, class, and if you like'),
        ("a/0.png,cat\n", 'unknown column "a/0.png"; known are path, class, split, group: rename'),
        (PLAIN.replace("class", "clas"), 'unknown column "clas"; known are path, class, split,'),
        (PLAIN.replace("path,class", "path,path"), 'has two columns "path"; leave one out'),
        ("path\na/0.png\n", 'has no column "class"; its first row names its columns'),
        (PLAIN + "a/0.png\n", "row 12 has 1 columns and the first 2; write as many in each"),
        (PLAIN + "a/0.png,\n", "row 12 has no class; write one in each row"),
        (
            PLAIN + "a/0.png,dog\n",
            '"a/0.png" is "cat" in row 2 and "dog" in row 12: an image has one class (several'
            " labels an image are out of scope); leave one out",
        ),
        (SPLIT + "a/0.png,cat,test\n", '"a/0.png" has another split or group in row 2 than in'),
        (PLAIN + "../x.png,dog\n", 'row 12: "../x.png" is not below '),
        (PLAIN + "C:\\x.png,dog\n", 'row 12: "C:/x.png" is not below '),
        (PLAIN + "/etc/x.png,dog\n", 'row 12: "/etc/x.png" is not below '),
        (
            PLAIN + "a/77.png,dog\na/78.png,dog\n",
            "2 of 12 rows name no file below ",
        ),
        ("path,class\na/0.png,cat\n", "1 classes; name images of two or more"),
        ("path,class\n", "0 classes; name images of two or more"),
        (
            SPLIT.replace("train", "validation"),
            'row 2: split "validation" is neither train nor test; validation images are drawn from',
        ),
        (SPLIT.replace("test", "train"), "no row is of test; name some, or leave the column split"),
        (SPLIT.replace("dog,test", "cow,test"), 'class "cow" has no image in train; add some or'),
    ],
)
def test_what_is_wrong_in_a_table_is_one_line(
    content: str | bytes | None, said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    fill(folder)
    if content is not None:
        bytes_of = content if isinstance(content, bytes) else content.encode()
        (folder / "labels.csv").write_bytes(bytes_of)
    with pytest.raises(DataError) as refused:
        image_folder(folder, labels="labels.csv")
    message = str(refused.value)
    assert message.startswith(f"{folder / 'labels.csv'}: {said}")
    assert "\n" not in message


def test_a_class_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder)
    (folder / "broken.png").write_text("no image")
    (folder / "labels.csv").write_text(PLAIN + "broken.png,cow\n")
    config = DataConfig(f"images:{folder}", labels="labels.csv", split_version=2)
    with pytest.raises(DataError, match='class "cow" has 0 images outside the test split'):
        open_searchable(config, tmp_path, tmp_path, lambda *_: None)


def test_a_folder_of_no_classes_with_a_table_says_how_to_name_it(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder / "all")
    (folder / "Labels.CSV").write_text(PLAIN)
    with pytest.raises(DataError) as refused:
        image_folder(folder)
    assert str(refused.value) == (
        f"{folder}: 1 sub-folders; give each of two or more classes a sub-folder of images, or say"
        ' data.labels = "Labels.CSV"'
    )


def test_groups_are_named_once_and_a_folder_must_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    fill(folder)
    (folder / "labels.csv").write_text(rows("path,class,group", CLASSES))
    with pytest.raises(DataError) as refused:
        image_folder(folder, "(a)", labels="labels.csv")
    assert str(refused.value) == (
        f'{folder / "labels.csv"}: has a column "group", and data.groups is "(a)"; leave one of'
        " them out"
    )
    with pytest.raises(DataError, match="no such folder; give the one that the paths of"):
        image_folder(tmp_path / "nowhere", labels="labels.csv")
