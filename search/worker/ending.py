"""How a trial ends, and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from objectives.errors import is_out_of_memory
from objectives.predicted import Predicted
from storage.leases.ending import Cause, Outcome
from storage.predictions import SplitName, SplitPredictions


@dataclass(frozen=True)
class Ending:
    """What is recorded of a trial's end, with `attributes` as JSON texts."""

    outcome: Outcome
    value: float | None
    cause: Cause | None = None
    # The reason says the cause in words, with its particulars.
    reason: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    # These are of the validation split.
    predictions: Predicted | None = None
    # This function records what else belongs into the same transaction.
    also: Callable[[Connection], None] = lambda connection: None


def recorded_answers(split: SplitName, answered: Predicted) -> SplitPredictions:
    """What a network answered, as the database keeps it."""
    return SplitPredictions(
        split,
        answered.split_sha256,
        answered.labels,
        answered.classes,
        answered.true_probabilities,
    )


def reason_of(error: Exception) -> str:
    """An error in one line that every database holds."""
    # No database holds a zero character, or the surrogates that stand for bytes of a path that are
    # not UTF-8.
    text = (
        str(error)
        .strip()
        .partition("\n")[0]
        .replace("\0", "\\x00")
        .encode(errors="backslashreplace")
        .decode()
    )
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"out of memory: {said}" if is_out_of_memory(error) else said
