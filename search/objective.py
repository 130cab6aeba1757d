"""From a spec to the function that trains one trial, on this machine."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from objectives.checkpoint import CHECKPOINT_SECONDS
from objectives.data_config import DataConfig
from objectives.errors import ProcessSpent
from objectives.hyperparameters import Hyperparameters
from objectives.processor import usable_cores
from objectives.protocol import Pulse, ResumableTraining
from search.data_location import find_data
from search.division import PIECE, Division, Share, is_gpu
from search.folders import Place, needed
from search.other_programs import OtherPrograms, seconds_of_children
from search.spec import StudySpec
from search.threads import FittingThreads
from storage.computing import Computing
from storage.records import EpochRecord

if TYPE_CHECKING:
    from objectives.source import DataFacts
    from search.artifacts import FilesOf  # its imports, Optuna among them, would cost every command
    from storage.studies import StoredStudy

# (hyperparameters, seed, how the trial is computed, checkpoint to go on from, pulse)
Train = Callable[[Hyperparameters, int, Computing, bytes | None, Pulse], ResumableTraining]


@dataclass(frozen=True)
class Files:
    """Where the files of a storage's studies lie."""

    artifact_root: str  # a folder or s3://bucket/prefix
    checkpoint_root: Path  # may be shared by databases: each has a folder of its own there


@dataclass(frozen=True)
class Machine:
    """How to work on this machine: never part of a study."""

    data_root: Place
    cache_root: Place
    division_root: Place
    files: Files
    device: str = "auto"
    threads: int | None = None  # None: as many as one worker trains best with
    # Of so many workers of this machine, this one among them, nobody has said how many threads they
    # are to have.
    crew: int = 0
    piece: int | None = (
        None  # images that go through the network at a time; None: as many as train best
    )
    process: int = 0  # of several on this machine: they take its GPUs in turn
    captures: bool = True  # optimizer steps, where the device records them
    # this process does nothing else: its memory may be managed for training until it ends
    own_process: bool = False
    synthetic_seconds: float = 0.0  # that an epoch of the made-up objective takes
    checkpoint_seconds: float = (
        CHECKPOINT_SECONDS  # of training, at least, between two that are written
    )
    data_map: Mapping[str, Path] = field(
        default_factory=dict
    )  # where folders of images lie here, by their stored name
    accept_data: bool = False  # studies go on with the data that is here, whatever they had before

    def shared(self, share: Share) -> "Machine":
        """How each of so many workers is to work."""
        return replace(
            self, threads=share.threads, crew=share.workers if self.threads is None else 0
        )

    def after(self, spent: ProcessSpent) -> "Machine":
        """How the next process is to work where one was spent on this machine."""
        return replace(self, captures=self.captures and spent.captures)


@dataclass(frozen=True)
class Objective:
    """What trains a trial, and where."""

    train: Train
    device: str
    computing: Computing  # of new trials; one that was begun elsewhere is trained as it was there
    files_of: "FilesOf | None" = None  # of a new incumbent
    data: "DataFacts | None" = None  # that it trains on; None where there is none
    check: Callable[[], None] = lambda: (
        None
    )  # after an error: raises ProcessSpent where this process trains no more
    fitting: FittingThreads | None = (
        None  # of new trials, where nobody has said how many they are to have
    )


def build_objective(
    spec: StudySpec,
    machine: Machine,
    on_progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
    stored: "StoredStudy | None" = None,
) -> Objective:
    """Loads the data and readies the device; `on_progress(done, total)` counts images where they
    must be decoded.

    Where the machine says no number of threads and none is known to be the best, it is measured,
    which `say` is told. `stored` is the study's row, which knows more of its data than the spec
    does.

    Raises:
        DataError, DataUnavailable: the data cannot be used, or is not to be had.
        OtherData: it is not what the study was trained on so far.
        DeviceError: the device is not there.
    """
    if spec.data.dataset == "synthetic":
        return _synthetic(spec, machine)
    from objectives import data, device, model_file, training
    from objectives.optimizers import load_optimizers
    from search.measured import divide, kept_division
    from search.pictures import incumbent_files

    chosen = device.pick_device(machine.device, machine.process)
    device.make_current(chosen)
    device.check_precision(spec.training.precision, chosen)
    if machine.own_process:
        device.keep_freed_memory()

    def open_data(config: DataConfig) -> data.ImageDataset:
        return data.open_dataset(
            config,
            data_root=needed(machine.data_root),
            cache_root=needed(machine.cache_root),
            on_progress=on_progress,
        )

    _, dataset = find_data(spec, stored, machine, open_data)
    resident = data.hold(dataset, chosen)
    # After all that may be refused
    before = kept_division(str(chosen), machine.division_root)
    share = divide(1, machine.threads, device=str(chosen), folder=machine.division_root, say=say)
    kept = before or kept_division(str(chosen), machine.division_root)
    computing = Computing(device.set_threads(share.threads), _piece_on(str(chosen), machine, kept))
    load_optimizers(chosen)

    def train(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        device.set_threads(computing.threads)
        return training.train(
            training.Run(
                hyperparameters,
                resident,
                epochs=spec.training.epochs,
                seed=seed,
                channels=spec.model.channels,
                hidden_units=spec.model.hidden_units,
                decay_scope=spec.training.decay_scope,
                precision=spec.training.precision,
                piece=computing.piece,
            ),
            resume=resume,
            pulse=pulse,
            captures=machine.captures,
        )

    def files_of(trained: ResumableTraining, epochs: Sequence[EpochRecord]) -> Mapping[str, bytes]:
        assert isinstance(trained, training.Training)
        model = model_file.model_bytes(trained.trained())
        return incumbent_files(model, epochs, trained.examine(), resident.class_names)

    check = partial(device.check_answers, chosen)
    fitting = (
        None
        if is_gpu(str(chosen))
        else _fitting(machine, computing.threads, kept, before is not None, say)
    )
    return Objective(train, str(chosen), computing, files_of, dataset.facts, check, fitting)


def _fitting(
    machine: Machine,
    threads: int,
    kept: Division | None,
    looks_first: bool,
    say: Callable[[str], None],
) -> FittingThreads | None:
    # Where nobody has said how many.
    cores = usable_cores()
    if machine.crew > 1:  # the processes of one parent
        others = partial(OtherPrograms, partial(seconds_of_children, os.getppid()))
        return FittingThreads(
            threads,
            most=threads,
            cores=cores,
            workers=machine.crew,
            looks_first=looks_first,
            say=say,
            others=others,
        )
    if machine.threads is None or machine.crew == 1:
        most = cores if kept is None else kept.alone
        return FittingThreads(threads, most=most, cores=cores, looks_first=looks_first, say=say)
    return None


def _piece_on(device: str, machine: Machine, kept: Division | None) -> int | None:
    # None: as many images as go through the network by default on that kind of device.
    if machine.piece is not None or is_gpu(device):
        return machine.piece
    return PIECE if kept is None else kept.piece


def _synthetic(spec: StudySpec, machine: Machine) -> Objective:
    from objectives.synthetic import synthetic_curve

    def train(
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        return synthetic_curve(
            hyperparameters,
            spec.training.epochs,
            seed,
            resume=resume,
            pulse=pulse,
            seconds_per_epoch=machine.synthetic_seconds,
        )

    return Objective(train, "none", Computing(1))
