"""Several studies, or all their trials, in one answer: text, JSON and CSV."""

import csv
import json
from collections.abc import Sequence
from io import StringIO

from search.analysis.comparison import Comparison, SideBySide, parameters
from search.analysis.equal_budget import Standing
from search.report.documents import (
    Json,
    compare_document,
    finite,
    incumbent_document,
    trial_document,
)
from search.report.tables import NO_TERMINAL_COLUMNS, table, wrapped
from search.space.parameters import PARAMETERS
from search.spec.document import Toml
from storage.errors import SHOWN_DIGITS

# For a person a key's value is no wider.
WIDEST_CELL = 60


def side_by_side_document(found: SideBySide, *, timings: bool) -> Json:
    """`compare --json` of several studies: that of each, and how it stood at the budget that all
    have used.
    """
    first = found.contenders[0].comparison.spec
    return {
        "metric": first.metric,
        "direction": first.direction,
        "equal_trials": found.trials,
        "equal_epochs": found.epochs,
        "studies": [
            {
                **compare_document(each.comparison, timings=timings),
                "finished": each.comparison.record.finished,
                "epochs": each.epochs,
                "incumbent": incumbent_document(each.comparison.incumbent),
                "at_equal_trials": _standing_document(each.at_equal_trials),
                "at_equal_epochs": _standing_document(each.at_equal_epochs),
            }
            for each in found.contenders
        ],
        "differing_keys": {
            key: {
                each.comparison.spec.name: value
                for each, value in zip(found.contenders, values, strict=True)
                if value is not None
            }
            for key, values in found.differing
        },
    }


def _standing_document(standing: Standing) -> Json:
    return {
        "trials": standing.trials,
        "epochs": standing.epochs,
        "incumbent": incumbent_document(standing.best),
    }


def side_by_side_text(found: SideBySide, width: int = NO_TERMINAL_COLUMNS) -> str:
    """`compare` of several studies."""
    names = [each.comparison.spec.name for each in found.contenders]
    rows = [
        (
            each.comparison.spec.name,
            each.comparison.record.stored.state,
            str(each.comparison.record.finished),
            str(each.epochs),
            _best(Standing(0, 0, each.comparison.incumbent)),
            _best(each.at_equal_trials),
            _best(each.at_equal_epochs),
        )
        for each in found.contenders
    ]
    header = (
        "study",
        "state",
        "finished",
        "epochs",
        "best",
        f"after {found.trials} trials",
        f"within {found.epochs} epochs",
    )
    metric = found.contenders[0].comparison.spec.metric
    said = (
        f"best validation {metric} of complete trials, by trial number, at the budget that every"
        " study has used"
    )
    spare = ("state", "finished", "epochs")
    parts = [f"{wrapped(said, width)}\n{table(header, rows, width, spare)}"]
    if found.differs_in_data:
        said = (
            "the studies differ in [data]: their values are of other images or splits, and no"
            " ranking"
        )
        parts.append(wrapped(said, width))
    elif found.is_on_other_images:
        parts.append(_other_images_text(found, width))
    if found.differing:
        keys = [(key, *(_cell(value) for value in values)) for key, values in found.differing]
        parts.append(f"what differs in their specs\n{table(('key', *names), keys, width)}")
    else:
        parts.append("their specs differ in nothing but name and budget")
    return "\n\n".join(parts)


def _other_images_text(found: SideBySide, width: int) -> str:
    rows = [
        (
            each.comparison.spec.name,
            ", ".join(
                fingerprint[:SHOWN_DIGITS] for fingerprint in sorted(each.comparison.fingerprints)
            )
            or "unknown",
        )
        for each in found.contenders
    ]
    said = (
        "the studies were trained on different images, though their [data] is the same: their"
        " values are no ranking"
    )
    return f"{wrapped(said, width)}\n{table(('study', 'fingerprint'), rows, width)}"


def _best(standing: Standing) -> str:
    best = standing.best
    return "-" if best is None or best.value is None else f"{best.value:.4f}"


def _cell(value: Toml | None) -> str:
    text = "-" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST_CELL else f"{text[: WIDEST_CELL - 3]}..."


def trials_csv(comparisons: Sequence[Comparison], *, timings: bool) -> str:
    """`compare --csv`: one row a trial, each study in order of rank; what is not there, or not
    finite, is empty.
    """
    rows: list[dict[str, Json]] = []
    known: set[str] = set()
    for comparison in comparisons:
        for trial in comparison.trials:
            values = parameters(trial)
            known |= values.keys()
            document = trial_document(trial, timings)
            del document["params"]
            # A trial that has not ended has none.
            costs = zip(comparison.spec.minimize, trial.costs, strict=False)
            document |= {f"costs.{name}": cost for name, cost in costs}
            rows.append(
                {
                    "study": comparison.spec.name,
                    **document,
                    **{f"params.{key}": values[key] for key in values},
                }
            )
    order = {name: place for place, name in enumerate(PARAMETERS)}
    named = [
        f"params.{name}"
        for name in sorted(known, key=lambda name: (order.get(name, len(order)), name))
    ]
    columns = [
        *dict.fromkeys(key for row in rows for key in row if not key.startswith("params.")),
        *named,
    ]
    out = StringIO()
    writer = csv.DictWriter(
        out, columns or ["study", "number", "state", "value", "epochs"], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows({name: finite(value) for name, value in row.items()} for row in rows)
    return out.getvalue()
