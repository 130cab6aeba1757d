"""What a phase is given, and what it gives: results, one after another; no torch."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Expected:
    """Between what numbers a figure was predicted to lie, before anything was measured.

    >>> Expected(230e3, 290e3).beside(241e3), Expected(0.9).beside(0.7)
    ('predicted 230,000 to 290,000, as measured', 'predicted 0.9 or more, measured less')
    """

    low: float
    high: float | None = None

    def beside(self, value: float) -> str:
        """The prediction as a line says it, and on which side of it `value` lies."""
        if self.high is None:
            said = f"{number(self.low)} or more"
        elif self.high == self.low:
            said = number(self.low)
        else:
            said = f"{number(self.low)} to {number(self.high)}"
        # A single number is met within a tenth of it.
        low, high = (
            (0.9 * self.low, 1.1 * self.low) if self.high == self.low else (self.low, self.high)
        )
        if value < low:
            return f"predicted {said}, measured less"
        if high is not None and value > high:
            return f"predicted {said}, measured more"
        return f"predicted {said}, as measured"


def number(value: float) -> str:
    """As people read it: three digits, or all of a large one.

    >>> number(230e3), number(0.912345), number(19.0)
    ('230,000', '0.912', '19')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


@dataclass(frozen=True)
class Result:
    """One line of a phase."""

    # The name says what was measured.
    name: str
    # The text says what came of it.
    said: str
    # The figures are the numbers in it, by name and unit.
    figures: Mapping[str, float] = field(default_factory=dict)
    # The first figure is compared with it.
    expected: Expected | None = None
    # Details are left out first where lines are too many.
    is_detail: bool = False

    def line(self) -> str:
        """As it is printed."""
        beside = (
            ""
            if self.expected is None
            else f"; {self.expected.beside(next(iter(self.figures.values())))}"
        )
        return f"{self.name}: {self.said}{beside}"


@dataclass(frozen=True)
class Lab:
    """Where a phase measures, how long it may, and where it may leave files."""

    # The device is as the command line of hypersearch takes it.
    device: str
    # A quick phase is so small that a CPU does it in a second, to see that it can be done.
    is_quick: bool
    folder: Path
    # The moment is one of time.monotonic().
    ends_at: float

    @property
    def on_cuda(self) -> bool:
        """Whether there is a prediction to compare with."""
        return self.device.startswith("cuda")

    def seconds_left(self) -> float:
        """Until the phase is stopped."""
        return self.ends_at - time.monotonic()

    def attempt(self, name: str, measure: Callable[[], Result]) -> Result:
        """What `measure` gives, or of what it failed: one case does not take the others with it."""
        try:
            return measure()
        # A device, its driver and its libraries may object to anything.
        except Exception as error:
            return failure(name, error)


def failure(name: str, error: BaseException) -> Result:
    """An error in one line."""
    return Result(
        name, f"failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    )


def rate(
    name: str,
    images_per_second: float,
    batch_size: int,
    more: str = "",
    expected: Expected | None = None,
) -> Result:
    """Of a training: images a second, and how long a step of so many takes."""
    step_us = 1e6 * batch_size / images_per_second
    said = f"{images_per_second:,.0f} images/s, {step_us:,.0f} us a step" + (
        f", {more}" if more else ""
    )
    return Result(
        name, said, {"images_per_second": images_per_second, "step_us": step_us}, expected
    )
