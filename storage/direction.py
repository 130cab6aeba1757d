"""Which way the metric of a study is better, and the one order of trials that follows from it."""

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Help, completion and specs know directions and need no database.
    from sqlalchemy import ColumnElement, UnaryExpression


class Direction(StrEnum):
    """Its text is that of Optuna, and of `compare --json`.

    >>> Direction.UP.is_better(0.9, than=0.8), Direction("minimize").best([0.9, 0.8])
    (True, 0.8)
    """

    UP = "maximize"
    DOWN = "minimize"

    @property
    def is_up(self) -> bool:
        """Whether higher is better."""
        return self is Direction.UP

    def raised(self, value: float) -> float:
        """The value, turned so that higher is better; twice is as it was."""
        return value if self.is_up else -value

    def is_better(self, value: float, than: float) -> bool:
        """Whether one value is better than another, and not as good."""
        return self.raised(value) > self.raised(than)

    def best(self, values: Iterable[float]) -> float | None:
        """The best value; `None` where there is none."""
        return max(values, key=self.raised, default=None)

    def worst(self, values: Iterable[float]) -> float | None:
        """The worst value; `None` where there is none."""
        return min(values, key=self.raised, default=None)

    def order(
        self, value: float | None, validation_loss: float | None, number: int
    ) -> tuple[float, float, int]:
        """Sorts trials, the best first: by value, of equal ones by lower validation loss, then by
        lower number. What is not there is worse than all that is.
        """
        return (
            math.inf if value is None else -self.raised(value),
            math.inf if validation_loss is None else validation_loss,
            number,
        )

    def sql_order(
        self,
        value: "ColumnElement[float]",
        validation_loss: "ColumnElement[float | None]",
        number: "ColumnElement[int]",
    ) -> "tuple[ColumnElement[Any] | UnaryExpression[Any], ...]":
        """The same order, for trials that have a value, as what to ORDER BY."""
        by_value = value.desc() if self.is_up else value.asc()
        return by_value, validation_loss.is_(None), validation_loss, number

    def reached(self, value: "ColumnElement[float]", target: float) -> "ColumnElement[bool]":
        """Whether a value is the target, or better."""
        return value >= target if self.is_up else value <= target
