"""What one epoch of a training hands to the next, and how a checkpoint keeps it."""

from copy import copy
from dataclasses import dataclass
from io import BytesIO

import torch
from torch import Tensor, nn

from models.cnn import CNN
from objectives.class_balance import weights_of_classes
from objectives.device import derived_seed, generator, global_random
from objectives.errors import CheckpointError
from objectives.optimizers import build_optimizer, load_optimizer
from objectives.run import Run, fingerprint, network_of


@dataclass
class TrainingState:
    """All that one epoch hands to the next: what a checkpoint holds, but for the memory format and
    the weights of classes, which follow from the run.
    """

    model: nn.Module
    # The format is that of the model's kernels and of the images that it is shown.
    memory_format: torch.memory_format
    optimizer: torch.optim.Optimizer
    shuffle: torch.Generator
    augmentation: torch.Generator
    # The generator draws the masks of dropout.
    masks: torch.Generator
    # There is one validation loss a finished epoch.
    validation_losses: list[float]
    # The weights have shape (K,) and are float32; None: all classes count alike.
    class_weights: Tensor | None

    @property
    def epoch(self) -> int:
        """How many are finished."""
        return len(self.validation_losses)

    @classmethod
    def fresh(
        cls, run: Run, replayable: bool, memory_format: torch.memory_format
    ) -> "TrainingState":
        """The state before the first epoch; `replayable`: its steps can be captured."""
        device, cpu = run.data.train.images.device, torch.device("cpu")
        # Weights are drawn on the CPU. There masks follow them in the same generator.
        initial = generator(run.seed, "torch", cpu)
        masks = initial if device == cpu else generator(run.seed, "torch", device)
        with global_random(initial):
            model = CNN(network_of(run), masks).to(device).to(memory_format=memory_format)
        return cls(
            model,
            memory_format,
            build_optimizer(
                run.hyperparameters.optimizer, model, run.decay_scope, replayable=replayable
            ),
            generator(run.seed, "shuffle", cpu),
            generator(run.seed, "augmentation", device),
            masks,
            [],
            _class_weights(run),
        )

    def load(self, run: Run, content: bytes) -> None:
        """Makes a fresh state the one of a checkpoint. Raises CheckpointError."""
        device = self.augmentation.device
        try:
            # The content is loaded on the CPU first: from there each part goes to where it belongs.
            saved = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
            if saved["run"] != fingerprint(run):
                raise CheckpointError.of_another_run()
            self.validation_losses = saved["validation_losses"]
            # The weights are copied into the fresh ones, which keep their memory format.
            self.model.load_state_dict(saved["model"])
            load_optimizer(self.optimizer, saved["optimizer"])
            self.shuffle.set_state(saved["shuffle"])
            if saved["device"] == device.type:
                self.augmentation.set_state(saved["augmentation"])
                # An earlier version had several generators, so the file holds a list.
                self.masks.set_state(saved["random"][-1])
            # The states of the start would draw again what the first epochs have drawn.
            else:
                self.augmentation.manual_seed(
                    derived_seed(run.seed, f"augmentation after {self.epoch}")
                )
                self.masks.manual_seed(derived_seed(run.seed, f"torch after {self.epoch}"))
        except CheckpointError:
            raise
        # There is no end to what torch raises for bytes that are no checkpoint.
        except Exception as error:
            raise CheckpointError.unreadable() from error

    def content(self, run: Run) -> dict[str, object]:
        """What a checkpoint holds, with the tensors that training goes on to change."""
        return {
            "run": fingerprint(run),
            "validation_losses": self.validation_losses,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "shuffle": self.shuffle.get_state(),
            # The states below are those of this kind of device.
            "device": self.augmentation.device.type,
            "augmentation": self.augmentation.get_state(),
            "random": [self.masks.get_state()],
        }


def _class_weights(run: Run) -> Tensor | None:
    options, data = run.hyperparameters.class_weights, run.data
    if options is None:
        return None
    counts = torch.bincount(data.train_labels, minlength=len(data.class_names))
    return weights_of_classes(options, counts).to(data.train.labels.device)


def copied_content(content: dict[str, object]) -> dict[str, object]:
    """A copy that training does not change, on the same device, in the same memory format."""
    # What PyTorch notes beside the entries of a model's dictionary comes along.
    copied = copy(content)
    for name, value in content.items():
        copied[name] = _copy_of(value)
    return copied


def _copy_of(value: object) -> object:
    match value:
        case Tensor():
            return value.clone()
        case dict():
            return copied_content(value)
        case list():
            return [_copy_of(each) for each in value]
        case _:
            return value


def to_bytes(content: dict[str, object]) -> bytes:
    """The content as a checkpoint's file holds it."""
    torch.save(content, file := BytesIO())
    return file.getvalue()
