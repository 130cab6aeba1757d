"""Files become the pixels that training saw, and are answered in a stream."""

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives.data.config import DataConfig
from objectives.data.images import open_dataset
from objectives.errors import DataUnavailable
from objectives.processor import usable_cores
from search.export import walking
from search.export.errors import ImagesRefused, NothingRead
from search.export.lines import JsonDocument, Text
from search.export.model import open_folder
from search.export.predicting import predictions
from search.export.running import Asked, predict_all
from search.export.walking import ImageToRead, find_images, find_labelled
from tests.search.export.conftest import CLASSES, Study


def test_files_are_answered_as_the_pixels_that_training_saw(
    study: Study, exported: Path, tmp_path: Path
) -> None:
    dataset = open_dataset(
        DataConfig(f"images:{study.images}", 0.4, split_version=2),
        data_root=tmp_path,
        cache_root=study.cache / "hypersearch" / "decoded",
    )
    trained_on = dataset.searchable.images
    for runtime in ("torch", "onnx"):
        model = open_folder(exported, "cpu", runtime)
        expected = {tuple(np.round(each, 4)) for each in model.answer(np.array(trained_on))}
        found = predictions(model, find_images([study.images]), top=3, batch=7)
        answers = set()
        for each in found:
            assert each.error is None
            by_class = dict(each.classes)
            answers.add(tuple(np.round(np.float32([by_class[name] for name in CLASSES]), 4)))
        assert expected <= answers


def test_both_runtimes_say_the_same(study: Study, exported: Path) -> None:
    torch, onnx = (
        list(
            predictions(
                open_folder(exported, "cpu", runtime), find_images([study.images]), unsure=0.4
            )
        )
        for runtime in ("torch", "onnx")
    )
    for one, other in zip(torch, onnx, strict=True):
        assert (one.path, one.predicted, one.is_unsure) == (
            other.path,
            other.predicted,
            other.is_unsure,
        )
        assert one.classes[0][1] == pytest.approx(other.classes[0][1], abs=1e-4)


def test_no_more_batches_are_ahead_of_what_is_answered_than_threads_and_one(exported: Path) -> None:
    taken = 0

    def endless() -> Iterator[ImageToRead]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield ImageToRead(Path(f"not there {number}.png"))

    made = predictions(open_folder(exported), endless(), batch=5)
    for answered in range(1, 200):
        assert next(made).error == "No such file or directory"
        assert taken <= answered + (usable_cores() + 1) * 5
    made.close()


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_are_walked_as_data_sets_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "b/2.PNG", "b/1.jpg", "b/notes.txt", "b/.hidden.png", "b/@eaDir/1.jpg")
    touch(tmp_path, "b/10/a.webp", "b/9/deep/er/a.gif", "elsewhere/x.png", "b/empty/none.txt")
    (tmp_path / "b" / "file-link.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    (tmp_path / "b" / "folder-link.png").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "b" / "lost-link.png").symlink_to(tmp_path / "nowhere")
    expected = ["1.jpg", "2.PNG", "file-link.png", "lost-link.png", "10/a.webp", "9/deep/er/a.gif"]

    def found() -> list[str]:
        return [
            str(each.path.relative_to(tmp_path / "b")) for each in find_images([tmp_path / "b"])
        ]

    assert found() == expected
    monkeypatch.setattr(walking, "ORDERED", 1)
    assert sorted(found()) == sorted(expected)
    (named,) = find_images([tmp_path / "b" / "notes.txt"])
    assert named.path.name == "notes.txt"


def test_class_folders_say_what_is_given(tmp_path: Path) -> None:
    touch(tmp_path, "a/x/1.png", "c/2.png", "stray.png")
    found = [(each.path.name, each.given) for each in find_labelled([tmp_path], ["a", "b", "c"])]
    assert found == [("1.png", "a"), ("2.png", "c")]
    with pytest.raises(ImagesRefused) as told:
        list(find_labelled([tmp_path], ["a", "b"]))
    assert str(told.value) == (
        f"{tmp_path}/c: no class of this model has that name: it knows a, b; rename the folder or"
        " take it out"
    )
    with pytest.raises(ImagesRefused) as told:
        list(find_labelled([tmp_path / "stray.png"], ["a", "b"]))
    assert str(told.value) == (
        f"{tmp_path}/stray.png is no folder: --labelled takes folders with one sub-folder a class"
    )


def test_places_without_images_are_told(exported: Path, tmp_path: Path) -> None:
    for place, said in (
        (tmp_path, f"{tmp_path}: no image there: name images or folders"),
        (
            tmp_path / "x",
            f"{tmp_path}/x: no such file or folder: name images or folders of them",
        ),
    ):
        with pytest.raises(ImagesRefused) as told:
            predict_all(
                open_folder(exported),
                [place],
                Asked(),
                Text(),
                write=lambda text: None,
                say=print,
                clock=lambda: 0.0,
            )
        assert str(told.value) == said


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything: the system says no in its stead."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "1.png").touch()
    scan = os.scandir

    def refuse(path: str | Path) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataUnavailable):
        list(find_images([tmp_path]))


def test_a_run_says_how_far_it_is_what_it_could_not_read_and_what_unsure_meant(
    exported: Path, tmp_path: Path
) -> None:
    for name in ("1.png", "3.png"):
        Image.new("RGB", (12, 10), "white").save(tmp_path / name)
    (tmp_path / "2.png").write_text("no image")
    written: list[str] = []
    said: list[str] = []
    seconds = itertools.count(0, 4)
    summary = predict_all(
        open_folder(exported),
        [tmp_path],
        Asked(unsure=1.0),
        JsonDocument(marks=True),
        write=written.append,
        say=said.append,
        clock=lambda: float(next(seconds)),
    )
    assert (summary.images, summary.unreadable) == (2, 1)
    document = json.loads("".join(written))
    assert [sorted(each) for each in document["predictions"]] == [
        ["classes", "path", "unsure"],
        ["error", "path"],
        ["classes", "path", "unsure"],
    ]
    assert (document["images"], document["unreadable"]) == (2, 1)
    assert said[0] == f"{tmp_path}/2.png: not read: it holds no image that Pillow reads"
    assert said[1] == "2 of 3 images, 4s to go"
    assert said[-2].startswith("unsure: 2 below 1, as 100.0% (")
    assert said[-1] == "1 of 3 files could not be read"
    (tmp_path / "1.png").unlink()
    (tmp_path / "3.png").unlink()
    with pytest.raises(NothingRead):
        predict_all(
            open_folder(exported),
            [tmp_path],
            Asked(),
            Text(),
            write=written.append,
            say=said.append,
            clock=lambda: 0.0,
        )
