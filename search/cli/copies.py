"""The command that copies a study to another storage."""

from typing import Annotated

import typer

from search.cli.context import files_of, say, settings, storage_url
from search.cli.option_groups import VerbosityOptions, with_option_groups
from search.cli.options import (
    ArtifactRootOption,
    NameArgument,
    StorageOption,
)


@with_option_groups
def copy_command(
    name: NameArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="Database to copy to; made if need be.")
    ],
    artifact_root: ArtifactRootOption = None,
    to_artifact_root: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where the copy's artifacts go, or s3://BUCKET."),
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Copy though artifacts are missing here.")
    ] = False,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Copy a study to another storage: records, definition, predictions, what follows it up,
    artifacts.
    """
    verbosity.take_effect()
    from search.machine.settings import read_artifact_root
    from search.studies.copying import copy_study
    from storage.urls import parse_url, shown_url

    root = to_artifact_root
    asked = None if root is None else read_artifact_root("--to-artifact-root", root)
    copied = copy_study(
        name,
        storage_url(storage),
        files_of(storage, artifact_root),
        to,
        settings().files(to, asked),
        skips_missing=skip_missing,
    )
    there = shown_url(parse_url(to))
    if copied.was_there:
        say(f"study {name!r} is in {there} already, as it is here")
    else:
        with_them = "".join(f", {each}" for each in copied.follow_ups)
        say(f"copied to {there}: {name}{with_them}; {copied.artifacts} artifacts")
    if copied.missing:
        say(f"{copied.missing} artifacts that the study names were not there, and are not copied")
