"""A folder answers as it was exported, or is refused in one line; nothing in it is run."""

import hashlib
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest

from search.export.config import checksum
from search.export.errors import ModelFolderError
from search.export.model import open_folder

Document = dict[str, object]


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    return Path(shutil.copytree(exported, tmp_path / "model"))


def signed(folder: Path, change: Callable[[Document], object]) -> None:
    """Changes the config and makes its checksums those of what is there, as a forger would."""
    path = folder / "config.json"
    document = json.loads(path.read_text())
    del document["sha256"]
    for name in list(document["files"]):
        if (folder / name).exists():
            document["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    change(document)
    path.write_text(json.dumps({**document, "sha256": checksum(document)}))


def refusal(folder: Path, runtime: str | None = None) -> str:
    with pytest.raises(ModelFolderError) as told:
        open_folder(folder, "cpu", runtime)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "labels.txt"])
def test_a_missing_part_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    assert refusal(folder) == (
        f"{folder}: {name} is missing, so that this is no exported model, or not all of one:"
        " 'hypersearch export NAME -o FOLDER' makes one"
    )


def test_another_folder_is_no_model(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"{tmp_path}: config.json is missing")


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "labels.txt"])
def test_a_truncated_part_is_told(name: str, folder: Path) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    assert refusal(folder, "onnx" if name == "model.onnx" else "torch") == (
        f"{folder}: {name} is not as it was exported: take a whole copy, or export it again"
    )


def test_an_edited_config_is_told(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"study": "odd"', '"study": "old"'))
    assert refusal(folder) == (
        f"{folder}: config.json is not as it was exported: take a whole copy, or export it again"
    )


def test_a_later_version_says_so(folder: Path) -> None:
    signed(folder, lambda document: document.update(format_version=3))
    assert refusal(folder) == (
        f"{folder} has format 3, newer than this program: pip install -U hypersearch"
    )


def put(table: str, **changes: object) -> Callable[[Document], object]:
    def change(document: Document) -> None:
        found = document[table]
        assert isinstance(found, dict)
        found.update(changes)

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("classes"),
        lambda document: document.update(classes=["one"]),
        lambda document: document.update(classes=[1, 2, 3]),
        lambda document: document.update(classes=["x", "y", "z"]),
        lambda document: document.update(classes=["a", "b", "c", "d"]),
        lambda document: document.update(pixels=None),
        lambda document: document.update(files=[]),
        put("pixels", channels=2),
        put("pixels", height=True),
        put("pixels", height=11),
        put("pixels", width=-1),
        put("pixels", resize="somehow"),
        put("pixels", scales={"16 bits": [0]}),
        put("calibration", temperature=0),
        put("calibration", temperature="1"),
        put("calibration", confidences=[[0, 0, 1]]),
        put("files", **{"model.safetensors": "0" * 64}),
    ],
)
def test_a_forged_config_is_refused(change: Callable[[Document], object], folder: Path) -> None:
    signed(folder, change)
    said = refusal(folder)
    assert said.endswith(": take a whole copy, or export it again")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b"\xff", b'{"format_version": 1}', b"[" * 100_000]
)
def test_what_is_no_config_is_refused(content: bytes, folder: Path) -> None:
    (folder / "config.json").write_bytes(content)
    assert refusal(folder).startswith(f"{folder}: config.json cannot be used (")


def test_whatever_byte_is_another_one_is_found(folder: Path) -> None:
    draw = random.Random(0)
    for name in ("config.json", "model.safetensors", "labels.txt"):
        whole = (folder / name).read_bytes()
        for _ in range(30):
            place = draw.randrange(len(whole))
            other = bytes([whole[place] ^ draw.randrange(1, 256)])
            (folder / name).write_bytes(whole[:place] + other + whole[place + 1 :])
            refusal(folder)
        (folder / name).write_bytes(whole)
    open_folder(folder)


class _Planted:
    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self._mark),)


