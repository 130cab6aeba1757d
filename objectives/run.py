"""One training, as everything that its result depends on."""

from dataclasses import dataclass, field, fields

from models.cnn import CNNConfig
from objectives.architecture import ModelConfig, architecture
from objectives.data.images import ResidentData
from objectives.hyperparameters import Hyperparameters

# So many images go through the network at a time, by type of device, where a run does not say:
# results depend on it by rounding alone. On a CPU it is few because glibc gives large blocks back
# to the system after each use: batch 256 of 28 x 28, 2 threads of an EPYC, torch 2.15, images/s (n
# = 7): 3,480 by 64, 3,410 by 96, 2,270 by 128, 2,070 at once; under device.keep_freed_memory 3,900
# to 4,300 by any. On a GPU large batches, and evaluation, are to fit into its memory; the number is
# not measured.
IMAGES_AT_ONCE = {"cpu": 64, "cuda": 512, "mps": 512}


@dataclass(frozen=True)
class Run:
    """One training: everything that its result depends on."""

    hyperparameters: Hyperparameters
    # The data is on the device to train on.
    data: ResidentData
    epochs: int
    seed: int
    model: ModelConfig = field(default_factory=ModelConfig)
    # The scope is one of names.DECAY_SCOPES.
    decay_scope: str = "weights"
    # The precision is one of names.PRECISIONS: tf32 trains with products rounded to it, bf16 under
    # autocast; each is evaluated in float32.
    precision: str = "float32"
    # So many images go through the network at a time, in training and evaluation (None:
    # IMAGES_AT_ONCE of the device); in training batch normalization takes the whole batch.
    piece: int | None = None

    def __post_init__(self) -> None:
        if self.piece is not None and self.piece < 1:
            raise ValueError(f"piece {self.piece}: give 1 or more")

    @property
    def images_at_once(self) -> int:
        """The piece, or what its device has."""
        return (
            IMAGES_AT_ONCE[self.data.train.images.device.type] if self.piece is None else self.piece
        )


def network_of(run: Run) -> CNNConfig:
    """What the run's network is built from."""
    options = run.hyperparameters
    _, channels, height, width = run.data.train.images.shape
    shape = architecture(
        run.model,
        (height, width),
        width=options.width,
        depth=options.depth,
        block=options.block,
        head=options.head,
    )
    return CNNConfig(
        in_channels=channels,
        image_size=(height, width),
        classes=len(run.data.class_names),
        channels=shape.channels,
        hidden_units=shape.hidden_units,
        head=shape.head,
        block=shape.block,
        normalization=options.normalization,
        initializer=options.initializer,
        dropout=options.dropout,
    )


def fingerprint(run: Run) -> str:
    """Everything that the result depends on by more than rounding, which leaves out device and
    piece.

    Of the data, which may be large, it has the shape and the classes beside the data's own
    fingerprint, which says nothing of how they were split.
    """
    options = {
        field.name: getattr(run, field.name)
        for field in fields(run)
        if field.name not in ("data", "piece")
    }
    data = run.data
    return repr(
        (
            options,
            data.facts,
            data.train.images.shape,
            data.validation.images.shape,
            data.class_names,
        )
    )
