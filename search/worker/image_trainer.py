"""Networks that are trained on a study's images, on one device of this machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from objectives import model_file, training
from objectives.data.config import Fold
from objectives.data.images import HeldImages, ImageDataset, ResidentData, hold_together
from objectives.device import set_threads
from objectives.hyperparameters import Hyperparameters
from objectives.protocol import Pulse, ResumableTraining
from objectives.run import Run
from search.machine.this_machine import Machine
from search.spec.study_spec import StudySpec
from search.worker.pictures import incumbent_files
from storage.computing import Computing
from storage.records import EpochRecord


@dataclass(frozen=True, eq=False)
class ImageTrainer:
    """What trains the trials of a study; `held` is its data on the device."""

    spec: StudySpec
    machine: Machine
    device: torch.device
    dataset: ImageDataset
    held: HeldImages

    @property
    def train(self) -> partial[ResumableTraining]:
        """Trains on the training images, given hyperparameters, seed, how the trial is computed,
        the checkpoint to go on from and the pulse.
        """
        return partial(self._train_on, self.held.on)

    def on_fold(self, fold: Fold) -> partial[ResumableTraining]:
        """As `train`, but that the fold is the validation split."""
        return partial(self._train_on, partial(self.held.on, fold))

    @property
    def refit(self) -> partial[ResumableTraining]:
        """As `train`, but on training and validation images together."""
        return partial(self._train_on, self._together)

    def files_of(
        self, trained: ResumableTraining, epochs: Sequence[EpochRecord]
    ) -> Mapping[str, bytes]:
        """The files of a new incumbent, by name."""
        assert isinstance(trained, training.Training)
        names = self.dataset.class_names
        return incumbent_files(self.model_of(trained), epochs, trained.examine(), names)

    def model_of(self, trained: ResumableTraining) -> bytes:
        """The trained network as a file's content."""
        assert isinstance(trained, training.Training)
        return model_file.model_bytes(trained.trained())

    def _together(self) -> ResidentData:
        return hold_together(self.dataset, self.held.on().validation, self.device)

    def _train_on(
        self,
        images: Callable[[], ResidentData],
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        set_threads(computing.threads)
        return training.train(
            Run(
                hyperparameters,
                images(),
                epochs=self.spec.training.epochs,
                seed=seed,
                model=self.spec.model,
                decay_scope=self.spec.training.decay_scope,
                precision=self.spec.training.precision,
                piece=computing.piece,
            ),
            resume=resume,
            pulse=pulse,
            captures=self.machine.captures,
        )
