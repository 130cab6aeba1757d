"""The card's lines turn a file into the answer that the package gives, without the package."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.export.model import open_folder
from search.export.predicting import predictions
from search.export.walking import find_images
from tests.objectives.data.image_writers import GREY, png_16_bits, tiff

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
    (folder / "16-bits.tif").write_bytes(tiff(deep, order=">", orientation=6))
    (folder / "floats.tif").write_bytes(tiff(random.rand(25, 40).astype(np.float32), 3))


def test_the_lines_answer_as_predict_does_on_odd_images(exported: Path, tmp_path: Path) -> None:
    odd_images(tmp_path)
    card = (exported / "README.md").read_text(encoding="utf-8")
    code = card.partition("```python\n")[2].partition("```")[0]
    expected = list(predictions(open_folder(exported, "cpu", "onnx"), find_images([tmp_path])))
    assert len(expected) == 16
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT + code, *(each.path for each in expected)],
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


def test_the_lines_are_about_a_dozen(exported: Path) -> None:
    code = (exported / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert len([line for line in code.splitlines() if line]) <= 18
