"""Image files of every odd kind that docs/data.md names: turned, of 16 bits, with palettes, with
opacity, in CMYK, not square; as JPEG, PNG, TIFF and WebP.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Save = Callable[[Image.Image, Path, np.random.RandomState], None]
ORIENTATION = 0x0112


def _turned(image: Image.Image, path: Path, random: np.random.RandomState) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = int(random.randint(1, 9))
    image.save(path, exif=exif)


def _of_16_bits(image: Image.Image, path: Path, random: np.random.RandomState) -> None:
    grey = np.asarray(image.convert("L"), np.uint16)
    Image.fromarray(grey * 16 + random.randint(0, 16, grey.shape).astype(np.uint16)).save(path)


def _palette(image: Image.Image, path: Path, random: np.random.RandomState) -> None:
    colours = int(random.randint(2, 257))
    image.convert("P", palette=Image.Palette.ADAPTIVE, colors=colours).save(path)


def _clear_palette(image: Image.Image, path: Path, random: np.random.RandomState) -> None:
    image.quantize(16).save(path, transparency=int(random.randint(0, 16)))


def _alpha(image: Image.Image, path: Path, random: np.random.RandomState) -> None:
    opacity = random.randint(0, 256, (image.height, image.width)).astype(np.uint8)
    image.putalpha(Image.fromarray(opacity))
    image.save(path)


def _grey_alpha(image: Image.Image, path: Path, random: np.random.RandomState) -> None:
    opacity = Image.fromarray(random.randint(0, 256, image.size[::-1]).astype(np.uint8))
    grey = image.convert("L")
    grey.putalpha(opacity)
    grey.save(path)


def _as(mode: str) -> Save:
    return lambda image, path, random: image.convert(mode).save(path)


def _floats(image: Image.Image, path: Path, random: np.random.RandomState) -> None:
    Image.fromarray(np.asarray(image.convert("L"), np.float32) / 255).save(path)


KINDS: tuple[tuple[str, Save], ...] = (
    ("turned.jpg", _turned),
    ("cmyk.jpg", _as("CMYK")),
    ("grey.jpg", _as("L")),
    ("turned.png", _turned),
    ("16-bits.png", _of_16_bits),
    ("palette.png", _palette),
    ("clear-palette.png", _clear_palette),
    ("alpha.png", _alpha),
    ("grey-alpha.png", _grey_alpha),
    ("black-and-white.png", _as("1")),
    ("turned.tif", _turned),
    ("16-bits.tif", _of_16_bits),
    ("cmyk.tif", _as("CMYK")),
    ("alpha.tif", _alpha),
    ("floats.tif", _floats),
    ("palette.tif", _palette),
    ("turned.webp", _turned),
    ("alpha.webp", _alpha),
    ("lossy.webp", _as("RGB")),
)


def write_odd_images(images: list[Path], folder: Path, count: int) -> None:
    """So many files, made of these images, each of the next kind and cut to a shape of its own."""
    random = np.random.RandomState(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        name, save = KINDS[number % len(KINDS)]
        with Image.open(images[int(random.randint(len(images)))]) as image:
            size = int(random.randint(20, 200)), int(random.randint(20, 200))
            save(image.convert("RGB").resize(size), folder / f"{number:04}-{name}", random)
