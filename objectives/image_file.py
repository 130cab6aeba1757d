"""One image file: what its header says, and its pixels."""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")


@dataclass(frozen=True)
class Header:
    """What is known of an image before it is decoded."""

    size: tuple[int, int]  # height, width, of the upright image
    grey: bool


def read_header(path: Path) -> Header | None:
    """`None` where the file holds no image, or cannot be opened."""
    try:
        with Image.open(path) as image:
            size = (image.height, image.width)
            if image.width != image.height and image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8):
                size = (image.width, image.height)  # it lies on its side
            return Header(size, image.mode in GREY_MODES)
    except MemoryError:  # says nothing of the file
        raise
    except Exception:  # PIL's decoders raise whatever they run into
        return None


def read_pixels(path: Path, into: NDArray[np.uint8]) -> bytes | None:
    """Writes the file's pixels into `into` (C, H, W); gives the file's SHA-256, or `None` where it holds no image.

    An image is turned as its EXIF orientation says; of several frames the first is taken. Of 16 bits the upper 8 are
    kept (grey ones are rounded), floats are taken as 0 to 255, and what is transparent is laid on white.

    Raises OSError where the file cannot be opened.
    """
    content = path.read_bytes()
    try:
        with Image.open(BytesIO(content)) as image:
            ImageOps.exif_transpose(image, in_place=True)
            into[:] = fitted(_plain(image, "L" if into.shape[0] == 1 else "RGB"), *into.shape[1:])
    except MemoryError:
        raise
    except Exception:  # PIL's decoders raise whatever they run into
        return None
    return hashlib.sha256(content).digest()


def fitted(picture: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    """The largest centred part of that aspect ratio, resampled to (C, height, width); no change where it fits."""
    if picture.size != (width, height):
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)  # PIL's bilinear is antialiased
    return np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1)


def _plain(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    if image.mode.startswith("I"):
        sixteen_bits = np.asarray(image).clip(0, 65535)
        image = Image.fromarray((sixteen_bits / 257).round().astype(np.uint8))  # 65535 / 257 = 255
    elif image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)
