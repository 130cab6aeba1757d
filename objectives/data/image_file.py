"""One image file: what its header says, and its pixels."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from objectives.data.pixels import (
    BITS_16,
    BITS_32,
    FLOATS,
    SIGNED_8_BITS,
    Extent,
    PixelNumbers,
    PixelScale,
    extent_of,
    has_lost_levels,
    scale_for,
    to_8_bits,
)
from objectives.names import RESIZES

EXTENSIONS = (
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pbm",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
# An image whose pixels differ by less, of 256 levels, shows nothing.
LITTLE_CONTRAST = 8
# A difference hash has so many bits a side.
HASH_SIDE = 8

CROP, PAD, STRETCH = RESIZES
# Pillow's bilinear is antialiased.
_BILINEAR = Image.Resampling.BILINEAR
_Resize = Callable[[Image.Image, tuple[int, int]], Image.Image]
_RESIZES: dict[str, _Resize] = {
    CROP: partial(ImageOps.fit, method=_BILINEAR),
    PAD: partial(ImageOps.pad, method=_BILINEAR, color="black"),
    STRETCH: lambda picture, size: picture.resize(size, _BILINEAR),
}

# The numbers are those of https://exiftool.org/TagNames/EXIF.html, Orientation.
_ON_THEIR_SIDE = (5, 6, 7, 8)
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_SAMPLE_FORMAT = 256, 257, 339
# TIFF numbers the formats of samples so.
_UNSIGNED, _SIGNED = 1, 2
# Pillow keeps the upper byte of 16 bits in colour. Told that the bytes come in the other order, it
# keeps the lower one.
_OTHER_ORDER = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
_COLOURS_OF_16_BITS = {
    f"{bands};{order}": f"{bands};{other}"
    for bands in ("RGB", "RGBA")
    for order, other in _OTHER_ORDER.items()
}
_GREY_AND_ALPHA_OF_16_BITS = "LA;16B"


@dataclass(frozen=True)
class Header:
    """What is known of an image before it is decoded."""

    # The size is height and width of the upright image.
    size: tuple[int, int]
    grey: bool
    # The kind is that of its pixels in objectives.data.pixels; None: 8 bits.
    kind: str | None


@dataclass(frozen=True)
class Read:
    """What was learnt of a file while its pixels were read."""

    # The digest is the file's SHA-256.
    digest: bytes
    # The look is a difference hash of 64 bits: near-copies share it; 0 where there is nothing to be
    # seen.
    look: int
    # Its pixels have next to no distinct values.
    shows_nothing: bool


@dataclass(frozen=True)
class Unread:
    """A file that holds no image, and why."""

    reason: str


@dataclass(frozen=True, eq=False)
class Decoded:
    """A picture that has been read, of 8 bits a channel and upright, before it was resized."""

    picture: Image.Image
    # Values beyond the scale of its kind were cut off, or came out as next to no distinct ones.
    has_lost: bool


@dataclass(frozen=True)
class Surveyed:
    """What an image that is not of 8 bits holds: the scale of its kind depends on it."""

    # The digest is the file's SHA-256.
    digest: bytes
    extent: Extent


def read_header(path: Path) -> Header | None:
    """`None` where the file holds no image, or cannot be opened."""
    try:
        with Image.open(path) as image:
            # The kind comes first: to ask a PNG for its orientation reads its pixels, and forgets
            # how they lay.
            kind = _kind(image)
            return Header(_upright_size(image), image.mode in GREY_MODES, kind)
    # A lack of memory says nothing of the file.
    except MemoryError:
        raise
    # Pillow's decoders raise whatever they run into.
    except Exception:
        return None


def survey(path: Path) -> Surveyed | Unread:
    """What an image holds whose kind of pixel is another than 8 bits. Raises OSError where it
    cannot be opened.
    """
    content = path.read_bytes()
    try:
        wide = _read_wide(content)
        return Surveyed(hashlib.sha256(content).digest(), extent_of(wide.kind, wide.values))
    except MemoryError:
        raise
    except Exception as error:
        return Unread(_reason(error, content))


def read_pixels(
    path: Path, into: NDArray[np.uint8], scales: Mapping[str, PixelScale], resize: str = CROP
) -> Read | Unread:
    """Writes the pixels into `into` (C, H, W) as `decode` does, and looks at what they show.

    Raises OSError where the file cannot be opened.
    """
    content = path.read_bytes()
    decoded = decode(content, into, scales, resize)
    if isinstance(decoded, Unread):
        return decoded
    is_flat = int(into.max()) - int(into.min()) < LITTLE_CONTRAST
    look = 0 if is_flat else difference_hash(decoded.picture)
    return Read(hashlib.sha256(content).digest(), look, is_flat or decoded.has_lost)


def decode(
    content: bytes, into: NDArray[np.uint8], scales: Mapping[str, PixelScale], resize: str = CROP
) -> Decoded | Unread:
    """Writes the pixels of a file's content into `into` (C, H, W), brought to that size as `resize`
    says (see fitted).

    An image is turned as its EXIF orientation says; of several frames the first is taken. Pixels of
    8 bits stay as they are, others are scaled by their kind (see objectives.data.pixels), and what
    is transparent is laid on white.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            if _kind(image) is not None:
                picture, has_lost = _scaled(_read_wide(content), scales)
            else:
                ImageOps.exif_transpose(image, in_place=True)
                picture, has_lost = _on_white(image), False
        mode = "L" if into.shape[0] == 1 else "RGB"
        height, width = into.shape[1:]
        picture_of_mode = picture if picture.mode == mode else picture.convert(mode)
        into[:] = fitted(picture_of_mode, height, width, resize)
    except MemoryError:
        raise
    except Exception as error:
        return Unread(_reason(error, content))
    return Decoded(picture, has_lost)