def test_a_planted_pickle_is_not_run(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "run"
    content = pickle.dumps(_Planted(mark))
    for name in ("model.safetensors", "model.onnx", "model.pkl", "model.pt", "pytorch_model.bin"):
        (folder / name).write_bytes(content)
    signed(folder, lambda document: None)
    for runtime, part in (("torch", "model.safetensors"), ("onnx", "model.onnx")):
        assert refusal(folder, runtime).startswith(f"{folder}: {part} cannot be used (")
    assert not mark.exists()
    # What was planted would have worked.
    pickle.loads(content)
    assert mark.exists()


def test_an_onnx_file_with_numbers_in_another_file_is_refused(folder: Path) -> None:
    path = folder / "model.onnx"
    found = onnx.load_model(path)
    onnx.save_model(
        found, path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert (folder / "weights.bin").exists()
    signed(folder, lambda document: None)
    assert "takes numbers from other files" in refusal(folder, "onnx")


def test_a_runtime_whose_file_was_not_exported_is_told(folder: Path) -> None:
    def without(name: str) -> Callable[[Document], object]:
        def change(document: Document) -> None:
            files = document["files"]
            assert isinstance(files, Mapping)
            document["files"] = {each: digest for each, digest in files.items() if each != name}

        return change

    signed(folder, without("model.onnx"))
    assert refusal(folder, "onnx") == (
        f"{folder} was exported without ONNX: leave --runtime onnx out, or export it again with"
        " --format onnx,safetensors"
    )
    signed(folder, without("model.safetensors"))
    assert refusal(folder, "torch") == (
        f"{folder} was exported without safetensors: add --runtime onnx, or export it again with"
        " --format onnx,safetensors"
    )


def mutated(draw: random.Random, content: bytes) -> bytes:
    """With a few bytes changed, anywhere or at its head, put in or taken out; or cut off."""
    place, few = draw.randrange(len(content)), draw.randrange(1, 9)
    match draw.randrange(4):
        case 0:
            changed = bytearray(content)
            for _ in range(few):
                changed[draw.randrange(min(len(content), draw.choice((400, 10**9))))] ^= 1 + few
            return bytes(changed)
        case 1:
            return content[:place] + draw.randbytes(few) + content[place:]
        case 2:
            return content[:place] + content[place + 9 * few :]
        case _:
            return content[:place]


def test_mutated_folders_whose_checksums_are_right_are_refused_in_a_line_or_answer(
    folder: Path, exported: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    draw, refused = random.Random(0), []
    for number in range(50):
        part = ("model.safetensors", "model.onnx", "config.json")[number % 3]
        whole = (exported / part).read_bytes()
        (folder / part).write_bytes(mutated(draw, whole))
        with suppress(ValueError, LookupError):
            signed(folder, lambda document: None)
        try:
            model = open_folder(folder, "cpu", "onnx" if part == "model.onnx" else "torch")
            answers = model.answer(np.zeros((2, *model.answering.pixels.shape), np.uint8))
            assert answers.shape == (2, len(model.answering.class_names))
        except ModelFolderError as error:
            refused.append(str(error))
        for name in (part, "config.json"):
            shutil.copy(exported / name, folder / name)
    assert len(refused) > 20
    assert not any("\n" in each for each in refused)
    assert capfd.readouterr() == ("", "")


def test_labels_of_other_classes_are_refused(folder: Path) -> None:
    (folder / "labels.txt").write_text("x\ny\nz\n")
    signed(folder, lambda document: None)
    assert refusal(folder) == (
        f"{folder}: labels.txt is not as it was exported: take a whole copy, or export it again"
    )


def test_an_onnx_file_of_another_model_is_refused(folder: Path) -> None:
    found = onnx.load_model(folder / "model.onnx")
    for each in (*found.graph.input, *found.graph.value_info):
        if each.name == "images":
            each.type.tensor_type.shape.dim[2].dim_value += 4
    onnx.save_model(found, folder / "model.onnx")
    assert "model.onnx is not as it was exported" in refusal(folder, "onnx")
    signed(folder, lambda document: None)
    refusal(folder, "onnx")
