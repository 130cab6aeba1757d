"""A cell of a simulation: what is drawn, how often, and which figures it is to reach."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np


@dataclass(frozen=True)
class Figure:
    """A mean over the draws, in percent or points: what it is, and where it should lie."""

    what: str
    low: float = -inf
    high: float = inf
    unit: str = "%"

    @property
    def wanted(self) -> str:
        """The limits, as the table has them."""
        if self.low == -inf:
            return "" if self.high == inf else f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high == inf else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Cell:
    """Draws that are alike; each gives one number for every figure, NaN where it says nothing."""

    name: str
    draws: int
    figures: tuple[Figure, ...]
    draw: Callable[[np.random.Generator], Sequence[float]]

    def rows(self, quick: bool) -> list[str]:
        """The table's rows; `quick` takes a fiftieth of the draws."""
        started = time.perf_counter()
        draws = max(20, self.draws // 50) if quick else self.draws
        random = np.random.default_rng([ord(letter) for letter in self.name])
        found = 100 * np.array([self.draw(random) for _ in range(draws)], float)
        seconds = time.perf_counter() - started
        rows = []
        for figure, numbers in zip(self.figures, found.T, strict=True):
            known = numbers[np.isfinite(numbers)]
            if len(known) == 0:
                continue
            mean, error = float(known.mean()), float(known.std()) / sqrt(len(known))
            digits = 1 if figure.unit == "%" else 3
            outside = max(figure.low - mean, mean - figure.high)
            missed = " **not reached**" if outside > 2 * error else ""
            if 0 < outside <= 2 * error:
                missed = " (outside by chance, may be)"
            rows.append(
                f"| {self.name} | {figure.what} | {figure.wanted} |"
                f" {mean:.{digits}f}{missed} | {error:.{digits}f} | {figure.unit} | {len(known)} |"
            )
        print(f"{self.name}: {draws} draws, {seconds:.0f} s", file=sys.stderr)
        return rows
