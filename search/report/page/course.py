"""How the search went, what it says of hyperparameters, and whether pruning was fair."""

from collections.abc import Sequence

from objectives.costs import shown_cost
from search.analysis.comparison import parameters
from search.analysis.importance import FEWEST, INTERVAL_SHARE, MOST_DRAWN, RESAMPLES
from search.analysis.progress import SearchProgress, progress, rank_correlations
from search.report.ending import END_REASONS
from search.report.findings import SMALLEST_SHARE, audits_text
from search.report.page import plots
from search.report.page.parts import MOST_ROWS, PageTable, PageView, Picture, left_out
from search.report.ranking import column_name
from search.report.values import shown
from search.space.parameters import PARAMETERS, is_on
from search.spec.durations import duration
from storage.records import TrialRecord

MOST_RANKS = 20


class SearchView(PageView):
    """Section 7."""

    @property
    def course(self) -> SearchProgress:
        return progress(self.comparison.trials, self.spec.direction)

    @property
    def progress_pictures(self) -> list[Picture]:
        course, metric = self.course, self.spec.metric
        if not course.improvements:
            return []
        last = course.improvements[-1]
        said = f"The best validation {metric} rose to {last.value:.4f}"
        if self.spec.direction == "minimize":
            said = f"The best validation {metric} fell to {last.value:.4f}"
        pictures = [
            self._picture(
                lambda: plots.progress_svg(course, metric, "epochs"),
                f"{said} after {last.epochs:,} of {course.epochs:,} epochs.",
            )
        ]
        if last.hours is not None and course.hours:
            pictures.append(
                self._picture(
                    lambda: plots.progress_svg(course, metric, "hours"),
                    f"{said} after {duration(3600 * last.hours)} of"
                    f" {duration(3600 * course.hours)}.",
                )
            )
        return pictures

    @property
    def improvements(self) -> PageTable | None:
        found = self.course.improvements[::-1]
        rows = [
            (
                str(each.number),
                f"{each.value:.4f}",
                f"{each.epochs:,}",
                "-" if each.hours is None else duration(3600 * each.hours),
            )
            for each in found[:MOST_ROWS]
        ]
        rest = left_out(len(found) - len(rows), "earlier ones")
        header = ("trial", self.spec.metric, "epochs by then", "time by then")
        return PageTable("Each time the best got better, the last first", header, rows, rest)

    @property
    def curves(self) -> Picture | None:
        if not any(trial.epochs for trial in self.comparison.trials):
            return None
        metric, held = self.spec.metric, sum(bool(each.epochs) for each in self.comparison.trials)
        drawn = min(held, plots.MOST_CURVES)
        whom = f"{drawn} of {held} trials" if drawn < held else f"{held} trials"
        return self._picture(
            lambda: plots.curves_svg(self.comparison),
            f"Validation {metric} by epoch of {whom}: complete ones are whole lines, those that"
            " were stopped are dashed and end in a cross; the best is the thick one.",
        )

    @property
    def end(self) -> str:
        stored = self.comparison.record.stored
        if stored.end_reason is not None:
            return f"The study has ended: {END_REASONS[stored.end_reason]}."
        return f"The study has not ended; it is {stored.state}."

    @property
    def cost(self) -> str:
        course = self.course
        said = f"{course.epochs:,} epochs, {duration(3600 * course.training_hours)} of training"
        if course.hours is not None:
            said += f", {duration(3600 * course.hours)} from the first trial to the last"
        return f"{said}."

    @property
    def ranking(self) -> PageTable:
        ranked = self.comparison.trials[:MOST_RANKS]
        has_reasons = any(trial.reason for trial in ranked)
        rows = [
            (
                str(place),
                str(trial.number),
                trial.state,
                "-" if trial.value is None else f"{trial.value:.4f}",
                str(len(trial.epochs)),
                _settings(trial),
                *((trial.reason or "",) if has_reasons else ()),
            )
            for place, trial in enumerate(ranked, start=1)
        ]
        left = len(self.comparison.trials) - len(rows)
        rest = f"{left:,} more: hypersearch compare {self.name} --all" if left > 0 else ""
        last = ("reason",) if has_reasons else ()
        header = ("rank", "trial", "state", self.spec.metric, "epochs", "what is on", *last)
        return PageTable("Trials in order of rank", header, rows, rest)

    @property
    def front(self) -> PageTable | None:
        found = self.comparison.front
        if not self.spec.minimize:
            return None
        rows = [
            (
                str(trial.number),
                "-" if trial.value is None else f"{trial.value:.4f}",
                *map(shown_cost, trial.costs),
            )
            for trial in found[:MOST_ROWS]
        ]
        rest = left_out(len(found) - len(rows), "others")
        header = ("trial", self.spec.metric, *self.spec.minimize)
        return PageTable(
            "Pareto front: the complete trials that no other beats in everything",
            header,
            rows,
            rest,
        )


