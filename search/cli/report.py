"""The command that writes the report page."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.completion import study_names
from search.cli.context import (
    database_at,
    say,
    settings,
    storage_url,
    write_text,
)
from search.cli.option_groups import VerbosityOptions, with_option_groups
from search.cli.options import (
    ArtifactRootOption,
    StorageOption,
)

DEFAULT_FILE = Path("hypersearch-report.html")


@with_option_groups
def report(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Studies.", autocompletion=study_names)
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write there instead; - is the standard output."
        ),
    ] = DEFAULT_FILE,
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Write one HTML page that needs no network: what was searched, what was found, and how far to
    trust it.
    """
    verbosity.take_effect()
    from search.machine.settings import read_artifact_root
    from search.report.page.written import read_page

    asked = None if artifact_root is None else read_artifact_root("--artifact-root", artifact_root)
    with database_at(storage) as database:
        page = read_page(
            database, list(dict.fromkeys(names)), settings(), storage_url(storage), asked
        )
    write_text(page, output)
    if str(output) != "-":
        say(f"wrote {output}: {len(page.encode(errors='backslashreplace')) / 1e6:.1f} MB")
