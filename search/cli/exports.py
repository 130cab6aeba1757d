"""Commands that take models away and use them: export, predict."""

import os
import shlex
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.completion import study_names
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
from search.cli.follow_ups import Work
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
    refuse_together,
)
from search.cli.reading import CommandLineError, parse_data_map, read_number, read_whole
from search.cli.work import machine_of

if TYPE_CHECKING:
    from search.export.exporting import Exported
    from search.export.running import Asked
    from search.machine.this_machine import Machine

DEFAULT_FORMATS = "onnx,safetensors"
LARGEST_BATCH = 65_536
# No more suspects, nor classes, can be asked for.
LARGEST_COUNT = 10**6


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
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Train its configuration again, on training and validation images together.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a folder that an export wrote.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where --refit trains [auto].")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(metavar="N", help="Threads of --refit [auto].")
    ] = None,
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
    for option, value in (("--device", device), ("--threads", threads)):
        if value is not None and not refit:
            raise CommandLineError(f"{option} goes with --refit: add it, or leave {option} out")
    machine = _machine_for_models(storage, data_root, data_map, artifact_root)
    from search.export.exporting import check_exportable, export_model
    from search.report.documents import to_json
    from storage.artifacts import open_artifact_store

    refitted = None
    if refit:
        check_exportable(output, chosen, replace=force)
        url = storage_url(storage)
        training = machine_of(threads or "auto", device or "auto", data_root, url, artifact_root)
        training = replace(training, data_map=machine.data_map)
        refitted = _refit(url, storage, name, number, training, artifact_root, quiet)
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
            refit=refitted,
            force=force,
            seconds_since_1970=date,
        )
    if json:
        print(to_json(exported.document()))
        return
    print(f"{exported.folder}: {_what(exported)}")
    say(f"use it: hypersearch predict {shlex.quote(str(exported.folder))} IMAGES...")


def _what(exported: "Exported") -> str:
    of = f"trial {exported.trial} of study {exported.study!r}"
    score = f"validation {exported.metric} {exported.value:.4f}"
    judged = "confirmed" if exported.confirmed else "not confirmed"
    if exported.refit is None:
        return f"{of}, {score}, {judged}"
    return (
        f"{of} trained on all images, its own score unmeasured; without the validation images:"
        f" {score}, {judged}"
    )


def _refit(
    url: str,
    storage: str | None,
    name: str,
    trial: int | None,
    machine: "Machine",
    artifact_root: str | None,
    quiet: bool,
) -> str:
    """The name of the study that has trained the trial's configuration on all images."""
    from search.analysis.refitted import read_refitted
    from search.engines.answers import announce_refit
    from search.report.refitted import refitted_opening

    announced = announce_refit(url, name, trial)
    work = Work(url, storage, name, "export", 1, machine, artifact_root, quiet)
    work.do(announced, read_refitted, refitted_opening, enqueue=False)
    return announced.stored.name


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="An exported folder, else a study whose best trial predicts.",
            autocompletion=study_names,
        ),
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGES...",
            help="Files, and folders of them; none with --suspects: a study's validation images.",
        ),
    ] = None,
    top: Annotated[str, typer.Option(metavar="K", help="So many of the likeliest classes.")] = "1",
    runtime: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="torch or onnx [torch, where the folder has it]."),
    ] = None,
    unsure: Annotated[
        str | None, typer.Option(metavar="P", help="Mark answers with less probability.")
    ] = None,
    labelled: Annotated[
        bool,
        typer.Option("--labelled", help="IMAGES have a sub-folder a class: judge the answers."),
    ] = False,
    suspects: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="With --labelled: the N files whose given class is the least likely, as CSV; of a"
            " study, without IMAGES, the validation images whose class all good trials contradict.",
        ),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="One row a file.")] = False,
    batch: Annotated[str, typer.Option(metavar="N", help="Images answered at a time.")] = "64",
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")
    ] = "auto",
    data_root: DataRootOption = None,
    data_map: DataMapOption = None,
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Classify files and folders with an exported folder, or with a study's best trial."""
    set_output(quiet, verbose, debug)
    refuse_together({"--csv": csv, "--json": json, "--suspects": suspects is not None})
    asked = _asked(top, unsure, labelled, suspects, batch)
    if not images:
        _suspect(model, asked, storage, data_root, data_map, artifact_root, quiet)
        return
    from objectives.device_name import check_device_name
    from search.export.lines import judged_text
    from search.export.model import open_model
    from search.export.running import predict_all
    from search.machine.settings import check_openmp

    check_device_name(device)
    check_openmp(os.environ)

    def studies() -> "tuple[str, Machine]":
        machine = _machine_for_models(storage, data_root, data_map, artifact_root)
        return storage_url(storage), machine

    with progress_shown(quiet) as tell:
        opened = open_model(model, device, studies, tell, runtime=runtime)
    asked = replace(asked, top=min(asked.top, len(opened.answering.class_names)))
    lines = asked.lines("csv" if csv else "json" if json else "text")
    # Pillow warns of odd but readable files, one by one.
    with warnings.catch_warnings(action="ignore"):
        summary = predict_all(
            opened, images, asked, lines, write=sys.stdout.write, say=say, clock=time.monotonic
        )
    if summary.judgement is not None and (csv or asked.suspects):
        say(judged_text(summary.judgement).rstrip())


def _suspect(
    study: str,
    asked: "Asked",
    storage: str | None,
    data_root: str | None,
    data_map: list[str] | None,
    artifact_root: str | None,
    quiet: bool,
) -> None:
    """Without IMAGES: the validation images of a study."""
    if not asked.suspects:
        raise CommandLineError("IMAGES are missing: name files, or folders of them")
    from search.export.formats import CONFIG

    # Another folder of that name is the study's images, as like as not.
    if Path(study, CONFIG).is_file():
        raise CommandLineError(
            f"IMAGES are missing: name what {study} is to judge, or a study in its place, whose"
            " validation images its good trials have judged"
        )
    machine = _machine_for_models(storage, data_root, data_map, artifact_root)
    from search.export.lines import suspected_csv
    from search.export.suspected import suspected_labels

    with database_at(storage) as database, progress_shown(quiet) as tell:
        found = suspected_labels(database, study, machine, asked.suspects, tell)
    sys.stdout.write(suspected_csv(found))
    say(str(found))


def _asked(
    top: str, unsure: str | None, labelled: bool, suspects: str | None, batch: str
) -> "Asked":
    from search.export.running import Asked

    if suspects is not None and not labelled:
        raise CommandLineError("--suspects goes with --labelled: add it, or leave --suspects out")
    limit = None if unsure is None else read_number("--unsure", unsure)
    if limit is not None and not 0 <= limit <= 1:
        raise CommandLineError(f"--unsure {unsure}: give a probability, from 0 to 1")
    return Asked(
        read_whole("--top", top, 1, LARGEST_COUNT),
        limit,
        labelled,
        0 if suspects is None else read_whole("--suspects", suspects, 1, LARGEST_COUNT),
        read_whole("--batch", batch, 1, LARGEST_BATCH),
    )


def _machine_for_models(
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
