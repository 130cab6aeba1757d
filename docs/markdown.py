"""Parts of Markdown, as the pages of reference are written with them."""

from collections.abc import Iterable, Sequence

from search.report.documents import to_json
from search.spec.document import Toml

NOTICE = "Written from the code by `make docs`."


def inline_value(value: Toml | None) -> str:
    """A value of a spec as code; nothing for `None`."""
    return "" if value is None else inline_code(to_json(value).replace("\n", "").replace("  ", ""))


def inline_code(text: str) -> str:
    """The text in backticks."""
    return f"`{text}`"


def table_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with one line a row."""
    lines = [
        header,
        ["---"] * len(header),
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
