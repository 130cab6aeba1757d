"""Which parameters there are, what each may hold, and when it exists."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from models.names import INITIALIZERS, NORMALIZATIONS
from objectives import hyperparameters as hp
from objectives.names import (
    AUGMENTATIONS,
    FORMER_AUGMENTATIONS,
    INPUT_NORMALIZATIONS,
    OPTIMIZERS,
    SCHEDULERS,
    Subject,
)
from search.space.domains import Choice, Domain, Limits, Off, Range, Value

NO_LIMITS = Limits()


@dataclass(frozen=True)
class Parameter:
    """One name of the space: the technique it belongs to, the values it may take, and the parent
    that it needs.

    `off` is the neutral value, what `false` in a spec stands for: the technique's neutral option,
    or the number that a parameter that is then not there has: 0.0 for a strength; `None` where
    there is no such thing. See `is_on`.
    """

    name: str
    technique: str
    kind: Literal["choice", "bool", "float", "int"]
    default: Domain
    limits: Limits = NO_LIMITS
    options: tuple[str, ...] = ()
    # the names that some of them had: of studies stored then
    former_options: tuple[str, ...] = ()
    off: str | float | None = None
    # its name, and the values of it that bring this parameter
    parent: tuple[str, tuple[str, ...]] | None = None

    @property
    def switch(self) -> str:
        """The name under which Optuna holds whether an optional strength is on."""
        return f"{self.name}.on"


_STRENGTH = Limits(low=0.0)
_POSITIVE = Limits(low=0.0, low_open=True)
_SHARE = Limits(low=0.0, high=1.0, low_open=True)
_WITHIN = Limits(low=0.0, high=1.0, low_open=True, high_open=True)
_BELOW_ONE = Limits(low=0.0, high=1.0, high_open=True)


def _combinations(names: Sequence[str]) -> list[str]:
    """Every combination, its parts in the order in which they are applied."""
    counts = range(1, len(names) + 1)
    return ["+".join(parts) for count in counts for parts in combinations(names, count)]


AUGMENTATION_NAMES = ("none", *_combinations(AUGMENTATIONS))
_CALLED = {present: former for former, present in FORMER_AUGMENTATIONS.items()}
FORMER_AUGMENTATION_NAMES = tuple(
    name
    for name in _combinations([_CALLED.get(each, each) for each in AUGMENTATIONS])
    if name not in AUGMENTATION_NAMES
)
# What is tried unless a spec says otherwise: nothing that makes another thing of what is to be
# recognized. A mirrored digit is no digit, a dress upside down is none that a camera sees.
DEFAULT_AUGMENTATIONS: dict[Subject, Choice] = {
    "characters": Choice(("none", "shift", "rotate", "shift+rotate")),
    "clothes": Choice(("none", "shift", "flip", "shift+flip", "shift+flip+random_erasing")),
    "photographs": Choice(
        (
            "none",
            "flip",
            "shift+flip",
            "random_resized_crop+flip",
            "random_resized_crop+flip+random_erasing",
        )
    ),
}


def _branch(parent: str, value: str, technique: str) -> Callable[..., Parameter]:
    """Makes the parameters that exist under one option, named by it."""

    def of(
        name: str,
        default: Domain,
        limits: Limits,
        off: float | None = None,
        technique: str = technique,
    ) -> Parameter:
        kind: Literal["bool", "float"] = "bool" if isinstance(off, bool) else "float"
        return Parameter(
            f"{value}.{name}", technique, kind, default, limits, off=off, parent=(parent, (value,))
        )

    return of


def _of_optimizer(name: str, learning_rate: Range, weight_decay: Range) -> Iterator[Parameter]:
    of = _branch("optimizer", name, "optimizer")
    yield of("learning_rate", learning_rate, _POSITIVE)
    # Those that are off have torch's own defaults.
    if name == "sgd":
        yield of("momentum", Range(0.0, 0.99), _BELOW_ONE, off=hp.SGD.momentum)
        yield of("nesterov", Off(), Limits(), off=False)
    if name == "rmsprop":
        yield of("alpha", Off(), _WITHIN, off=hp.RMSprop.alpha)
        yield of("momentum", Off(), _BELOW_ONE, off=hp.RMSprop.momentum)
        yield of("centered", Off(), Limits(), off=False)
    if name in ("adam", "adamw", "nadam", "radam"):
        yield of("beta1", Off(), _BELOW_ONE, off=hp.Adam.beta1)
        yield of("beta2", Off(), _BELOW_ONE, off=hp.Adam.beta2)
    if name in ("adam", "adamw"):
        yield of("amsgrad", Off(), Limits(), off=False)
    yield of("weight_decay", weight_decay, _STRENGTH, off=0.0, technique="weight_decay")


def _of_schedulers() -> Iterator[Parameter]:
    of = _branch("scheduler", "step", "scheduler")
    yield of("period", Range(0.2, 0.5), _SHARE)
    yield of("factor", Range(0.1, 0.7), _SHARE)
    of = _branch("scheduler", "multistep", "scheduler")
    yield of("first", Range(0.3, 0.6), _WITHIN)
    yield of("second", Range(0.6, 0.9), _WITHIN)
    yield of("factor", Range(0.1, 0.5), _SHARE)
    of = _branch("scheduler", "exponential", "scheduler")
    yield of("final_ratio", Range(0.01, 0.5, log=True), _SHARE)
    of = _branch("scheduler", "plateau", "scheduler")
    yield of("patience", Range(0.0, 0.3), _BELOW_ONE)
    yield of("factor", Range(0.1, 0.7), _SHARE)
    of = _branch("scheduler", "onecycle", "scheduler")
    yield of("rise", Range(0.1, 0.4), _WITHIN)


def _parameters() -> Iterator[Parameter]:
    """In the order in which they are sampled: a parent before its children."""
    usual = ("sgd", "adagrad", "rmsprop", "adam", "adamw")
    yield Parameter("optimizer", "optimizer", "choice", Choice(usual), options=OPTIMIZERS)
    # Coupled decay is divided by the gradient's size in the adaptive optimizers, decoupled decay is
    # not: other scales.
    coupled = Range(1e-6, 1e-3, log=True, optional=True)
    # Learning rates and dropout span what reaches a good accuracy within few epochs: see
    # docs/decisions/0010.
    yield from _of_optimizer(
        "sgd", Range(1e-2, 0.5, log=True), Range(1e-6, 1e-2, log=True, optional=True)
    )
    yield from _of_optimizer("adagrad", Range(3e-3, 1e-1, log=True), coupled)
    yield from _of_optimizer("rmsprop", Range(3e-4, 1e-2, log=True), coupled)
    yield from _of_optimizer("adam", Range(3e-4, 1e-2, log=True), coupled)
    yield from _of_optimizer(
        "adamw", Range(3e-4, 1e-2, log=True), Range(1e-3, 1.0, log=True, optional=True)
    )
    yield from _of_optimizer("nadam", Range(3e-4, 1e-2, log=True), coupled)
    yield from _of_optimizer("radam", Range(3e-4, 1e-2, log=True), coupled)
    yield Parameter("batch_size", "batch_size", "int", Choice((32, 64, 128)), Limits(low=8))
    usual = ("constant", "step", "exponential", "cosine", "onecycle")
    yield Parameter(
        "scheduler", "scheduler", "choice", Choice(usual), options=SCHEDULERS, off="constant"
    )
    yield from _of_schedulers()
    # Not under onecycle, which has a rise of its own.
    warm = tuple(name for name in SCHEDULERS if name != "onecycle")
    yield Parameter(
        "warmup", "warmup", "float", Off(), _BELOW_ONE, off=0.0, parent=("scheduler", warm)
    )
    yield Parameter(
        "l1", "l1", "float", Range(1e-7, 1e-3, log=True, optional=True), _STRENGTH, off=0.0
    )
    yield Parameter(
        "dropout", "dropout", "float", Range(0.05, 0.3, optional=True), _BELOW_ONE, off=0.0
    )
    yield Parameter(
        "label_smoothing",
        "label_smoothing",
        "float",
        Range(0.02, 0.2, optional=True),
        _BELOW_ONE,
        off=0.0,
    )
    yield Parameter("gradient_clipping", "gradient_clipping", "float", Off(), _STRENGTH, off=0.0)
    yield Parameter(
        "augmentation",
        "augmentation",
        "choice",
        DEFAULT_AUGMENTATIONS["characters"],
        options=AUGMENTATION_NAMES,
        former_options=FORMER_AUGMENTATION_NAMES,
        off="none",
    )
    drawn = ("augmentation", AUGMENTATION_NAMES[1:] + FORMER_AUGMENTATION_NAMES)
    yield Parameter(
        "augmentation.strength", "augmentation", "float", Range(0.1, 1.0), _SHARE, parent=drawn
    )
    yield Parameter(
        "initializer",
        "initializer",
        "choice",
        Choice(("default", "xavier_normal", "he_normal", "orthogonal")),
        options=INITIALIZERS,
        off="default",
    )
    yield Parameter(
        "input_normalization",
        "input_normalization",
        "choice",
        Choice(INPUT_NORMALIZATIONS),
        options=INPUT_NORMALIZATIONS,
        off="none",
    )
    yield Parameter(
        "normalization",
        "normalization",
        "choice",
        Choice(("none", "batch", "layer", "group")),
        options=NORMALIZATIONS,
        off="none",
    )
    yield Parameter("width", "width", "float", Off(), _POSITIVE, off=1.0)


PARAMETERS: dict[str, Parameter] = {parameter.name: parameter for parameter in _parameters()}
TECHNIQUES: tuple[str, ...] = tuple(
    dict.fromkeys(parameter.technique for parameter in PARAMETERS.values())
)
SWITCHES: dict[str, Parameter] = {parameter.switch: parameter for parameter in PARAMETERS.values()}


def is_on(name: str, value: Value | None) -> bool:
    """Whether the parameter takes part where it holds the value (`None`: where it is not there).

    Its neutral value is off however it is spelt: a strength of 0.0 trains as one that is not there
    does.

    >>> [is_on("dropout", value) for value in (None, False, 0.0, 0.25)], is_on("width", 1.0)
    ([False, False, False, True], False)
    """
    if value is None or value is False:
        return False
    return name not in PARAMETERS or value != PARAMETERS[name].off


def neutral_value(technique: str) -> str | float | None:
    """What "without it" means, for all strengths of a technique; `None` where there is no such
    thing.
    """
    own = (each for each in PARAMETERS.values() if each.technique == technique)
    return PARAMETERS[technique].off if technique in PARAMETERS else next(own).off


def is_active(parameter: Parameter, values: Mapping[str, Value]) -> bool:
    """Whether the parameter exists beside these values: its parent holds the value that brings
    it.
    """
    if parameter.parent is None:
        return True
    name, bringing = parameter.parent
    return values.get(name) in bringing


def present_augmentation(name: str) -> str:
    """The name that a combination has now.

    >>> present_augmentation("crop+flip"), present_augmentation("shift")
    ('random_resized_crop+flip', 'shift')
    """
    return "+".join(FORMER_AUGMENTATIONS.get(part, part) for part in name.split("+"))
