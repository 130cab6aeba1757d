"""How numbers of image files become 8 bits: by kind of pixel, from what the training part holds; no
torch.

Images of 8 bits stay as they are. Others come from instruments that fill a part of their range: of
12 bits stored in 16 there would be 16 levels left of 256 if the whole range of 16 bits were brought
to 8.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNED_8_BITS, BITS_16, BITS_32, FLOATS = "signed 8 bits", "16 bits", "32 bits", "floats"
# The largest numbers of 8, 10, 12, 14 and 16 bits: what cameras, scanners and detectors count to.
FULL_SCALES = (255, 1023, 4095, 16383, 65535)
# A kind of which the training part has no image has its whole range, as nothing is known of it.
WHOLE_RANGES = {
    SIGNED_8_BITS: (-128.0, 127.0),
    BITS_16: (0.0, 65535.0),
    BITS_32: (0.0, 65535.0),
    FLOATS: (0.0, 1.0),
}
# The different values of at most so many pixels of an image are counted.
SAMPLED = 65536

PixelNumbers = NDArray[np.integer] | NDArray[np.floating]


@dataclass(frozen=True)
class PixelScale:
    """Pixels of one kind become round(255 * (value - low) / (high - low)), cut off at 0 and 255."""

    kind: str
    low: float
    high: float


@dataclass(frozen=True)
class Extent:
    """The smallest and the largest finite number of an image of some kind."""

    kind: str
    low: float
    high: float


def extent_of(kind: str, values: PixelNumbers) -> Extent:
    """Of an image with any finite number; without one its extent is 0 to 0."""
    finite = values[np.isfinite(values)] if kind == FLOATS else values
    return (
        Extent(kind, float(finite.min()), float(finite.max()))
        if finite.size
        else Extent(kind, 0.0, 0.0)
    )


def scales_of(training: Iterable[Extent]) -> tuple[PixelScale, ...]:
    """The scale of each kind, in the order of their names, from the extents of the training part's
    images.

    Whole numbers are divided by the smallest of FULL_SCALES that holds the largest of them, or by
    that one itself where none does; where there are negative ones all are shifted up by the
    smallest. Floats within 0..1 keep that range, others are brought from theirs.

    >>> scales_of([Extent("16 bits", 3, 4000), Extent("floats", 0.1, 0.9)])
    (PixelScale(kind='16 bits', low=0.0, high=4095.0), PixelScale(kind='floats', low=0.0, high=1.0))
    >>> scales_of([Extent("32 bits", -100, 150)])
    (PixelScale(kind='32 bits', low=-100.0, high=155.0),)
    """
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for extent in training:
        lows[extent.kind] = min(extent.low, lows.get(extent.kind, extent.low))
        highs[extent.kind] = max(extent.high, highs.get(extent.kind, extent.high))
    return tuple(_scale(kind, lows[kind], highs[kind]) for kind in sorted(lows))


def _scale(kind: str, low: float, high: float) -> PixelScale:
    if kind == FLOATS:
        return PixelScale(kind, 0.0, 1.0) if low >= 0 and high <= 1 else PixelScale(kind, low, high)
    low = min(low, 0.0)
    holds = next((float(full) for full in FULL_SCALES if full >= high - low), high - low)
    return PixelScale(kind, low, low + holds)


def scale_for(kind: str, scales: Mapping[str, PixelScale]) -> PixelScale:
    """That of the kind, or its whole range where the training part has no image of it."""
    return scales.get(kind) or PixelScale(kind, *WHOLE_RANGES[kind])


def to_8_bits(values: PixelNumbers, scale: PixelScale) -> NDArray[np.uint8]:
    """The numbers of one image brought to 0..255; what is not a number becomes 0, infinities the
    ends.
    """
    span = scale.high - scale.low
    if span <= 0:
        return np.zeros(values.shape, dtype=np.uint8)
    shares = (np.nan_to_num(values.astype(np.float64), nan=scale.low) - scale.low) / span
    levels: NDArray[np.uint8] = np.rint(255 * shares.clip(0, 1)).astype(np.uint8)
    return levels


def has_lost_levels(values: PixelNumbers, scaled: NDArray[np.uint8]) -> bool:
    """Whether next to nothing is left of an image: 16 different values or fewer of more than twice
    as many.
    """
    step = max(1, values.size // SAMPLED)
    left = len(np.unique(scaled.ravel()[::step]))
    return left <= 16 and len(np.unique(values.ravel()[::step])) > 2 * left
