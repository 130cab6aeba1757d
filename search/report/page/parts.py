"""What the page's template knows: pictures, tables and images, and what each study's view has."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from search.analysis.comparison import Comparison
from search.report.page.facts import StudyFacts
from search.report.page.figures import with_own_ids

# A table has no more rows: what is left out is said.
MOST_ROWS = 40


@dataclass(frozen=True)
class Picture:
    """An inline SVG with what it says in words."""

    svg: Markup
    alternative: str
    # The caption is empty where the alternative says it.
    caption: str = ""


@dataclass(frozen=True)
class PageTable:
    """Cells as text; the first of a row is its head."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: str = ""


@dataclass(frozen=True)
class Image:
    """PNG as a data URI, `width` and `height` in CSS pixels."""

    source: str
    width: int
    height: int
    alternative: str
    caption: str = ""


class PageView:
    """What is shown of one study; each part is computed when the template asks for it."""

    def __init__(self, facts: StudyFacts, numbers: Iterator[int]) -> None:
        self.facts = facts
        self.comparison: Comparison = facts.comparison
        self.spec = facts.comparison.spec
        self.name = self.spec.name
        self._numbers = numbers

    def _picture(self, draw: Callable[[], str], alternative: str, caption: str = "") -> Picture:
        svg = with_own_ids(draw(), f"picture{next(self._numbers)}")
        return Picture(Markup(svg), alternative, caption)


def left_out(count: int, what: str) -> str:
    """A sentence on what a table does not show; "" where it shows all."""
    return f"{count:,} {what} are left out." if count > 0 else ""
