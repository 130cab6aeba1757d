"""The command that describes the techniques."""

from typing import Annotated

import typer

from search.cli.completion import among
from search.cli.context import set_output
from search.cli.options import DebugOption, JsonOption, QuietOption, StorageOption, VerboseOption
from search.space.parameters import TECHNIQUES


def techniques_command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="That technique alone.", autocompletion=among(TECHNIQUES)
        ),
    ] = None,
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Describe every technique: options, formula, source, the hyperparameters that it brings."""
    set_output(quiet, verbose, debug)
    from search.cli.reading import CommandLineError
    from search.report.documents import techniques_document, to_json
    from search.report.text import techniques_text
    from search.spec.document import one_of
    from search.spec.techniques import techniques

    every = techniques()
    chosen = [technique for technique in every if name in (None, technique.name)]
    if not chosen and name is not None:
        known = one_of(name, [technique.name for technique in every])
        raise CommandLineError(f"technique {name!r} is unknown: {known}")
    print(to_json(techniques_document(chosen)) if json else techniques_text(chosen))
