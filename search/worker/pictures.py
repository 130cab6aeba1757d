"""What is kept of an incumbent, as files: pictures (PNG) for a person, tables (CSV) for a program.

Drawing takes seconds: what pictures are drawn from is kept at once, and they are drawn elsewhere
(search.worker.drawing).
"""

import csv
import io
import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from objectives.examined import Examination, WrongImage
from storage.artifact_names import MODEL_FILE
from storage.records import EpochRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

EXAMINATION = "examination.npz"
CONFUSION_MATRIX = "confusion-matrix.png"
DOTS_PER_INCH = 100
# Longer names of classes are cut where they label something.
NAME_LENGTH = 16
# With more classes, cells are too small for counts and the picture would be too large to open.
COUNTED_CLASSES = 120
# A wrongly classified image has a side of so many pixels on its sheet.
CELL_PIXELS = 96
SHEET_COLUMNS = 8
# Matplotlib's own font lacks the scripts of these fonts, the first ones of each system. Those that
# are not installed are left out.
_FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "NanumGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
)
_TRAIN_COLOUR, _VALIDATION_COLOUR = "#888888", "#1f5fbf"


def incumbent_files(
    model: bytes,
    epochs: Sequence[EpochRecord],
    examination: Examination,
    class_names: Sequence[str],
) -> dict[str, bytes]:
    """The files of a new incumbent that are kept at once, name -> content; equal arguments give
    equal files.

    `model` is the content of a model file, `epochs` (one or more) are those of the trial.
    """
    return {
        MODEL_FILE: model,
        "learning-curve.csv": learning_curve_csv(epochs),
        "confusion-matrix.csv": confusion_matrix_csv(examination.confusion, class_names),
        EXAMINATION: examination_npz(examination, class_names),
    }


def is_drawn(file_names: Container[str]) -> bool:
    """Whether an incumbent with these files has its pictures, which are kept all together."""
    return CONFUSION_MATRIX in file_names


def incumbent_pictures(
    epochs: Sequence[EpochRecord], examination: Examination, class_names: Sequence[str]
) -> dict[str, bytes]:
    """The pictures of an incumbent, name -> content; equal arguments give equal files."""
    files = {
        "learning-curve.png": learning_curve_png(epochs),
        CONFUSION_MATRIX: confusion_matrix_png(examination.confusion, class_names),
    }
    if examination.wrong:
        files["wrongly-classified.png"] = wrong_images_png(examination.wrong, class_names)
    return files


def examination_npz(examination: Examination, class_names: Sequence[str]) -> bytes:
    """An examination with the names of its classes, as read_examination() reads it."""
    wrong = examination.wrong
    content = io.BytesIO()
    np.savez_compressed(
        content,
        class_names=np.array(class_names),
        confusion=examination.confusion,
        # The pixels have shape (N, C, H, W).
        index=np.array([image.index for image in wrong], dtype=np.int64),
        pixels=np.array([image.pixels for image in wrong], dtype=np.uint8),
        true=np.array([image.true for image in wrong], dtype=np.int64),
        predicted=np.array([image.predicted for image in wrong], dtype=np.int64),
        confidence=np.array([image.confidence for image in wrong], dtype=np.float64),
    )
    return content.getvalue()


