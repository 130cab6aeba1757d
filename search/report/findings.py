"""What a study has shown beside its ranking, as text for a person."""

from collections.abc import Sequence
from itertools import groupby

from search.analysis.comparison import Comparison
from search.analysis.data_sets import ranges
from search.analysis.importance import FEWEST, INTERVAL_SHARE, MOST_DRAWN, RESAMPLES
from search.analysis.pruning import FEW_AUDITS, PruningRecord
from search.report.tables import table, wrapped
from storage.errors import SHOWN_DIGITS

# A person is shown no smaller share of importance.
SMALLEST_SHARE = 0.005


def data_sets_text(comparison: Comparison, width: int) -> list[str]:
    """Which trials were trained on which images; nothing where all were, as far as is known, on the
    same.
    """
    found = comparison.data_sets
    if sum(fingerprint is not None for fingerprint, _ in found) < 2:
        return []
    said = "the trials were trained on different images: values of different lines are no ranking"
    named = [
        ("unknown" if fingerprint is None else fingerprint[:SHOWN_DIGITS], ranges(numbers))
        for fingerprint, numbers in found
    ]
    lines = [
        wrapped(f"{name:<{SHOWN_DIGITS}}  {numbers}", width, " " * (SHOWN_DIGITS + 2))
        for name, numbers in (("fingerprint", "trials"), *named)
    ]
    return ["\n".join([wrapped(said, width), *lines])]


def effects_text(comparison: Comparison, width: int) -> str:
    """Per technique and value: how many trials, and the best and the median of those that ran all
    epochs.
    """
    rows = [
        (
            effect.technique,
            effect.value,
            str(effect.finished),
            str(effect.complete),
            "-" if effect.best is None else f"{effect.best:.4f}",
            "-" if effect.median is None else f"{effect.median:.4f}",
        )
        for effect in comparison.effects
    ]
    if not rows:
        return "no technique has had two values yet"
    said = (
        "what each technique did (observed, not causal: the search favours what looked good; best"
        " and median are of the complete trials)"
    )
    return f"{wrapped(said, width)}\n{_effects_table(rows, width)}"


def _effects_table(rows: Sequence[Sequence[str]], width: int) -> str:
    """Technique and value side by side, or the values below their technique where that is too
    wide.
    """
    counts = ("trials", "complete", "best", "median")
    wide = table(("technique", "value", *counts), rows)
    if max(map(len, wide.splitlines())) <= width:
        return wide
    below = [
        line
        for technique, values in groupby(rows, key=lambda row: row[0])
        for line in (
            (technique, *("" for _ in counts)),
            *((f"  {value}", *told) for _, value, *told in values),
        )
    ]
    return table(("technique, value", *counts), below, width, spare=("median", "trials"))


def importances_text(comparison: Comparison, width: int) -> str:
    """What set the best trials apart."""
    found = comparison.importances
    if found is None:
        said = f"importances: no hyperparameter has been in {FEWEST} complete trials yet"
        return wrapped(said, width)
    intervals = comparison.importance_intervals
    rows = [
        (name, f"{share:.2f}", f"{intervals[name].low:.2f} .. {intervals[name].high:.2f}")
        for name, share in found.shares
        if share >= SMALLEST_SHARE
    ]
    percent = f"{100 * INTERVAL_SHARE:.0f} % interval"
    said = (
        f"importances (PED-ANOVA: what tells the best {found.best} of the {found.complete} complete"
        f" trials from the others, in shares of 1; intervals by {RESAMPLES} resamples of"
        f" {min(found.complete, MOST_DRAWN)} trials)"
    )
    header = ("hyperparameter", "share", percent)
    parts = [wrapped(said, width), table(header, rows, width)]
    if found.left_out:
        left_out = f"in fewer than {FEWEST} trials and left out: {', '.join(found.left_out)}"
        parts.append(wrapped(left_out, width, "  "))
    return "\n".join(parts)


def pruning_text(pruning: PruningRecord, width: int) -> str:
    """What stopping trials early saved, and what it may have cost."""
    saved = (
        f"pruning ({pruning.pruner}): {pruning.stopped} trials were stopped, which saved"
        f" {pruning.epochs_saved} of {pruning.epochs + pruning.epochs_saved} epochs"
        f" ({100 * pruning.share_saved:.0f} %)"
    )
    return f"{wrapped(saved, width)}\n{wrapped(audits_text(pruning), width)}"


def audits_text(pruning: PruningRecord) -> str:
    """What those tell that ran on though they were due to be stopped."""
    if not pruning.audited:
        return (
            "audits: no trial that was due to be stopped has run to its end yet; what it cost is"
            " unknown"
        )
    audits = (
        f"audits: of {pruning.audited} that were due to be stopped and ran to their end,"
        f" {pruning.better} ended better than the best of all others"
    )
    if pruning.has_few_audits:
        return f"{audits}; with fewer than {FEW_AUDITS} audits that says little of the stopped ones"
    return (
        f"{audits}: at most {100 * pruning.bound:.0f} % of the stopped ones would have (95 %"
        " confidence)"
    )
