"""Commands that take models away and use them: export, predict."""

import os
import shlex
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.completion import study_names
from search.cli.context import database_at, progress_shown, say, storage_url
from search.cli.follow_ups import Work
from search.cli.machines import looking_machine, training_machine
from search.cli.option_groups import (
    KeptOptions,
    PlaceOptions,
    VerbosityOptions,
    WorkerOptions,
    with_option_groups,
)
from search.cli.options import DeviceOption, JsonOption, NameArgument, refuse_together
from search.cli.reading import CommandLineError, read_number, read_whole

if TYPE_CHECKING:
    from search.export.exporting import Exported
    from search.export.running import Asked
    from search.machine.this_machine import Machine

DEFAULT_FORMATS = "onnx,safetensors"
LARGEST_BATCH = 65_536
# No more suspects, nor classes, can be asked for.
LARGEST_COUNT = 10**6


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of `export`: which model is exported, as what, and where --refit trains."""

    trial: Annotated[
        str | None,
        typer.Option(metavar="N", help="Another trial than the best, of which a model was kept."),
    ] = None
    formats: Annotated[
        str, typer.Option("--format", metavar="NAMES", help="onnx, safetensors, or both.")
    ] = DEFAULT_FORMATS
    refit: Annotated[
        bool,
        typer.Option(
            "--refit",
            help="Train its configuration again, on training and validation images together.",
        ),
    ] = False
    force: Annotated[
        bool, typer.Option("--force", help="Replace a folder that an export wrote.")
    ] = False
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where --refit trains [auto].")
    ] = None
    threads: Annotated[str | None, typer.Option(metavar="N", help="Threads of --refit [auto].")] = (
        None
    )
    kept: KeptOptions
    json: JsonOption = False
    verbosity: VerbosityOptions

    def number(self) -> int | None:
        """The trial that is asked for. Raises CommandLineError."""
        return None if self.trial is None else read_whole("--trial", self.trial, 0, 10**9)

    def workers(self) -> WorkerOptions:
        """What --refit trains with. Raises CommandLineError where it is not asked for."""
        for option, value in (("--device", self.device), ("--threads", self.threads)):
            if value is not None and not self.refit:
                raise CommandLineError(f"{option} goes with --refit: add it, or leave {option} out")
        return WorkerOptions(threads=self.threads or "auto", device=self.device or "auto")


@with_option_groups
def export_command(
    name: NameArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="The new folder.")
    ],
    *,
    options: ExportOptions,
) -> None:
    """Write the best trial's model as a folder: safetensors, ONNX, labels, configuration, model
    card.
    """
    options.verbosity.take_effect()
    from search.export.formats import read_formats
    from search.machine.settings import date_of_making

    formats, number = read_formats(options.formats), options.number()
    date, workers = date_of_making(os.environ, time.time()), options.workers()
    machine = looking_machine(options.kept)
    from search.export.exporting import check_exportable, export_model
    from search.report.documents import to_json
    from storage.artifacts import open_artifact_store

    quiet, refitted = options.verbosity.quiet, None
    if options.refit:
        check_exportable(output, formats, replace=options.force)
        refitted = _refit(name, number, workers, options.kept, quiet)
    with database_at(options.kept.storage) as database, progress_shown(quiet) as tell:
        exported = export_model(
            database,
            open_artifact_store(machine.files.artifact_root),
            name,
            output,
            machine,
            formats=formats,
            tell=tell,
            trial=number,
            refit=refitted,
            force=options.force,
            seconds_since_1970=date,
        )
    if options.json:
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
    name: str, trial: int | None, workers: WorkerOptions, kept: KeptOptions, quiet: bool
) -> str:
    """The name of the study that has trained the trial's configuration on all images."""
    from search.analysis.refitted import read_refitted
    from search.engines.answers import announce_refit
    from search.report.refitted import refitted_opening

    url, root = storage_url(kept.storage), kept.artifact_root
    machine = training_machine(workers, PlaceOptions(data=kept.data, artifact_root=root), url)
    announced = announce_refit(url, name, trial)
    work = Work(url, kept.storage, name, "export", 1, machine, root, quiet)
    work.do(announced, read_refitted, refitted_opening, enqueue=False)
    return announced.stored.name


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """The options of `predict`: what is asked of the model, and how the answers are given."""

    top: Annotated[str, typer.Option(metavar="K", help="So many of the likeliest classes.")] = "1"
    runtime: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="torch or onnx [torch, where the folder has it]."),
    ] = None
    unsure: Annotated[
        str | None, typer.Option(metavar="P", help="Mark answers with less probability.")
    ] = None
    labelled: Annotated[
        bool,
        typer.Option("--labelled", help="IMAGES have a sub-folder a class: judge the answers."),
    ] = False
    suspects: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="With --labelled: the N files whose given class is the least likely, as CSV; of a"
            " study, without IMAGES, the validation images whose class all good trials contradict.",
        ),
    ] = None
    csv: Annotated[bool, typer.Option("--csv", help="One row a file.")] = False
    batch: Annotated[str, typer.Option(metavar="N", help="Images answered at a time.")] = "32"
    device: DeviceOption = "auto"
    kept: KeptOptions
    json: JsonOption = False
    verbosity: VerbosityOptions

    def asked(self) -> "Asked":
        """What is asked of a run. Raises CommandLineError."""
        from search.export.running import Asked

        if self.suspects is not None and not self.labelled:
            raise CommandLineError(
                "--suspects goes with --labelled: add it, or leave --suspects out"
            )
        limit = None if self.unsure is None else read_number("--unsure", self.unsure)
        if limit is not None and not 0 <= limit <= 1:
            raise CommandLineError(f"--unsure {self.unsure}: give a probability, from 0 to 1")
        return Asked(
            read_whole("--top", self.top, 1, LARGEST_COUNT),
            limit,
            self.labelled,
            0
            if self.suspects is None
            else read_whole("--suspects", self.suspects, 1, LARGEST_COUNT),
            read_whole("--batch", self.batch, 1, LARGEST_BATCH),
        )

    def studies(self) -> "tuple[str, Machine]":
        """Where studies are, and the machine that looks at them."""
        machine = looking_machine(self.kept)
        return storage_url(self.kept.storage), machine


