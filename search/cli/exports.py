"""Commands that take models away and use them: export."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.context import (
    data_folder,
    database_at,
    files_of,
    progress_shown,
    say,
    set_output,
    settings,
    storage_url,
)
from search.cli.options import (
    ArtifactRootOption,
    DataMapOption,
    DataRootOption,
    DebugOption,
    JsonOption,
    NameArgument,
    QuietOption,
    StorageOption,
    VerboseOption,
)
from search.cli.reading import parse_data_map, read_whole

if TYPE_CHECKING:
    from search.machine.this_machine import Machine

DEFAULT_FORMATS = "onnx,safetensors"


def export_command(
    name: NameArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="The new folder.")
    ],
    trial: Annotated[
        str | None,
        typer.Option(metavar="N", help="Another trial than the best, of which a model was kept."),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="NAMES", help="onnx, safetensors, or both.")
    ] = DEFAULT_FORMATS,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a folder that an export wrote.")
    ] = False,
    data_root: DataRootOption = None,
    data_map: DataMapOption = None,
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Write the best trial's model as a folder: safetensors, ONNX, labels, configuration, model
    card.
    """
    set_output(quiet, verbose, debug)
    from search.export.formats import read_formats
    from search.machine.settings import date_of_making

    chosen = read_formats(formats)
    number = None if trial is None else read_whole("--trial", trial, 0, 10**9)
    date = date_of_making(os.environ, time.time())
    machine = machine_for_models(storage, data_root, data_map, artifact_root)
    from search.export.exporting import export_model
    from search.report.documents import to_json
    from storage.artifacts import open_artifact_store

    with database_at(storage) as database, progress_shown(quiet) as tell:
        exported = export_model(
            database,
            open_artifact_store(machine.files.artifact_root),
            name,
            output,
            machine,
            formats=chosen,
            tell=tell,
            trial=number,
            force=force,
            seconds_since_1970=date,
        )
    if json:
        print(to_json(exported.document()))
        return
    print(
        f"{exported.folder}: trial {exported.trial} of study {exported.study!r}, validation"
        f" {exported.metric} {exported.value:.4f}, not confirmed"
    )
    say(f"use it: hypersearch predict {exported.folder} IMAGES...")


def machine_for_models(
    storage: str | None,
    data_root: str | None,
    data_map: list[str] | None,
    artifact_root: str | None,
) -> "Machine":
    """Where the images of a study, and the files of its trials, lie."""
    machine = settings().machine(
        files_of(storage_url(storage), artifact_root),
        data_root=data_folder(data_root),
        device="cpu",
    )
    return replace(machine, data_map=parse_data_map(data_map))
