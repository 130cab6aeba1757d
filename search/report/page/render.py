"""The report: one HTML page that asks for nothing outside and needs no script to be read."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import count

import tomli_w
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from search.analysis.comparison import parameters
from search.report.page.course import HyperparameterView, SearchView
from search.report.page.facts import StudyFacts
from search.report.page.followups import FollowUpView
from search.report.page.models import ModelView
from search.report.page.parts import PageTable
from search.report.page.reliability import ReliabilityView
from search.report.text import state_text
from search.report.values import shown
from storage.records import TrialRecord

TEMPLATE = "page.html.jinja"


def report_page(studies: Sequence[StudyFacts], made_at: datetime, version: str) -> str:
    """The page on these studies, one or more; the same arguments give the same page."""
    numbers = count()
    return _template().render(
        studies=[StudyView(facts, numbers) for facts in studies],
        made_at=made_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version,
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    source = files("search.report.page").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source)


def _visible(value: object) -> object:
    """What a template prints: of text that may be a user's, nothing hides, no letter runs the other
    way, and no line ends.

    >>> _visible("a\\u202eb")
    'a\\\\u202eb'
    """
    if isinstance(value, Markup):
        return value
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in str(value)
    )


class StudyView(ModelView, ReliabilityView, FollowUpView, SearchView, HyperparameterView):
    """All sections; here are 1 and 11."""

    @property
    def answer(self) -> str:
        """One sentence."""
        record, best = self.comparison.record, self.comparison.incumbent
        if best is not None and best.value is not None:
            tested = self.confirmation.test if self.confirmation is not None else ()
            if tested:
                score = tested[0]
                label = score.label[:1].upper() + score.label[1:]
                return (
                    f"{label} has a test {self.spec.metric} of {score.score:.4f}"
                    f" ({score.interval.low:.4f} .. {score.interval.high:.4f}, 95 %)"
                    + "".join(f"; {each.label}: {each.score:.4f}" for each in tested[1:])
                    + "."
                )
            return (
                f"The best of {record.complete} complete trials, trial {best.number}, has a"
                f" validation {self.spec.metric} of {best.value:.4f}."
            )
        reasons = [each.reason for each in self.comparison.trials if each.state == "failed"]
        if reasons and not record.finished:
            return f"Every trial failed, {len(reasons)} in all; the first reason: {reasons[0]}"
        if not self.comparison.trials:
            return "No trial has begun yet."
        return (
            f"No trial has run all epochs yet: {record.pruned} were stopped early,"
            f" {record.failed} failed."
        )

    @property
    def state(self) -> str:
        return state_text(self.comparison.record)

    @property
    def best_parameters(self) -> PageTable | None:
        if (trial := self._answered) is None:
            return None
        rows = [(name, shown(value)) for name, value in parameters(trial).items()]
        return PageTable(
            f"Hyperparameters of trial {trial.number}", ("hyperparameter", "value"), rows
        )

    @property
    def _answered(self) -> TrialRecord | None:
        """The trial that the answer is about: the choice where there is one."""
        if self.confirmation is None:
            return self.comparison.incumbent
        choice = self.confirmation.choice
        return next((each for each in self.comparison.trials if each.number == choice), None)

    @property
    def toml(self) -> Markup:
        lines = tomli_w.dumps(self.spec.to_document()).rstrip("\n").split("\n")
        return Markup("\n").join(escape(_visible(line)) for line in lines)

    @property
    def devices(self) -> str:
        found = sorted(
            {
                f"{each.device}, {each.threads} threads" if each.threads else str(each.device)
                for each in self.comparison.trials
                if each.device is not None
            }
        )
        return "; ".join(found) or "none recorded"

    @property
    def versions(self) -> str:
        """With which versions trials were trained; empty where nothing of it was recorded."""
        return "; ".join(
            ", ".join(f"{name} {number}" for name, number in each.items())
            for each in self.facts.versions
        )

    @property
    def definition(self) -> str:
        return self.comparison.record.stored.definition_hash