def read_examination(content: bytes) -> tuple[Examination, tuple[str, ...]]:
    """The examination and the names of its classes from examination_npz()."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        columns = (file[name] for name in ("index", "pixels", "true", "predicted", "confidence"))
        wrong = tuple(
            WrongImage(int(index), pixels, int(true), int(predicted), float(confidence))
            for index, pixels, true, predicted, confidence in zip(*columns, strict=True)
        )
        return Examination(file["confusion"], wrong), tuple(file["class_names"].tolist())


def learning_curve_csv(epochs: Sequence[EpochRecord]) -> bytes:
    """One row an epoch, with the names of EpochRecord; empty where there is no number, or none that
    is finite.
    """
    return _csv([[field.name for field in fields(EpochRecord)], *map(astuple, epochs)])


def confusion_matrix_csv(confusion: NDArray[np.int64], class_names: Sequence[str]) -> bytes:
    """One row a true class, one column a predicted one, both under their names."""
    rows = ([name, *counts] for name, counts in zip(class_names, confusion.tolist(), strict=True))
    return _csv([["true", *class_names], *rows])


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_cell, row) for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def learning_curve_png(epochs: Sequence[EpochRecord]) -> bytes:
    """Loss and accuracy of training and validation, epoch by epoch."""
    from matplotlib.ticker import MaxNLocator

    # Computing a layout takes half as long as drawing.
    figure = _figure(10, 4, layout=None)
    # The margins leave room for the longest ticks.
    figure.subplots_adjust(left=0.08, right=0.985, bottom=0.19, top=0.92, wspace=0.24)
    numbers = [record.epoch for record in epochs]
    marker = "o" if len(epochs) <= 30 else ""
    for axes, name, unit in zip(
        figure.subplots(1, 2),
        ("loss", "accuracy"),
        ("cross-entropy, nats an image", "share of images"),
        strict=True,
    ):
        for split, colour in (("train", _TRAIN_COLOUR), ("validation", _VALIDATION_COLOUR)):
            values = [getattr(record, f"{split}_{name}") for record in epochs]
            axes.plot(
                numbers,
                values,
                color=colour,
                marker=marker,
                markersize=3.5,
                label=f"{split} {values[-1]:.4f}",
            )
        axes.set_title(name.capitalize())
        axes.set_xlabel("epoch")
        axes.set_ylabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(title="after the last epoch", frameon=False)
    figure.supxlabel(
        "train: means over the epoch as trained on, with dropout and augmentation; validation:"
        " without",
        fontsize=8,
    )
    return _png(figure)


def confusion_matrix_png(confusion: NDArray[np.int64], class_names: Sequence[str]) -> bytes:
    """Counts of true (rows) and predicted (columns) classes, coloured by their share of the true
    class.
    """
    classes = len(class_names)
    # A cell's side is in inches.
    cell = min(0.9, max(0.28, 7 / classes))
    side = cell * min(classes, COUNTED_CLASSES)
    figure = _figure(side + 2, side + 2)
    axes = figure.add_subplot()
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if classes <= COUNTED_CLASSES:
        digits = len(str(confusion.max()))
        # A digit is about 0.6 of its size wide.
        font_size = min(11, cell * 72 / (0.7 * digits + 0.6))
        for row, column in np.argwhere(confusion):
            colour = "white" if shares[row, column] > 0.55 else "black"
            count = str(confusion[row, column])
            axes.text(
                column, row, count, ha="center", va="center", color=colour, fontsize=font_size
            )
    labelled = np.arange(0, classes, -(-classes // COUNTED_CLASSES))
    names = [label for index, label in enumerate(_labels(class_names)) if index in labelled]
    label_size = min(10, cell * 72 * 0.7)
    upright = 90 if max(map(len, names)) * label_size * 0.7 > cell * 72 else 0
    fonts = _fonts()
    axes.set_xticks(
        labelled, names, fontsize=label_size, rotation=upright, family=fonts, parse_math=False
    )
    axes.set_yticks(labelled, names, fontsize=label_size, family=fonts, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    right, images = int(confusion.trace()), int(confusion.sum())
    axes.set_title(
        f"{right:,} of {images:,} right ({right / images:.2%})\ncolour: share of the true class",
        fontsize=10,
    )
    return _png(figure)


def wrong_images_png(wrong: Sequence[WrongImage], class_names: Sequence[str]) -> bytes:
    """A sheet of the images, one or more, each with "true -> predicted (confidence)", in the order
    given.
    """
    columns = min(SHEET_COLUMNS, len(wrong))
    rows = -(-len(wrong) // columns)
    # The pixels are those of a cell, and above all cells.
    width, height, head = CELL_PIXELS + 60, CELL_PIXELS + 44, 40
    pixels = (max(columns * width, 420), rows * height + head)
    figure = _figure(pixels[0] / DOTS_PER_INCH, pixels[1] / DOTS_PER_INCH, layout=None)
    figure.text(
        0.5,
        1 - head / 2 / pixels[1],
        "Most confident mistakes: true → predicted (confidence)",
        ha="center",
    )
    names, fonts = _labels(class_names), _fonts()
    for place, image in enumerate(wrong):
        left = place % columns * width + width // 2
        top = head + place // columns * height
        picture = _fitted(image.pixels)
        figure.figimage(
            np.asarray(picture),
            left - picture.width // 2,
            pixels[1] - top - (CELL_PIXELS + picture.height) // 2,
        )
        true, predicted = names[image.true], names[image.predicted]
        gap = " " if len(true + predicted) <= 10 else "\n"
        figure.text(
            left / pixels[0],
            1 - (top + CELL_PIXELS + 6) / pixels[1],
            f"{true}{gap}→ {predicted} ({image.confidence:.0%})",
            ha="center",
            va="top",
            fontsize=8,
            family=fonts,
            parse_math=False,
        )
    return _png(figure)


def _fitted(pixels: NDArray[np.uint8]) -> "Image":
    # (C, H, W) as large as fits into a cell: whole pixels of a small image, a smaller copy of a
    # large one.
    from PIL import Image

    grey = pixels.shape[0] == 1
    image = Image.fromarray(
        pixels[0] if grey else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    ).convert("RGB")
    scale = CELL_PIXELS / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)


def _figure(
    width_inches: float, height_inches: float, layout: Literal["compressed"] | None = "compressed"
) -> "Figure":
    # A figure of its own: pyplot would keep it, and ask for a screen.
    from matplotlib.figure import Figure

    return Figure((width_inches, height_inches), dpi=DOTS_PER_INCH, layout=layout)


def _png(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    # savefig would draw it twice.
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return content.getvalue()


def _fonts() -> list[str]:
    """The families to draw names in: the first that has a character draws it."""
    from matplotlib import font_manager

    installed = font_manager.get_font_names()
    return ["DejaVu Sans", *(family for family in _FALLBACK_FONTS if family in installed)]


def _labels(class_names: Sequence[str]) -> list[str]:
    """The names of the classes as pictures show them: cut, and by number where no font has a
    character of them.
    """
    from matplotlib import font_manager

    drawable: set[int] = set()
    for family in _fonts():
        drawable.update(font_manager.get_font(font_manager.findfont(family)).get_charmap())
    return [
        (
            (name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…")
            if all(ord(character) in drawable for character in name)
            else f"class {index}"
        )
        for index, name in enumerate(class_names)
    ]
