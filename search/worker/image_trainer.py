"""Networks that are trained on a study's images, on one device of this machine."""

from collections.abc import Mapping, Sequence
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

    def train(
        self,
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        """On the training images."""
        return self._train_on(self.held.on(), hyperparameters, seed, computing, resume, pulse)

    def on_fold(self, fold: Fold) -> partial[ResumableTraining]:
        """As `train`, but that the fold is the validation split."""
        return partial(self._train_on, self.held.on(fold))

    def refit(
        self,
        hyperparameters: Hyperparameters,
        seed: int,
        computing: Computing,
        resume: bytes | None,
        pulse: Pulse,
    ) -> ResumableTraining:
        """On training and validation images together."""
        together = hold_together(self.dataset, self.held.on().validation, self.device)
        return self._train_on(together, hyperparameters, seed, computing, resume, pulse)

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

    def _train_on(
        self,
        images: ResidentData,
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
                images,
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