def fitted(picture: Image.Image, height: int, width: int, resize: str = CROP) -> NDArray[np.uint8]:
    """The picture resampled to (C, height, width); no change where it has that size.

    `crop` keeps the largest centred part of that aspect ratio, `pad` all of it, with black on both
    sides, and `stretch` all of it in another aspect ratio.
    """
    if picture.size != (width, height):
        picture = _RESIZES[resize](picture, (width, height))
    return np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1)


def cut_away(size: tuple[int, int], height: int, width: int) -> float:
    """The share of an image of that size (height, width) that `crop` leaves out.

    >>> cut_away((300, 400), 64, 64), cut_away((64, 64), 32, 32)
    (0.25, 0.0)
    """
    across, along = size[0] * width, size[1] * height
    return 1 - min(across, along) / max(across, along)


def difference_hash(picture: Image.Image) -> int:
    """64 bits of a picture: which of 8 x 9 mean greys is brighter than its left neighbour; 0 of a
    smaller picture.

    Copies that were saved anew, at another size or with another compression, mostly share it.
    Source: N. Krawetz, "Kind of Like That", hackerfactor.com, 2013.
    """
    width, height = HASH_SIDE + 1, HASH_SIDE
    if picture.width < width or picture.height < height:
        return 0
    small = picture.resize((width, height), Image.Resampling.BOX, reducing_gap=2.0)
    greys = np.asarray(small.convert("L"))
    return int.from_bytes(np.packbits(greys[:, 1:] > greys[:, :-1]).tobytes(), "big")


# --- what Pillow says of an image


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width once it is turned as its orientation says."""
    width, height = image.size
    # The reader of TIFF turns the image by itself, and may say so before it has.
    if isinstance(image, TiffImageFile):
        width, height = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
    if width != height and image.getexif().get(ExifTags.Base.Orientation) in _ON_THEIR_SIDE:
        return width, height
    return height, width


def _kind(image: Image.Image) -> str | None:
    """The kind of its pixels; `None` for 8 bits."""
    if image.mode.startswith("I;16") or _raw_mode(image) in (
        *_COLOURS_OF_16_BITS,
        _GREY_AND_ALPHA_OF_16_BITS,
    ):
        return BITS_16
    if image.mode == "L" and _sample_format(image) == _SIGNED:
        return SIGNED_8_BITS
    return {"I": BITS_32, "F": FLOATS}.get(image.mode)


def _raw_mode(image: Image.Image) -> str | None:
    """How the pixels lie in the file, in Pillow's words."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    found = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return found if isinstance(found, str) else None


