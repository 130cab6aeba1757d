"""Answers as text for a person; documents for scripts stand in `search.report.documents`."""

from collections.abc import Sequence

from objectives.data.config import DataConfig
from objectives.names import SHAPES, is_photographic
from search.analysis.comparison import Comparison, parameters
from search.analysis.status import Status
from search.report.ending import END_REASONS, how_to_go_on
from search.report.findings import data_sets_text, effects_text, importances_text, pruning_text
from search.report.ranking import front_text, ranking_text
from search.report.tables import NO_TERMINAL_COLUMNS, table, unbroken, wrapped
from search.report.values import shown
from search.space.search_space import SearchSpace
from search.spec.durations import duration
from search.spec.techniques import THE_TUTORIAL, Technique, exists_under, shown_domain
from storage.records import StudyRecord, TrialRecord


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


def compare_text(
    comparison: Comparison, width: int = NO_TERMINAL_COLUMNS, *, every_row: bool = False
) -> str:
    """`compare`: the ranking, then what each technique did, then what the pruner did."""
    parts = [
        wrapped(state_text(comparison.record), width),
        ranking_text(comparison, width, every_row=every_row),
        *data_sets_text(comparison, width),
    ]
    if comparison.spec.minimize:
        parts.append(front_text(comparison, width, every_row=every_row))
    parts += [effects_text(comparison, width), importances_text(comparison, width)]
    if comparison.pruning is not None:
        parts.append(pruning_text(comparison.pruning, width))
    return "\n\n".join(parts)


def summary_text(comparison: Comparison, width: int = NO_TERMINAL_COLUMNS) -> str:
    """What `run` ends with."""
    lines = [
        # The state stands on one line whatever the width: scripts look for what it says.
        state_text(comparison.record),
        "",
        incumbent_text(comparison.incumbent, comparison.spec.metric),
        "",
        *(line for text in data_sets_text(comparison, width) for line in (text, "")),
        *((front_text(comparison, width), "") if comparison.spec.minimize else ()),
        effects_text(comparison, width),
        "",
        "where to look next",
        *(wrapped(f"  {line}", width, "    ") for line in _where_next(comparison)),
    ]
    return "\n".join(lines)


def _may_be_photographs(config: DataConfig) -> bool:
    """As far as the spec says it."""
    if config.dataset in SHAPES:
        return is_photographic(SHAPES[config.dataset][0])
    side = config.image_size or 0
    return is_photographic((1, side, side))


def _where_next(comparison: Comparison) -> list[str]:
    name = comparison.spec.name
    lines = []
    if comparison.incumbent is not None:
        lines.append(
            f"that value is the best of {comparison.record.complete} on one validation split: "
            "expect somewhat less on new images"
        )
    lines += [
        f"{key} = {shown(value)} is at the end of its range ({end:g}): a wider range may do better"
        for key, value, end in comparison.edges
    ]
    if comparison.incumbent is not None and comparison.record.stored.follow_up is None:
        lines.append(
            f"  hypersearch confirm {name}      what the best are worth under fresh seeds, and what"
            " was luck"
        )
        if _may_be_photographs(comparison.spec.data):
            lines.append(
                f"  hypersearch confirm {name} --baseline pretrained      the same, beside a"
                " network that others have trained"
            )
    lines += [
        f"{unbroken(f'hypersearch compare {name}')}      the trials, ranked",
        f"{unbroken('hypersearch dashboard')}      curves and plots in the browser",
    ]
    if (command := how_to_go_on(comparison.record.stored)) is not None:
        lines.append(f"{unbroken(command)}      search on")
    return lines
