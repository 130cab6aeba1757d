"""How numbers of an image file become 8 bits; no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PixelScale:
    """Pixels of one kind become round(255 * (value - low) / (high - low)), cut off at 0 and 255."""

    kind: str  # of pixels.KINDS
    low: float
    high: float