def _sample_format(image: Image.Image) -> int | None:
    """Of a TIFF, whether its numbers are signed."""
    if not isinstance(image, TiffImageFile):
        return None
    formats: tuple[int, ...] = image.tag_v2.get(_TIFF_SAMPLE_FORMAT, (_UNSIGNED,))
    return formats[0]


def _reason(error: Exception, content: bytes) -> str:
    """Why a file holds no image, on one line."""
    if not content:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "it holds no image that Pillow reads"
    return " ".join(str(error).split()) or type(error).__name__


# --- pixels


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))


@dataclass(frozen=True, eq=False)
class _Wide:
    """An upright image whose pixels are not of 8 bits."""

    kind: str
    # The values have shape (H, W) where the image is grey, else (H, W, 3).
    values: PixelNumbers
    # The opacity has shape (H, W); None: all of it is opaque.
    opacity: NDArray[np.uint8] | None


def _read_wide(content: bytes) -> _Wide:
    with Image.open(BytesIO(content)) as image:
        kind, raw_mode, sample_format = _kind(image), _raw_mode(image), _sample_format(image)
        if kind is None:
            raise ValueError("its pixels are of 8 bits")
        transparent = image.info.get("transparency")
    if raw_mode in _COLOURS_OF_16_BITS:
        values, opacity = _colours_of_16_bits(content)
    elif raw_mode == _GREY_AND_ALPHA_OF_16_BITS:
        bands = _upright(content, {_GREY_AND_ALPHA_OF_16_BITS: "RGBA"}).astype(np.uint16)
        values, opacity = bands[..., 0] << 8 | bands[..., 1], bands[..., 2].astype(np.uint8)
    else:
        values, opacity = _upright(content), None
        if kind == SIGNED_8_BITS:
            values = values.view(np.int8)
        elif kind == BITS_32 and sample_format == _UNSIGNED and values.dtype == np.int32:
            values = values.view(np.uint32)
    # A PNG may name one colour that is transparent.
    if opacity is None and isinstance(transparent, int | tuple):
        is_transparent = np.atleast_3d(values == np.array(transparent)).all(-1)
        opacity = np.where(is_transparent, 0, 255).astype(np.uint8)
    return _Wide(kind, values, opacity)


def _colours_of_16_bits(content: bytes) -> tuple[PixelNumbers, NDArray[np.uint8] | None]:
    upper, lower = (
        _upright(content, instead).astype(np.uint16) for instead in (None, _COLOURS_OF_16_BITS)
    )
    values = upper << 8 | lower
    return values[..., :3], upper[..., 3].astype(np.uint8) if upper.shape[-1] == 4 else None


def _upright(content: bytes, instead: Mapping[str, str] | None = None) -> PixelNumbers:
    """Pillow's array of an image, its pixels read as if they lay in the file otherwise where
    `instead` says so.
    """
    with Image.open(BytesIO(content)) as image:
        if instead is not None:
            for place, (codec, extents, offset, arguments) in enumerate(image.tile):
                given = arguments if isinstance(arguments, tuple) else (arguments,)
                changed = (instead[str(given[0])], *given[1:])
                whole = changed if isinstance(arguments, tuple) else changed[0]
                image.tile[place] = type(image.tile[place])(codec, extents, offset, whole)
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image)


def _scaled(wide: _Wide, scales: Mapping[str, PixelScale]) -> tuple[Image.Image, bool]:
    """The image in 8 bits, on white, and whether next to nothing is left of it."""
    scaled = to_8_bits(wide.values, scale_for(wide.kind, scales))
    picture = Image.fromarray(scaled)
    if wide.opacity is not None:
        picture.putalpha(Image.fromarray(wide.opacity))
    return _on_white(picture), has_lost_levels(wide.values, scaled)
