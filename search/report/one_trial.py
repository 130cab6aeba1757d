"""One trial whole, as text for a person and as a JSON document."""

from dataclasses import asdict

from objectives.costs import shown_cost
from search.analysis.comparison import Comparison, parameters
from search.report.documents import Json, trial_document
from search.report.tables import stacked, table, wrapped
from search.report.values import shown
from search.spec.durations import duration
from storage.errors import SHOWN_DIGITS
from storage.records import EpochRecord, TrialRecord

# Each column of a curve has a name and what it shows; where there is little room, the last ones
# give way.
_CURVE: dict[str, str] = {
    "train_loss": ".4f",
    "validation_loss": ".4f",
    "train_accuracy": ".4f",
    "validation_accuracy": ".4f",
    "validation_balanced_accuracy": ".4f",
    "validation_macro_f1": ".4f",
    "learning_rate": ".3g",
    "near_zero_share": ".3f",
    "images_per_second": ".0f",
    "seconds": ".2f",
}
_GIVES_WAY = (
    "images_per_second",
    "near_zero_share",
    "validation_balanced_accuracy",
    "validation_macro_f1",
    "seconds",
    "learning_rate",
    "train_accuracy",
    "train_loss",
)


def trial_text(comparison: Comparison, number: int, width: int) -> str:
    """`compare NAME --trial N`. Raises TrialNotFound."""
    trial, place = comparison.ranked(number)
    spec = comparison.spec
    value = "none" if trial.value is None else f"{trial.value:.4f}"
    lines = [
        f"study {spec.name}, trial {number}: {trial.state}, rank {place} of"
        f" {len(comparison.trials)}, validation {spec.metric} {value}",
        *([] if trial.reason is None else [f"reason: {trial.reason}"]),
        *_how_it_ran(trial),
        *(
            f"{name} {shown_cost(cost)}"
            for name, cost in zip(spec.minimize, trial.costs, strict=False)
        ),
    ]
    settings = [(name, shown(value)) for name, value in parameters(trial).items()]
    parts = ["\n".join(wrapped(line, width, "  ") for line in lines)]
    parts.append(
        table(("parameter", "value"), settings, width) if settings else "it has no parameters yet"
    )
    parts.append(_curve_text(trial.epochs, spec.metric, width))
    return "\n\n".join(parts)


def trial_whole_document(comparison: Comparison, number: int, *, timings: bool) -> dict[str, Json]:
    """`compare NAME --trial N --json`: the trial as in `compare --json`, its rank and its curve.
    Raises TrialNotFound.
    """
    trial, place = comparison.ranked(number)
    spec = comparison.spec
    curve = [
        {
            name: value
            for name, value in asdict(epoch).items()
            if timings or name not in ("seconds", "images_per_second")
        }
        for epoch in trial.epochs
    ]
    return {
        "study": spec.name,
        "metric": spec.metric,
        "direction": spec.direction,
        "rank": place,
        **trial_document(trial, timings, spec.minimize),
        "attempts": trial.attempts,
        "curve": curve,
    }


def _how_it_ran(trial: TrialRecord) -> list[str]:
    lines = [f"attempts: {trial.attempts}"]
    if trial.device is not None:
        threads = "" if trial.threads is None else f", threads: {trial.threads}"
        piece = "" if trial.piece is None else f", images at a time: {trial.piece}"
        lines.append(f"trained on: {trial.device}{threads}{piece}")
    if trial.epochs:
        lines.append(f"training took: {duration(sum(each.seconds for each in trial.epochs))}")
    if trial.due_epoch is not None:
        lines.append(f"audited: the pruner would have stopped it after epoch {trial.due_epoch}")
    if trial.data_fingerprint is not None:
        lines.append(f"data: {trial.data_fingerprint[:SHOWN_DIGITS]}")
    if trial.epochs and (gap := trial.epochs[-1].generalization_gap) is not None:
        lines.append(f"validation loss less training loss, after the last epoch: {gap:.4f}")
    return lines


def _curve_text(epochs: tuple[EpochRecord, ...], metric: str, width: int) -> str:
    if not epochs:
        return "it has no epoch yet"
    rows = [
        [str(each.epoch), *(f"{getattr(each, name):{how}}" for name, how in _CURVE.items())]
        for each in epochs
    ]
    spare = [stacked(name) for name in _GIVES_WAY if name != f"validation_{metric}"]
    return table(["epoch", *map(stacked, _CURVE)], rows, width, spare)
