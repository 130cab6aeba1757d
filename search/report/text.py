"""Answers as text for a person and as JSON documents for scripts."""

from collections.abc import Iterable, Sequence

from objectives.costs import shown_cost
from search.analysis.comparison import Comparison, parameters
from search.analysis.data_sets import ranges
from search.analysis.importance import FEWEST
from search.analysis.pruning import FEW_AUDITS, PruningRecord
from search.analysis.status import Status
from search.report.ending import END_REASONS, how_to_go_on
from search.report.values import shown
from search.space.domains import Value
from search.space.search_space import SearchSpace
from search.spec.durations import duration
from search.spec.techniques import THE_TUTORIAL, Technique, exists_under, shown_domain
from storage.errors import SHOWN_DIGITS
from storage.records import StudyRecord, TrialRecord

SMALLEST_SHARE = 0.005  # of an importance that a person is shown


def techniques_text(techniques: Sequence[Technique]) -> str:
    """`techniques`."""
    domains = SearchSpace.default()
    paragraphs = []
    for technique in techniques:
        lines = [f"{technique.name}: {technique.meaning}"]
        lines += [
            f"  {option.name}: {option.formula} [{option.source}]" for option in technique.options
        ]
        rows = [
            (
                f"    {parameter.name}",
                shown_domain(domains.domain(parameter.name)),
                "" if parameter.off is None else f"off is {parameter.off}",
                "" if (where := exists_under(parameter)) is None else f"under {where}",
            )
            for parameter in technique.parameters
        ]
        paragraphs.append(
            "\n".join([*lines, table(("    hyperparameter", "searched by default", "", ""), rows)])
        )
    return "\n\n".join([*paragraphs, THE_TUTORIAL])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first is left-aligned, numbers of the others
    right-aligned.
    """
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if _is_number(cell) else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


def _is_number(cell: str) -> bool:
    return (
        cell.replace(".", "", 1)
        .replace("-", "", 1)
        .replace("/", "", 1)
        .replace(",", "")
        .isdecimal()
    )


def list_text(records: Sequence[StudyRecord]) -> str:
    """`list`."""
    rows = [
        (
            record.stored.name,
            record.stored.state,
            f"{record.finished}/{record.stored.budget.trials}",
        )
        for record in records
    ]
    return table(("study", "state", "finished"), rows)


def state_text(record: StudyRecord) -> str:
    """One line: how far a study is."""
    reason = record.stored.end_reason
    why = f" ({END_REASONS[reason]})" if reason is not None else ""
    return (
        f"study {record.stored.name}: {record.stored.state}{why}, "
        f"{record.finished}/{record.stored.budget.trials} trials finished "
        f"({record.complete} complete, {record.pruned} pruned), {record.failed} failed"
    )


def status_text(status: Status) -> str:
    """`status`."""
    lines = [state_text(status.record)]
    if status.trials_per_hour is not None:
        togo = "" if not status.seconds_to_go else f", about {duration(status.seconds_to_go)} to go"
        lines.append(f"{status.trials_per_hour:.0f} trials an hour{togo}")
    for trial in status.running:
        who = (
            "waits to be taken up again"
            if trial.worker is None
            else f"worker {trial.worker[:8]} on {trial.host}"
        )
        lines.append(
            f"trial {trial.number} running: {who}, {trial.device}, epoch {trial.epoch}, "
            f"last sign of life {duration(trial.seconds_since_sign_of_life)} ago"
        )
    for worker in status.workers:
        what = "waits" if worker.study is None else f"trial {worker.number} of {worker.study}"
        lines.append(
            f"worker {worker.worker[:8]} on {worker.host}, {worker.device}, {worker.threads}"
            f" threads, for {duration(worker.alive_seconds)}: {what}"
        )
    lines.append(incumbent_text(status.incumbent, status.spec.metric))
    return "\n".join(lines)


def incumbent_text(trial: TrialRecord | None, metric: str) -> str:
    """The best complete trial so far, with its parameters."""
    if trial is None or trial.value is None:
        return "best trial: none, no trial has run all epochs"
    lines = [f"best trial: {trial.number}, validation {metric} {trial.value:.4f}"]
    lines += [f"  {name} = {shown(value)}" for name, value in parameters(trial).items()]
    return "\n".join(lines)


def compare_text(comparison: Comparison) -> str:
    """`compare`: the ranking, then what each technique did, then what the pruner did."""
    rows = [
        (
            str(place),
            str(trial.number),
            trial.state,
            "-" if trial.value is None else f"{trial.value:.4f}",
            str(len(trial.epochs)),
            _settings(parameters(trial)),
        )
        for place, trial in enumerate(comparison.trials, start=1)
    ]
    ranking = table(
        ("rank", "trial", "state", comparison.spec.metric, "epochs", "parameters"), rows
    )
    parts = [state_text(comparison.record), ranking, *data_sets_text(comparison)]
    if comparison.spec.minimize:
        parts.append(front_text(comparison))
    parts += [effects_text(comparison), importances_text(comparison)]
    if comparison.pruning is not None:
        parts.append(pruning_text(comparison.pruning))
    return "\n\n".join(parts)


def data_sets_text(comparison: Comparison) -> list[str]:
    """Which trials were trained on which images; nothing where all were, as far as is known, on the
    same.
    """
    found = comparison.data_sets
    if sum(fingerprint is not None for fingerprint, _ in found) < 2:
        return []
    rows = [
        ("unknown" if fingerprint is None else fingerprint[:SHOWN_DIGITS], ranges(numbers))
        for fingerprint, numbers in found
    ]
    return [
        "the trials were trained on different images: values of different lines are no ranking\n"
        f"{table(('fingerprint', 'trials'), rows)}"
    ]


def front_text(comparison: Comparison) -> str:
    """The trials that no other beats in everything."""
    spec = comparison.spec
    rows = [
        (
            str(trial.number),
            f"{trial.value:.4f}",
            *map(shown_cost, trial.costs),
            _settings(parameters(trial)),
        )
        for trial in comparison.front
    ]
    if not rows:
        return "Pareto front: no trial has run all epochs"
    header = ("trial", spec.metric, *spec.minimize, "parameters")
    return (
        "Pareto front: the complete trials that no other beats in"
        f" everything\n{table(header, rows)}"
    )


def importances_text(comparison: Comparison) -> str:
    """What set the best trials apart."""
    found = comparison.importances
    if found is None:
        return f"importances: no hyperparameter has been in {FEWEST} complete trials yet"
    rows = [(name, f"{share:.2f}") for name, share in found.shares if share >= SMALLEST_SHARE]
    left_out = (
        f"; in fewer than {FEWEST} and left out: {', '.join(found.left_out)}"
        if found.left_out
        else ""
    )
    return (
        f"importances (PED-ANOVA: what tells the best {found.best} of the {found.complete} complete"
        " trials from the others, in shares of"
        f" 1{left_out})\n{table(('hyperparameter', 'share'), rows)}"
    )


def pruning_text(pruning: PruningRecord) -> str:
    """What stopping trials early saved, and what it may have cost."""
    saved = (
        f"pruning ({pruning.pruner}): {pruning.stopped} trials were stopped, which saved"
        f" {pruning.epochs_saved} of {pruning.epochs + pruning.epochs_saved} epochs"
        f" ({100 * pruning.share_saved:.0f} %)"
    )
    if not pruning.audited:
        return (
            f"{saved}\naudits: no trial that was due to be stopped has run to its end yet; what it"
            " cost is unknown"
        )
    audits = (
        f"audits: of {pruning.audited} that were due to be stopped and ran to their end,"
        f" {pruning.better} ended better than the best of all others"
    )
    if pruning.has_few_audits:
        return (
            f"{saved}\n{audits}; with fewer than {FEW_AUDITS} audits that says little of the"
            " stopped ones"
        )
    return (
        f"{saved}\n{audits}: at most {100 * pruning.bound:.0f} % of the stopped ones would have (95"
        " % confidence)"
    )


def _settings(values: dict[str, Value]) -> str:
    return " ".join(f"{name}={shown(value)}" for name, value in values.items())


def effects_text(comparison: Comparison) -> str:
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
    header = ("technique", "value", "trials", "complete", "best", "median")
    return (
        "what each technique did (observed, not causal: the search favours what looked good; best"
        f" and median are of the complete trials)\n{table(header, rows)}"
    )


def summary_text(comparison: Comparison) -> str:
    """What `run` ends with."""
    name = comparison.spec.name
    lines = [
        state_text(comparison.record),
        "",
        incumbent_text(comparison.incumbent, comparison.spec.metric),
        "",
        *(line for text in data_sets_text(comparison) for line in (text, "")),
        *((front_text(comparison), "") if comparison.spec.minimize else ()),
        effects_text(comparison),
        "",
        "where to look next",
    ]
    if comparison.incumbent is not None:
        lines.append(
            f"  that value is the best of {comparison.record.complete} on one validation split: "
            "expect somewhat less on new images"
        )
    lines += [
        f"  {key} = {shown(value)} is at the end of its range ({end:g}): a wider range may do"
        " better"
        for key, value, end in comparison.edges
    ]
    if comparison.incumbent is not None and comparison.record.stored.follow_up is None:
        lines.append(
            f"  hypersearch confirm {name}      what the best are worth under fresh seeds, and what"
            " was luck"
        )
    lines += [
        f"  hypersearch compare {name}      every trial, ranked",
        "  hypersearch dashboard      curves and plots in the browser",
    ]
    if (command := how_to_go_on(comparison.record.stored)) is not None:
        lines.append(f"  {command}      search on")
    return "\n".join(lines)
