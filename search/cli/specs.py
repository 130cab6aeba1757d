"""Commands on specs: init, check, show."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.context import database_at, say, write_text
from search.cli.option_groups import VerbosityOptions, with_option_groups
from search.cli.options import (
    JsonOption,
    NameArgument,
    OutputOption,
    StorageOption,
)


@with_option_groups
def spec_init(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to write; else it is printed.")
    ] = None,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Write a commented spec to start from."""
    verbosity.take_effect()
    from search.spec.template import starting_spec

    write_text(starting_spec(), file, is_new=True)


@with_option_groups
def spec_check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A spec, a TOML file; - is the standard input.")
    ],
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Check a spec; say how many trials and epochs it is, and how long by what the storage has
    recorded.
    """
    verbosity.take_effect()
    from search.analysis.status import seconds_per_epoch
    from search.spec.document import load_document, spec_source
    from search.spec.durations import duration
    from search.spec.reading import parse_spec
    from search.spec.vain import notices
    from storage.errors import StorageUnavailable

    source = spec_source(file)
    spec = parse_spec(load_document(file), source)
    try:
        with database_at(storage) as database:
            seconds = seconds_per_epoch(database, spec)
    # A spec can be checked before there is a database: nothing is recorded yet.
    except StorageUnavailable:
        seconds = None
    epochs = spec.planned_trials * spec.training.epochs
    long = (
        "unknown, nothing like it is recorded"
        if seconds is None
        else f"up to {duration(seconds * epochs)}"
    )
    print(
        f"{source}: study {spec.name}, {spec.planned_trials} trials of {spec.training.epochs}"
        f" epochs (at most {epochs} epochs; fewer where trials are pruned), time: {long}"
    )
    for notice in notices(spec):
        say(f"{file}: {notice}")


@with_option_groups
def spec_show(
    name: NameArgument,
    output: OutputOption = None,
    storage: StorageOption = None,
    json: JsonOption = False,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Print the stored spec of a study, nothing left to a default."""
    verbosity.take_effect()
    import tomli_w

    from search.report.documents import to_json
    from search.spec.definition import stored_spec
    from storage.studies import find_study

    with database_at(storage) as database:
        document = stored_spec(find_study(database, name)).to_document()
    write_text(f"{to_json(document)}\n" if json else tomli_w.dumps(document), output)
