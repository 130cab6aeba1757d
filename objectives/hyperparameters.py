"""What to train: frozen and complete. A parameter that is not active cannot exist in it."""

from dataclasses import dataclass, fields
from typing import ClassVar


class Optimizer:
    """How weights follow gradients: what torch's is built from, see objectives.optimizers."""

    name: ClassVar[str]
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent; `weight_decay` is L2, coupled into the gradient. Without
    momentum no Nesterov.
    """

    name: ClassVar[str] = "sgd"
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Adagrad; `weight_decay` is L2, coupled into the gradient."""

    name: ClassVar[str] = "adagrad"
    learning_rate: float
    weight_decay: float = 0.0


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop; `weight_decay` is L2, coupled into the gradient; `centered` divides by the estimated
    deviation.
    """

    name: ClassVar[str] = "rmsprop"
    learning_rate: float
    weight_decay: float = 0.0
    alpha: float = 0.99
    momentum: float = 0.0
    centered: bool = False


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam; `weight_decay` is L2, coupled into the gradient."""

    name: ClassVar[str] = "adam"
    learning_rate: float
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    amsgrad: bool = False


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled `weight_decay`: weights shrink by learning_rate * weight_decay a step."""

    name: ClassVar[str] = "adamw"
    learning_rate: float
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    amsgrad: bool = False


@dataclass(frozen=True)
class NAdam(Optimizer):
    """Adam with Nesterov momentum; `weight_decay` is L2, coupled into the gradient."""

    name: ClassVar[str] = "nadam"
    learning_rate: float
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999


@dataclass(frozen=True)
class RAdam(Optimizer):
    """Adam with a rectified first phase; `weight_decay` is L2, coupled into the gradient."""

    name: ClassVar[str] = "radam"
    learning_rate: float
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999


OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.name: kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW, NAdam, RAdam)
}


class Scheduler:
    """What the learning rate is multiplied by: see objectives.schedulers."""

    name: ClassVar[str]


@dataclass(frozen=True)
class Constant(Scheduler):
    """The learning rate stays."""

    name: ClassVar[str] = "constant"


@dataclass(frozen=True)
class Step(Scheduler):
    """Every `period` (a share of the run's epochs) the learning rate is multiplied by `factor`."""

    name: ClassVar[str] = "step"
    period: float
    factor: float


@dataclass(frozen=True)
class MultiStep(Scheduler):
    """After each of two shares of the run's epochs the learning rate is multiplied by `factor`."""

    name: ClassVar[str] = "multistep"
    first: float
    second: float
    factor: float


@dataclass(frozen=True)
class Exponential(Scheduler):
    """A constant ratio between epochs, so that the last epoch's rate is `final_ratio` of the
    first's.
    """

    name: ClassVar[str] = "exponential"
    final_ratio: float


@dataclass(frozen=True)
class Plateau(Scheduler):
    """Multiplied by `factor` when the validation loss has not improved for more than `patience` of
    the run's epochs.
    """

    name: ClassVar[str] = "plateau"
    patience: float
    factor: float


@dataclass(frozen=True)
class Cosine(Scheduler):
    """Half a cosine from the learning rate to zero, per optimizer step over the planned total."""

    name: ClassVar[str] = "cosine"


@dataclass(frozen=True)
class OneCycle(Scheduler):
    """Up to the learning rate in the first `rise` of the run, then down to nothing, per optimizer
    step.
    """

    name: ClassVar[str] = "onecycle"
    rise: float = 0.3


SCHEDULERS: dict[str, type[Scheduler]] = {
    kind.name: kind for kind in (Constant, Step, MultiStep, Exponential, Plateau, Cosine, OneCycle)
}


@dataclass(frozen=True)
class Augmentation:
    """Random transforms of training images; `strength` in (0, 1] scales each (see
    objectives/augmentation.py).
    """

    operations: tuple[str, ...]
    strength: float


@dataclass(frozen=True)
class ClassWeights:
    """What each image's loss is multiplied by, so that small classes count for more: see
    objectives.class_balance. `beta` is that of `effective_number` alone.
    """

    # The method is one of names.CLASS_WEIGHTS, but not "none".
    method: str
    beta: float = 0.0


_ALWAYS_SHOWN = (
    *("optimizer", "scheduler", "l1", "dropout", "augmentation", "initializer"),
    *("input_normalization", "normalization", "batch_size", "warmup", "label_smoothing"),
    *("gradient_clipping", "width"),
)


@dataclass(frozen=True, repr=False)
class Hyperparameters:
    """One configuration of every technique. A strength of 0.0, `None` or "none" means: without it.

    >>> Hyperparameters(optimizer=Adam(learning_rate=1e-3)).dropout
    0.0
    """

    optimizer: Optimizer
    scheduler: Scheduler = Constant()
    l1: float = 0.0
    dropout: float = 0.0
    augmentation: Augmentation | None = None
    initializer: str = "default"
    input_normalization: str = "none"
    normalization: str = "none"
    batch_size: int = 64
    # The learning rate rises to its schedule in this share of the run.
    warmup: float = 0.0
    label_smoothing: float = 0.0
    # The gradient's norm is at most so large; None: any.
    gradient_clipping: float | None = None
    class_weights: ClassWeights | None = None
    # With 1 all classes are drawn alike.
    balanced_sampling: float = 0.0
    # The network's channels and hidden units are multiplied by it.
    width: float = 1.0
    # Depth, block and head are those of the study's [model] where they are None. The depth is a
    # number of blocks, the block one of models.names.BLOCKS, the head one of models.names.HEADS.
    depth: int | None = None
    block: str | None = None
    head: str | None = None

    def __repr__(self) -> str:
        # Made-up curves and checkpoints are known by this text: what came later than the first
        # ones is not named where it is neutral, so that a configuration's text stays what it was.
        shown = (
            f"{each.name}={value!r}"
            for each in fields(self)
            if (value := getattr(self, each.name)) != each.default or each.name in _ALWAYS_SHOWN
        )
        return f"Hyperparameters({', '.join(shown)})"
