"""What a shell completes: names of studies from the storage, and names that the code knows."""

import re
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO

import typer

PROGRAM = "hypersearch"
# A shell that asks sets this variable, whose name typer makes from the program's.
ASKS = "_HYPERSEARCH_COMPLETE"
# typer has this option, which writes below the user's home.
INSTALLS = "--install-completion"
# Somebody waits at the keyboard.
CONNECT_SECONDS = "1"
_BREAKS = re.compile("[:=]+")
# typer gives a function that completes what its parameters ask for.
Complete = Callable[[str], list[str]] | Callable[[typer.Context, str], list[str]]


def study_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The studies whose names begin so; none where the storage is not there."""
    from search.cli.context import settings
    from storage.engine import open_database
    from storage.records import read_study_names
    from storage.urls import parse_url

    try:
        url = parse_url(ctx.params.get("storage") or settings().storage)
        if url.get_backend_name() != "sqlite" and "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": CONNECT_SECONDS})
        with open_database(
            url.render_as_string(hide_password=False), patience_seconds=0
        ) as database:
            return [name for name in read_study_names(database) if name.startswith(incomplete)]
    # A shell waits for names, not for reasons: the command itself will say what is wrong.
    except Exception:
        return []


def among(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Completes to those of the names that begin so."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def mend_words(environment: MutableMapping[str, str]) -> str:
    """Where bash asks: puts together what it has split at ':' and '=' too, as the URL of --storage
    or the name of a follow-up.

    Returns what of the word under the cursor bash leaves as it is: it puts a completion in place of
    what follows the last ':' or '='.
    """
    words, at = environment.get("COMP_WORDS", "").split("\n"), environment.get("COMP_CWORD", "")
    if environment.get(ASKS) != "complete_bash" or not at.isdecimal():
        return ""
    cursor = int(at)
    joined: list[str] = []
    before = kept = ""
    for place, word in enumerate(words):
        if joined and (_BREAKS.fullmatch(word) or _BREAKS.fullmatch(before)):
            joined[-1] += word
        else:
            joined.append(word)
        before = word
        if place == cursor:
            environment["COMP_CWORD"] = str(len(joined) - 1)
            last = "" if _BREAKS.fullmatch(word) else word
            kept = joined[-1].removesuffix(last)
    environment["COMP_WORDS"] = "\n".join(joined)
    # Of --study=NAME the program completes NAME alone.
    return kept.rpartition("=")[2]


@contextmanager
def without_kept(kept: str) -> Iterator[None]:
    """Inside, what is printed are completions: each without what bash leaves as it is."""
    if not kept:
        yield
        return
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            print(line.removeprefix(kept))