@with_option_groups
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
    *,
    options: PredictOptions,
) -> None:
    """Classify files and folders with an exported folder, or with a study's best trial."""
    options.verbosity.take_effect()
    csv, json = options.csv, options.json
    refuse_together({"--csv": csv, "--json": json, "--suspects": options.suspects is not None})
    asked = options.asked()
    if not images:
        _suspect(model, asked, options)
        return
    from objectives.device_name import check_device_name
    from search.export.lines import judged_text
    from search.export.model import open_model
    from search.export.running import predict_all
    from search.machine.settings import check_openmp

    check_device_name(options.device)
    check_openmp(os.environ)
    with progress_shown(options.verbosity.quiet) as tell:
        opened = open_model(model, options.device, options.studies, tell, runtime=options.runtime)
    asked = replace(asked, top=min(asked.top, len(opened.answering.class_names)))
    lines = asked.lines("csv" if csv else "json" if json else "text")
    # Pillow warns of odd but readable files, one by one.
    with warnings.catch_warnings(action="ignore"):
        summary = predict_all(
            opened, images, asked, lines, write=sys.stdout.write, say=say, clock=time.monotonic
        )
    if summary.judgement is not None and (csv or asked.suspects):
        say(judged_text(summary.judgement).rstrip())


def _suspect(study: str, asked: "Asked", options: PredictOptions) -> None:
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
    machine = looking_machine(options.kept)
    from search.export.lines import suspected_csv
    from search.export.suspected import suspected_labels

    kept, quiet = options.kept, options.verbosity.quiet
    with database_at(kept.storage) as database, progress_shown(quiet) as tell:
        found = suspected_labels(database, study, machine, asked.suspects, tell)
    sys.stdout.write(suspected_csv(found))
    say(str(found))
