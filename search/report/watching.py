"""Looks at studies, one after another, as pages."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from search.analysis.status import Status
from search.engines.following import Unanswered
from search.report.live import Page
from search.report.text import list_text, state_text, status_text
from storage.records import StudyRecord

Found = TypeVar("Found")


def status_pages(looks: Iterable[Status | Unanswered]) -> Iterator[Page]:
    """`status --watch`: in a log a line where the counts, the epoch of a running trial or the
    best trial are new.
    """
    return _pages(looks, lambda status: Page(status_text(status), (_status_line(status),)))


def list_pages(looks: Iterable[list[StudyRecord] | Unanswered]) -> Iterator[Page]:
    """`list --watch`: in a log a line for each study that has changed."""
    return _pages(looks, lambda records: Page(list_text(records), tuple(map(state_text, records))))


def _pages(looks: Iterable[Found | Unanswered], page_of: Callable[[Found], Page]) -> Iterator[Page]:
    last = Page("", ())
    for found in looks:
        if isinstance(found, Unanswered):
            said = f"the database does not answer ({found.reason}): looking again until Ctrl-C"
            yield Page(f"{last.text}\n{said}", (*last.lines, said))
        else:
            last = page_of(found)
            yield last


def _status_line(status: Status) -> str:
    running = "".join(
        f"; trial {trial.number} running, epoch {trial.epoch}" for trial in status.running
    )
    best = status.incumbent
    best_trial = (
        ""
        if best is None or best.value is None
        else f"; best trial {best.number}, {best.value:.4f}"
    )
    return f"{state_text(status.record)}{running}{best_trial}"
