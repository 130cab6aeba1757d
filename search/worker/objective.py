"""From a spec to the function that trains one trial, on this machine."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from objectives.data.config import DataConfig, Fold
from objectives.hyperparameters import Hyperparameters
from objectives.predicted import Predicted
from objectives.processor import usable_cores
from objectives.protocol import Pulse, ResumableTraining
from search.machine.division import PIECE, Division, is_gpu
from search.machine.folders import FolderUnknown, needed
from search.machine.other_programs import OtherPrograms, seconds_of_children
from search.machine.this_machine import Machine
from search.machine.threads import FittingThreads
from search.space.configuration import Configuration
from search.spec.follow_up import PlannedTraining
from search.spec.study_spec import StudySpec
from search.studies.data_location import find_data
from search.worker.readings import TestReader, open_reader
from search.worker.weights import read_weights
from storage.computing import Computing

if TYPE_CHECKING:
    from objectives.data.images import HeldImages, ImageDataset
    from objectives.data.source import DataFacts
    from objectives.pretrained import Reference

    # The module's imports, Optuna among them, would cost every command.
    from search.worker.artifacts import FilesOf
    from storage.studies import StoredStudy

# The arguments are hyperparameters, seed, how the trial is computed, the checkpoint to go on from
# and the pulse.
Train = Callable[[Hyperparameters, int, Computing, bytes | None, Pulse], ResumableTraining]


@dataclass(frozen=True)
class Objective:
    """What trains a trial, and where."""

    train: Train
    device: str
    # New trials are computed so; one that was begun elsewhere is trained as it was there.
    computing: Computing
    # The files are those of a new incumbent.
    files_of: "FilesOf | None" = None
    # The trained network as a file's content; made-up curves have none.
    model_of: Callable[[ResumableTraining], bytes] | None = None
    # The function opens the test split, for search.worker.readings alone.
    open_test: Callable[[], TestReader] | None = None
    # The trials train on this data; `None` where there is none.
    data: "DataFacts | None" = None
    # The check follows an error: it raises ProcessSpent where this process trains no more.
    check: Callable[[], None] = lambda: None
    # New trials have these threads, where nobody has said how many they are to have.
    fitting: FittingThreads | None = None
    # The function trains as `train`, but on training and validation images together; made-up curves
    # have none.
    refit: Train | None = None
    # The pretrained network that the follow-up compares with, where it has one: on the split of the
    # search, or on that fold.
    reference: "Callable[[Fold | None], Reference] | None" = None
    # As `train`, but with that fold as the validation split; of studies that have data.folds.
    on_fold: Callable[[Fold], Train] | None = None


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
    from objectives import device
    from objectives.data.images import HeldImages
    from objectives.optimizers import load_optimizers
    from objectives.run import IMAGES_AT_ONCE
    from search.machine.division_file import kept_division
    from search.worker.image_trainer import ImageTrainer

    chosen = device.pick_device(machine.device, machine.process)
    device.make_current(chosen)
    device.check_precision(spec.training.precision, chosen)
    if machine.own_process:
        device.keep_freed_memory()
    config, dataset = _open_data(spec, machine, stored, on_progress)
    weights = read_weights(stored, machine.files)
    held = HeldImages(dataset, chosen)
    held.on()
    trainer = ImageTrainer(spec, machine, chosen, dataset, held)
    # The threads are measured after all that may be refused.
    before = kept_division(str(chosen), machine.division_root)
    computing, kept = _compute_here(str(chosen), machine, say)
    load_optimizers(chosen)
    at_once = IMAGES_AT_ONCE[chosen.type]
    # As of the images, one division is held at a time.
    reference = (
        None if weights is None else lru_cache(1)(partial(_reference, *weights, held, machine))
    )
    return Objective(
        trainer.train,
        str(chosen),
        computing,
        trainer.files_of,
        trainer.model_of,
        open_test=partial(open_reader, config, spec.name, machine, chosen, at_once, reference),
        data=dataset.facts,
        check=partial(device.check_answers, chosen),
        fitting=None
        if is_gpu(str(chosen))
        else _fitting(machine, computing.threads, kept, before is not None, say),
        refit=trainer.refit,
        reference=reference,
        on_fold=trainer.on_fold,
    )


def _reference(
    backbone: str, weights: bytes, held: "HeldImages", machine: Machine, fold: Fold | None
) -> "Reference":
    # The networks of torchvision take long to load, and few studies need them.
    from objectives.pretrained import Reference

    root = machine.cache_root
    folder = None if isinstance(root, FolderUnknown) else root / "features"
    return Reference(backbone, weights, held.on(fold), folder)


def _open_data(
    spec: StudySpec,
    machine: Machine,
    stored: "StoredStudy | None",
    on_progress: Callable[[int, int], None] | None,
) -> "tuple[DataConfig, ImageDataset]":
    """What the study's data is called here, and the data."""
    if machine.parcels is not None:
        from search.worker.parcels import open_parcel

        return spec.data, open_parcel(spec.data, spec.name, machine.parcels)
    from objectives.data.images import open_dataset

    def open_data(config: DataConfig) -> "ImageDataset":
        return open_dataset(
            config,
            data_root=needed(machine.data_root),
            cache_root=needed(machine.cache_root),
            on_progress=on_progress,
        )

    return find_data(spec, stored, machine, open_data)


def _compute_here(
    device: str, machine: Machine, say: Callable[[str], None]
) -> tuple[Computing, Division | None]:
    """How this process computes from now on, and what the machine is known to train best with."""
    from objectives.device import set_threads
    from search.machine.division_file import divide, kept_division

    before = kept_division(device, machine.division_root)
    share = divide(1, machine.threads, device=device, folder=machine.division_root, say=say)
    kept = before or kept_division(device, machine.division_root)
    return Computing(set_threads(share.threads), _piece_on(device, machine, kept)), kept


def _fitting(
    machine: Machine,
    threads: int,
    kept: Division | None,
    looks_first: bool,
    say: Callable[[str], None],
) -> FittingThreads | None:
    # The threads are fitted where nobody has said how many there are to be.
    cores = usable_cores()
    # A crew is the processes of one parent.
    if machine.crew > 1:
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
    # The piece is None where as many images go through the network as by default on that kind of
    # device.
    if machine.piece is not None or is_gpu(device):
        return machine.piece
    return PIECE if kept is None else kept.piece


def _synthetic(spec: StudySpec, machine: Machine) -> Objective:
    from objectives.synthetic import SyntheticCurve, synthetic_curve

    def train_on(
        fold: Fold | None,
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
            fold=fold,
        )

    class Reader:
        """A made-up test split: what it is answered is a function of configuration and seed."""

        def of_training(self, training: ResumableTraining) -> Predicted:
            assert isinstance(training, SyntheticCurve)
            return training.test_predictions()

        def of_kept(self, planned: PlannedTraining, model: bytes | None) -> Predicted:
            hyperparameters = Configuration(planned.values).hyperparameters()
            again = synthetic_curve(
                hyperparameters, spec.training.epochs, planned.seed, fold=planned.fold
            )
            for _ in again:
                pass
            return again.test_predictions()

    return Objective(
        partial(train_on, None),
        "none",
        Computing(1),
        open_test=Reader,
        on_fold=lambda fold: partial(train_on, fold),
    )
