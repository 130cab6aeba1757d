"""What can be wrong with an export, a folder of a model, or what is asked of one."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from storage.text import on_one_line


def _shown(path: Path | str) -> str:
    return on_one_line(str(path))


class ExportRefused(Exception):
    """An export, or its folder, that cannot be as asked for. Exit code 2."""

    @classmethod
    def no_trial(cls, study: str) -> "ExportRefused":
        return cls(
            f"study {study!r} has no complete trial: export it once 'hypersearch status {study}'"
            " shows a best trial"
        )

    @classmethod
    def follow_up(cls, study: str, parent: str, kind: str) -> "ExportRefused":
        mend = f" with 'hypersearch export {parent} --refit'" if kind == "refit" else ""
        return cls(f"study {study!r} follows {parent!r} up: name {parent!r} instead{mend}")

    @classmethod
    def not_complete(cls, study: str, number: int, exportable: Sequence[int]) -> "ExportRefused":
        return cls(f"study {study!r} has no complete trial {number}: {_what_can_be(exportable)}")

    @classmethod
    def not_kept(cls, study: str, number: int, exportable: Sequence[int]) -> "ExportRefused":
        return cls(
            f"no model of trial {number} of study {study!r} was kept, as only those that were the"
            f" best so far are: {_what_can_be(exportable)}; --refit trains it again, on all images"
        )

    @classmethod
    def other_data(cls, study: str, number: int, found: str) -> "ExportRefused":
        return cls(
            f"trial {number} of study {study!r} was not trained on the images that are in {found}"
            " now: restore them, or say where they lie with --data-map STORED=HERE or --data-root"
            " DIR"
        )

    @classmethod
    def no_predictions(cls, study: str) -> "ExportRefused":
        return cls(
            f"study {study!r} has no complete trial that has recorded what it takes its validation"
            f" images for: name IMAGES to be judged, or 'hypersearch run --study {study}' first"
        )

    @classmethod
    def no_names(cls, dataset: str, cache_root: Path) -> "ExportRefused":
        return cls(
            f"{dataset}: an earlier version decoded these images, and kept no names of files:"
            f" remove {_shown(cache_root)}, and they are decoded anew"
        )

    @classmethod
    def is_there(cls, folder: Path) -> "ExportRefused":
        return cls(f"{_shown(folder)} is there already: name another folder, or add --force")

    @classmethod
    def holds_more(cls, folder: Path, other: str) -> "ExportRefused":
        return cls(
            f"{_shown(folder)} holds {_shown(other)}, which no export wrote: --force replaces"
            " exported folders alone, name another one"
        )

    @classmethod
    def not_written(cls, folder: Path, reason: str) -> "ExportRefused":
        return cls(f"{_shown(folder)}: cannot be written ({reason}): name another folder")

    @classmethod
    def no_format(cls, given: str, known: Iterable[str]) -> "ExportRefused":
        return cls(f"--format {given}: give {' or '.join(known)}, or both with a comma between")


class ExportFailed(Exception):
    """What was made is not what it should be: nothing was written. Exit code 1."""

    @classmethod
    def other_score(cls, number: int, recorded: float, found: float) -> "ExportFailed":
        return cls(
            f"the kept model of trial {number} scores {found:.6g} on the validation images, not the"
            f" recorded {recorded:.6g}: nothing was exported; export another trial with --trial N"
        )

    @classmethod
    def no_refit(cls, refit: str, state: str, has_diverged: bool) -> "ExportFailed":
        if has_diverged:
            return cls(
                f"{refit}: the training on all images diverged: leave --refit out, or export"
                " another trial with --trial N"
            )
        if state == "ended":
            return cls(
                f"{refit}: it ended without a network: 'hypersearch status {refit}' says why; the"
                " same command begins another"
            )
        return cls(f"{refit}: it has not been trained yet: the same command goes on with it")

    @classmethod
    def disagreement(cls, difference: float) -> "ExportFailed":
        return cls(
            "ONNX Runtime and PyTorch do not agree on the validation images (logits differ by"
            f" {difference:.2g}): nothing was exported; leave ONNX out with --format safetensors"
        )


class ModelFolderError(Exception):
    """A folder is no exported model, or is not as it was exported. Exit code 2."""

    @classmethod
    def missing(cls, folder: Path, part: str) -> "ModelFolderError":
        return cls(
            f"{_shown(folder)}: {part} is missing, so that this is no exported model, or not all of"
            " one: 'hypersearch export NAME -o FOLDER' makes one"
        )

    @classmethod
    def neither(cls, model: str, reason: object) -> "ModelFolderError":
        return cls(f"{_shown(model)}: no such folder, and no study of that name: {reason}")

    @classmethod
    def without_onnx(cls, folder: Path) -> "ModelFolderError":
        return cls(
            f"{_shown(folder)} was exported without ONNX: leave --runtime onnx out, or export it"
            " again with --format onnx,safetensors"
        )

    @classmethod
    def study_by_onnx(cls, study: str) -> "ModelFolderError":
        return cls(
            f"study {study!r} has no ONNX file: leave --runtime onnx out, or export it and name the"
            " folder"
        )

    @classmethod
    def without_safetensors(cls, folder: Path) -> "ModelFolderError":
        return cls(
            f"{_shown(folder)} was exported without safetensors: add --runtime onnx, or export it"
            " again with --format onnx,safetensors"
        )

    @classmethod
    def changed(cls, folder: Path, part: str) -> "ModelFolderError":
        return cls(
            f"{_shown(folder)}: {part} is not as it was exported: take a whole copy, or export it"
            " again"
        )

    @classmethod
    def unreadable(cls, folder: Path, part: str, reason: str) -> "ModelFolderError":
        return cls(
            f"{_shown(folder)}: {part} cannot be used ({on_one_line(reason)}): take a whole copy,"
            " or export it again"
        )

    @classmethod
    def newer(cls, folder: Path, version: object) -> "ModelFolderError":
        return cls(
            f"{_shown(folder)} has format {version}, newer than this program: pip install -U"
            " hypersearch"
        )


class RuntimeRefused(Exception):
    """A runtime that is unknown, or cannot be on that device. Exit code 2."""

    @classmethod
    def unknown(cls, name: str) -> "RuntimeRefused":
        return cls(f"--runtime {_shown(name)}: give torch or onnx")

    @classmethod
    def on_device(cls, device: str) -> "RuntimeRefused":
        return cls(
            f"--device {_shown(device)}: --runtime onnx computes on the CPU: leave one of them out"
        )


class ImagesRefused(Exception):
    """Images that are named for prediction are not there, or not as asked for. Exit code 2."""

    @classmethod
    def not_there(cls, path: Path) -> "ImagesRefused":
        return cls(f"{_shown(path)}: no such file or folder: name images or folders of them")

    @classmethod
    def none(cls, names: Sequence[str]) -> "ImagesRefused":
        return cls(f"{', '.join(map(_shown, names))}: no image there: name images or folders")

    @classmethod
    def none_labelled(cls, names: Sequence[str]) -> "ImagesRefused":
        return cls(
            f"{', '.join(map(_shown, names))}: no image there: name the folder above those of the"
            " classes, as --labelled takes folders with one sub-folder a class"
        )

    @classmethod
    def no_class_folder(cls, path: Path) -> "ImagesRefused":
        return cls(
            f"{_shown(path)} is no folder: --labelled takes folders with one sub-folder a class"
        )

    @classmethod
    def unknown_class(cls, folder: Path, classes: Sequence[str]) -> "ImagesRefused":
        some = ", ".join(map(_shown, classes[:10])) + (", ..." if len(classes) > 10 else "")
        return cls(
            f"{_shown(folder)}: no class of this model has that name: it knows {some}; rename the"
            " folder or take it out"
        )


class NothingRead(Exception):
    """No image could be read. Exit code 1."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"none of the {count} files could be read: see above for each, and name others"
        )


def _what_can_be(exportable: Sequence[int]) -> str:
    if not exportable:
        return "none of its trials can be exported"
    numbers = ", ".join(map(str, exportable))
    return (
        f"what can be exported is trial {numbers}"
        if len(exportable) == 1
        else (f"what can be exported are trials {numbers}")
    )
