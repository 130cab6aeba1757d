"""Image files as other programs write them, by their specifications: Pillow itself does not write
them all.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

# TIFF numbers the formats of samples so.
UNSIGNED, SIGNED, FLOATS = 1, 2, 3
# PNG numbers the types of colour so.
GREY, COLOUR, GREY_AND_ALPHA, COLOUR_AND_ALPHA = 0, 2, 4, 6


def png_16_bits(pixels: NDArray[np.uint16], colour_type: int, transparent: bytes = b"") -> bytes:
    """A PNG of pixels (H, W) or (H, W, C); `transparent` is the content of its tRNS."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            len(content).to_bytes(4, "big")
            + kind
            + content
            + zlib.crc32(kind + content).to_bytes(4, "big")
        )

    height, width = pixels.shape[:2]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    colour = chunk(b"tRNS", transparent) if transparent else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + colour
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff(
    pixels: NDArray[np.generic],
    sample_format: int = UNSIGNED,
    *,
    order: str = "<",
    deflated: bool = False,
    orientation: int = 1,
) -> bytes:
    """A TIFF of one strip of pixels (H, W) or (H, W, C), in that byte order, as they lie in the
    file.
    """
    height, width = pixels.shape[:2]
    bands = pixels.shape[2] if pixels.ndim == 3 else 1
    content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()  # type: ignore[call-overload]
    content = zlib.compress(content) if deflated else content
    short, long = 3, 4
    entries: list[tuple[int, int, list[int]]] = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [pixels.dtype.itemsize * 8] * bands),
        (259, short, [8 if deflated else 1]),
        (262, short, [2 if bands >= 3 else 1]),
        (273, long, [0]),
        (274, short, [orientation]),
        (277, short, [bands]),
        (278, long, [height]),
        (279, long, [len(content)]),
        # The fourth band is opacity.
        *([(338, short, [2])] if bands == 4 else []),
        (339, short, [sample_format] * bands),
    ]
    beside_at = 8 + 2 + 12 * len(entries) + 4
    sizes = {short: "H", long: "I"}
    packed = [
        struct.pack(f"{order}{len(values)}{sizes[kind]}", *values) for _, kind, values in entries
    ]
    strip_at = beside_at + sum(len(each) for each in packed if len(each) > 4)
    directory, beside = b"", b""
    for (tag, kind, values), each in zip(entries, packed, strict=True):
        value = struct.pack(f"{order}I", strip_at) if tag == 273 else each
        if len(each) > 4:
            value = struct.pack(f"{order}I", beside_at + len(beside))
            beside += each
        directory += struct.pack(f"{order}HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, len(entries))
    return head + directory + bytes(4) + beside + content
