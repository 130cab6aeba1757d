"""The card's lines turn a file into the answer that the package gives, without the package."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.export.config import read_config
from search.export.lines_of_use import code
from search.export.model import open_folder
from search.export.predicting import predictions
from search.export.walking import find_images
from tests.objectives.data.image_writers import (
    COLOUR,
    COLOUR_AND_ALPHA,
    GREY,
    GREY_AND_ALPHA,
    png_16_bits,
    tiff,
)

# Whoever imports these finds nothing.
WITHOUT = """
import sys
for name in ("torch", "torchvision", "hypersearch", "search", "objectives", "models", "storage"):
    sys.modules[name] = None
"""
ORIENTATION = 0x0112


def odd_images(folder: Path) -> None:
    """Of each kind that a folder of images may hold."""
    random = np.random.RandomState(1)
    colours = random.randint(0, 256, (25, 40, 3)).astype(np.uint8)
    image = Image.fromarray(colours)
    for turn in (3, 6, 8):
        exif = Image.Exif()
        exif[ORIENTATION] = turn
        image.save(folder / f"turned-{turn}.jpg", exif=exif, quality=95)
    image.convert("L").save(folder / "grey.png")
    image.convert("1").save(folder / "black-and-white.png")
    image.convert("P", palette=Image.Palette.ADAPTIVE, colors=17).save(folder / "palette.png")
    image.quantize(16).save(folder / "clear-palette.png", transparency=3)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    alpha = random.randint(0, 256, (25, 40, 4)).astype(np.uint8)
    Image.fromarray(alpha).save(folder / "alpha.png")
    Image.fromarray(alpha).convert("LA").save(folder / "grey-alpha.png")
    image.resize((12, 10)).save(folder / "fits.webp", lossless=True)
    image.resize((200, 3)).save(folder / "wide.bmp")
    image.resize((3, 200)).save(folder / "tall.gif")
    deep = random.randint(0, 4096, (25, 40)).astype(np.uint16)
    (folder / "16-bits.png").write_bytes(png_16_bits(deep, GREY))
    # The pixels have 12 bits in 16, as the training images have: their upper halves alone are
    # nearly black.
    for name, kind in (
        ("colour", COLOUR),
        ("alpha", COLOUR_AND_ALPHA),
        ("grey-alpha", GREY_AND_ALPHA),
    ):
        bands = {COLOUR: 3, COLOUR_AND_ALPHA: 4, GREY_AND_ALPHA: 2}[kind]
        many = random.randint(0, 4096, (25, 40, bands)).astype(np.uint16)
        if kind != COLOUR:
            many[..., -1] *= 16
        (folder / f"16-bits-{name}.png").write_bytes(png_16_bits(many, kind))
    colours_of_12_bits = random.randint(0, 4096, (25, 40, 3)).astype(np.uint16)
    for order in ("<", ">"):
        name = f"16-bits-colour-{'little' if order == '<' else 'big'}.tif"
        (folder / name).write_bytes(tiff(colours_of_12_bits, order=order, orientation=8))
    holes = np.where(random.rand(25, 40) < 0.1, np.nan, random.rand(25, 40)).astype(np.float32)
    (folder / "holes.tif").write_bytes(tiff(holes, 3))
    (folder / "16-bits.tif").write_bytes(tiff(deep, order=">", orientation=6))
    (folder / "floats.tif").write_bytes(tiff(random.rand(25, 40).astype(np.float32), 3))


def test_the_lines_answer_as_predict_does_on_odd_images(exported: Path, tmp_path: Path) -> None:
    odd_images(tmp_path)
    card = (exported / "README.md").read_text(encoding="utf-8")
    lines = card.partition("```python\n")[2].partition("```")[0]
    expected = list(predictions(open_folder(exported, "cpu", "onnx"), find_images([tmp_path])))
    assert len(expected) == 22
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT + lines, *(each.path for each in expected)],
        cwd=exported,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    for line, each in zip(ended.stdout.splitlines(), expected, strict=True):
        path, name, probability = line.split("\t")
        assert each.error is None
        assert (path, name) == (each.path, each.predicted)
        assert float(probability) == pytest.approx(each.classes[0][1], abs=1e-5), path


def test_the_lines_are_about_a_dozen_and_more_where_16_bits_need_them(exported: Path) -> None:
    answering = read_config(exported)
    plain = replace(answering, pixels=replace(answering.pixels, scales=()))
    lines = [[line for line in code(each).splitlines() if line] for each in (plain, answering)]
    assert [len(each) for each in lines] == [19, 35]