class HyperparameterView(PageView):
    """Sections 8 and 9."""

    # --- 8: hyperparameters

    @property
    def techniques(self) -> PageTable:
        rows = [
            (
                each.technique,
                each.value,
                str(each.finished),
                str(each.complete),
                "-" if each.best is None else f"{each.best:.4f}",
                "-" if each.median is None else f"{each.median:.4f}",
            )
            for each in self.comparison.effects
        ]
        header = ("technique", "value", "trials", "complete", "best", "median")
        return PageTable("What each technique did, as observed", header, rows)

    @property
    def importance_picture(self) -> Picture | None:
        if (found := self.comparison.importances) is None:
            return None
        name, share = found.shares[0]
        return self._picture(
            lambda: plots.importances_svg(found, self.comparison.importance_intervals),
            f"Importances with their intervals, as in the table; the largest is {name} with"
            f" {share:.2f}.",
        )

    @property
    def importance_table(self) -> PageTable | None:
        if (found := self.comparison.importances) is None:
            return None
        intervals = self.comparison.importance_intervals
        rows = [
            (name, f"{share:.2f}", f"{intervals[name].low:.2f} .. {intervals[name].high:.2f}")
            for name, share in found.shares
            if share >= SMALLEST_SHARE
        ]
        caption = (
            f"Importances (PED-ANOVA): what tells the best {found.best} of the {found.complete}"
            f" complete trials from the others, in shares of 1; intervals by {RESAMPLES} resamples"
            f" of {min(found.complete, MOST_DRAWN)} trials"
        )
        rest = f"In fewer than {FEWEST} trials: {', '.join(found.left_out)}."
        header = ("hyperparameter", "share", f"{100 * INTERVAL_SHARE:.0f} % interval")
        return PageTable(caption, header, rows, rest if found.left_out else "")

    @property
    def no_importances(self) -> str:
        return (
            f"No hyperparameter has been in {FEWEST} complete trials yet: importances say nothing."
        )

    @property
    def slices(self) -> list[Picture]:
        columns = dict.fromkeys(
            column_name(name)
            for name in PARAMETERS
            if any(name in trial.parameters for trial in self.comparison.trials)
        )
        pictures = []
        for column in columns:
            if (svg := plots.slice_svg(self.comparison, column)) is not None:
                pictures.append(
                    self._picture(
                        lambda svg=svg: svg,  # type: ignore[misc]
                        f"{self.spec.metric} over {column}: dots are complete trials, crosses those"
                        " that were stopped, at the epoch they came to.",
                        f"{self.spec.metric} over {column}",
                    )
                )
        return pictures

    @property
    def edges(self) -> list[str]:
        return [
            f"{name} = {shown(value)} is at the end of its range ({end:g}): a wider range may do"
            " better."
            for name, value, end in self.comparison.edges
        ]

    # --- 9: pruning

    @property
    def pruning(self) -> str:
        found = self.comparison.pruning
        if found is None:
            return "No trial is ever stopped early in this study."
        return (
            f"{found.pruner} stopped {found.stopped} trials, which saved {found.epochs_saved:,} of"
            f" {found.epochs + found.epochs_saved:,} epochs ({100 * found.share_saved:.0f} %)."
        )

    @property
    def audits(self) -> str:
        found = self.comparison.pruning
        return "" if found is None else f"{audits_text(found).capitalize()}."

    @property
    def correlations(self) -> Sequence[tuple[int, float]]:
        return rank_correlations(self.comparison.trials, self.spec.metric)

    @property
    def correlation_picture(self) -> Picture | None:
        if not (found := self.correlations):
            return None
        return self._picture(
            lambda: plots.correlations_svg(found),
            "Spearman's correlation of the order after each epoch with that after the last one, as"
            " in the table.",
        )

    @property
    def correlation_table(self) -> PageTable | None:
        if not (found := self.correlations):
            return None
        rows = [(str(epoch), f"{rho:.2f}") for epoch, rho in found[:MOST_ROWS]]
        caption = "How well the order of the complete trials after an epoch tells the final one"
        rest = left_out(len(found) - len(rows), "later epochs")
        return PageTable(caption, ("epoch", "Spearman's rho"), rows, rest)


def _settings(trial: TrialRecord) -> str:
    on = [
        f"{name} {shown(value)}" for name, value in parameters(trial).items() if is_on(name, value)
    ]
    return ", ".join(on) or "nothing"
