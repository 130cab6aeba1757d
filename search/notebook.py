"""The commands as functions, for notebooks and scripts."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from search.analysis.ablation import Ablation, read_ablation
from search.analysis.comparison import Comparison, compare_study
from search.analysis.confirmation import Confirmation, read_confirmation
from search.analysis.reproduced import Reproduced, read_reproduced
from search.engines.answers import (
    announce_ablation,
    announce_confirmation,
    announce_refit,
    announce_reproduction,
)
from search.machine.settings import Settings, date_of_making
from search.notebook_calls import Call
from search.spec.document import load_document
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.studies.followups.ablating import DEFAULT_LOOKS, DEFAULT_RETUNE, AskedToAblate
from search.studies.followups.confirming import AskedToConfirm
from search.studies.followups.reproducing import AskedToReproduce
from search.studies.followups.weights import given_weights
from storage.engine import open_database
from storage.studies import find_study

if TYPE_CHECKING:
    from search.export.exporting import Exported
    from search.export.predicting import Prediction
    from search.studies.copying import Copied


def load_spec(path: str | Path) -> StudySpec:
    """Reads a spec from a TOML file. Raises SpecError."""
    return parse_spec(load_document(Path(path)), str(path))


def run(
    spec: StudySpec,
    *,
    storage: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    data_map: Mapping[str, str] | None = None,
    accept_data: bool = False,
) -> Comparison:
    """Works on the study until it ends, as `hypersearch run` does, and returns its comparison.

    `data_map` says where folders of images lie on this machine, by the names that they have in
    specs or in the storage; `accept_data` lets the study go on with other images than those of its
    trials so far.

    Ctrl-C hands the running trial back and raises KeyboardInterrupt, as the caller's handler of
    SIGINT does; run again, the study goes on. The process is left as it was: its threads, its
    current GPU, levels of logging, random numbers, signals.

    Runs in several threads of a process take turns: a second one waits until the first returns, and
    says so.

    Once PyTorch has computed here, start processes with multiprocessing's "spawn": a fork would
    hang in OpenMP.

    Where a GPU answers this process no more, after an error in a kernel, the study goes on in a
    process of its own; restart this one to use the GPU here again.

    Raises RunInsideRun where the thread is inside another run, and what `run_study` raises.

    >>> spec = load_spec("examples/demo.toml")
    >>> run(spec, storage="sqlite:///hypersearch.db").incumbent   # doctest: +SKIP
    """
    call = Call.made(storage, device, threads, data_map, accept_data)
    call.work(Request(spec.to_document(), {}, f"study {spec.name!r}"), call.run_again)
    return compare(spec.name, storage=call.url)


def confirm(
    name: str,
    *,
    top: int | None = None,
    trials: Sequence[int] = (),
    baseline: str | int | None = None,
    weights: str | Path | None = None,
    backbone: str | None = None,
    seeds: int = 5,
    reads_test: bool = True,
    resplit: bool = False,
    again: bool = False,
    storage: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    data_map: Mapping[str, str] | None = None,
) -> Confirmation:
    """Retrains the best configurations under fresh seeds, as `hypersearch confirm` does, and
    returns what is known then; asked again in the same words, it trains what is missing.

    `baseline` is "first", "neutral", "pretrained", "none" or a trial's number; `weights` is a file
    of weights of the pretrained network called `backbone`, by default torchvision's of "resnet18".
    With `resplit` each seed is judged on a fold of its own, for which the spec has data.folds, so
    that the split is in the intervals. Ctrl-C and the process are treated as by `run`.

    Raises FollowUpRefused where what is asked for is not there, RunInsideRun, and what `run_study`
    raises.

    >>> confirm("demo", storage="sqlite:///hypersearch.db").choice   # doctest: +SKIP
    'trial 9'
    """
    call = Call.made(storage, device, threads, data_map)
    given = given_weights(None if baseline is None else str(baseline), backbone, weights)
    asked = AskedToConfirm(
        top,
        tuple(sorted(set(trials))),
        None if baseline is None else str(baseline),
        seeds,
        reads_test,
        resplit=resplit,
    )
    announced = announce_confirmation(call.commission(name, again=again), asked, given)
    call.train(announced.stored.name)
    with open_database(call.url) as database:
        return read_confirmation(database, find_study(database, announced.stored.name))


def ablate(
    name: str,
    *,
    trial: int | None = None,
    techniques: Sequence[str] = (),
    seeds: Sequence[int] = DEFAULT_LOOKS,
    retune: int = DEFAULT_RETUNE,
    again: bool = False,
    storage: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    data_map: Mapping[str, str] | None = None,
) -> Ablation:
    """Says what each technique of a configuration is worth, as `hypersearch ablate` does.

    `seeds` are the looks; `retune` runs find each learning rate, 0: none do. Interrupted, asked
    again and refused as `confirm`.

    >>> ablate("demo", techniques=["dropout"], storage="sqlite:///hypersearch.db")  # doctest: +SKIP
    """
    call = Call.made(storage, device, threads, data_map)
    asked = AskedToAblate(trial, tuple(sorted(set(techniques))), tuple(seeds), retune)
    announced = announce_ablation(call.commission(name, again=again), asked)
    call.train(announced.stored.name)
    with open_database(call.url) as database:
        return read_ablation(database, find_study(database, announced.stored.name))


def reproduce(
    name: str,
    number: int,
    *,
    seeds: int = 0,
    again: bool = False,
    storage: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    data_map: Mapping[str, str] | None = None,
) -> Reproduced:
    """Trains a recorded trial again, as `hypersearch reproduce` does. Interrupted, asked again and
    refused as `confirm`.

    >>> reproduce("demo", 3, storage="sqlite:///hypersearch.db").found.verdict   # doctest: +SKIP
    'identical'
    """
    call = Call.made(storage, device, threads, data_map)
    asked = AskedToReproduce(number, seeds)
    announced = announce_reproduction(call.commission(name, again=again), asked)
    call.train(announced.stored.name)
    with open_database(call.url) as database:
        return read_reproduced(database, find_study(database, announced.stored.name))


def compare(name: str, *, storage: str | None = None) -> Comparison:
    """The trials of a study in order of rank and what each technique did. Raises StudyNotFound."""
    with open_database(storage or Settings.from_environment(os.environ).storage) as database:
        return compare_study(database, name)


def copy(
    name: str,
    to: str,
    *,
    storage: str | None = None,
    artifact_root: str | None = None,
    to_artifact_root: str | None = None,
    skips_missing: bool = False,
) -> "Copied":
    """Copies a study, with all that follows it up, to the storage at the URL `to`, as `hypersearch
    copy` does. Raises what copy_study raises.

    >>> copy("demo", "postgresql://me@db.example/search").was_there   # doctest: +SKIP
    False
    """
    from search.studies.copying import copy_study

    settings = Settings.from_environment(os.environ)
    url = storage or settings.storage
    return copy_study(
        name,
        url,
        settings.files(url, artifact_root),
        to,
        settings.files(to, to_artifact_root),
        skips_missing=skips_missing,
    )


def export(
    name: str,
    folder: str | Path,
    *,
    trial: int | None = None,
    refit: bool = False,
    formats: Sequence[str] = ("onnx", "safetensors"),
    force: bool = False,
    storage: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    data_map: Mapping[str, str] | None = None,
) -> "Exported":
    """Writes the model of a study's best trial as a new folder, as `hypersearch export` does.

    With `refit` its configuration is trained again on training and validation images together, as
    `confirm` trains: `device` and `threads` are for that.

    Raises what export_model raises, and with `refit` what `confirm` raises.

    >>> export("demo", "digits-model", storage="sqlite:///hypersearch.db").value   # doctest: +SKIP
    0.9812
    """
    from search.export.exporting import check_exportable, export_model
    from search.export.formats import read_formats
    from storage.artifacts import open_artifact_store

    chosen, call = read_formats(",".join(formats)), Call.made(storage, data_map=data_map)
    machine = call.machine()
    refitted = None
    if refit:
        check_exportable(Path(folder), chosen, replace=force)
        refitted = announce_refit(call.url, name, trial).stored.name
        replace(call, device=device, threads=threads).train(refitted)
    with open_database(call.url) as database, call.screen() as screen:
        return export_model(
            database,
            open_artifact_store(machine.files.artifact_root),
            name,
            Path(folder),
            machine,
            formats=chosen,
            tell=screen.tell,
            trial=trial,
            refit=refitted,
            force=force,
            seconds_since_1970=date_of_making(os.environ, time.time()),
        )


def predict(
    model: str | Path,
    images: Sequence[str | Path],
    *,
    top: int = 1,
    runtime: str | None = None,
    unsure: float | None = None,
    labelled: bool = False,
    batch: int = 64,
    device: str = "auto",
    storage: str | None = None,
    data_map: Mapping[str, str] | None = None,
) -> "Iterator[Prediction]":
    """What files and folders show, one after another, as `hypersearch predict` says it.

    Raises what open_model and find_images raise: of images when they are asked for.

    >>> [each.predicted for each in predict("digits-model", ["scans"])]   # doctest: +SKIP
    ['7', '2']
    """
    from search.export.model import open_model
    from search.export.running import Asked, find, predict_some

    call = Call.made(storage, data_map=data_map)
    with call.screen() as screen:
        opened = open_model(str(model), device, call.studies, screen.tell, runtime=runtime)
    asked = Asked(min(top, len(opened.answering.class_names)), unsure, labelled, batch=batch)
    return predict_some(opened, find(opened, [Path(each) for each in images], asked), asked)


def report(
    *names: str, storage: str | None = None, output: str | Path = "hypersearch-report.html"
) -> Path:
    """Writes one HTML page on these studies, which needs no network, and returns its path.

    Raises StudyNotFound, and OSError where it cannot be written.

    >>> report("demo", storage="sqlite:///hypersearch.db")   # doctest: +SKIP
    PosixPath('hypersearch-report.html')
    """
    from search.machine.files import write_whole
    from search.report.page.written import read_page

    settings = Settings.from_environment(os.environ)
    url = storage or settings.storage
    with open_database(url) as database:
        page = read_page(database, list(dict.fromkeys(names)), settings, url)
    write_whole(Path(output), page.encode("utf-8", "backslashreplace"))
    return Path(output)
