"""The command that describes the techniques."""

from typing import Annotated

import typer

from search.cli.completion import among
from search.cli.option_groups import VerbosityOptions, with_option_groups
from search.cli.options import JsonOption, StorageOption
from search.space.parameters import TECHNIQUES


@with_option_groups
def techniques_command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="That technique alone.", autocompletion=among(TECHNIQUES)
        ),
    ] = None,
    storage: StorageOption = None,
    json: JsonOption = False,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Describe every technique: options, formula, source, the hyperparameters that it brings."""
    verbosity.take_effect()
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
