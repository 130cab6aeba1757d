"""Which parameters there are: all declared ones, in the order in which they are sampled."""

from collections.abc import Iterator, Mapping

from search.space.augmentations import AUGMENTATION, AUGMENTATION_STRENGTH
from search.space.class_balance import BALANCED_SAMPLING, CLASS_WEIGHTS, CLASS_WEIGHTS_BETA
from search.space.domains import Choice, Limits, Off, Range, Value
from search.space.network import BLOCK, DEPTH, HEAD, WIDTH
from search.space.optimizers import OPTIMIZER, OPTIMIZERS, WEIGHT_DECAY
from search.space.parameter import (
    BELOW_ONE,
    STRENGTH,
    TUTORIAL,
    Branch,
    Description,
    Option,
    Parameter,
)
from search.space.schedulers import SCHEDULER, SCHEDULERS, WARMUP


def _of_branches(branches: Mapping[str, Branch]) -> Iterator[Parameter]:
    return (parameter for each in branches.values() for parameter in each.parameters)


BATCH_SIZE = Parameter(
    "batch_size",
    "batch_size",
    "int",
    Choice((32, 64, 128)),
    Limits(low=8),
    # Masters and Luschi 2018 recommend small batches.
    usual=Choice((32, 64)),
    meaning="how many images a gradient is averaged over",
    described=(
        Option(
            "batch_size",
            "images an optimizer step; a last batch of one joins the one before",
            TUTORIAL,
        ),
    ),
)
L1 = Parameter(
    "l1",
    "l1",
    "float",
    Range(1e-7, 1e-3, log=True, optional=True),
    STRENGTH,
    off=0.0,
    usual=Off(),
    meaning="weights are pulled to zero by a constant; the share of weights near zero is recorded",
    described=(Option("l1", "the loss plus l1 times the sum of |w|", TUTORIAL),),
)
# Dropout spans what reaches a good accuracy within few epochs: see docs/decisions/0010.
DROPOUT = Parameter(
    "dropout",
    "dropout",
    "float",
    Range(0.05, 0.3, optional=True),
    BELOW_ONE,
    off=0.0,
    # Beside batch normalization none: Li et al. 2019, "Understanding the Disharmony between Dropout
    # and Batch Normalization".
    usual=Off(),
    meaning="parts of the network are left out at random in training",
    described=(
        Option(
            "dropout",
            "channels after each block's activation, and hidden units, are zero with this"
            " probability, the others are divided by its complement",
            "Srivastava et al. 2014, Tompson et al. 2015, " + TUTORIAL,
        ),
    ),
)
LABEL_SMOOTHING = Parameter(
    "label_smoothing",
    "label_smoothing",
    "float",
    Range(0.02, 0.2, optional=True),
    BELOW_ONE,
    off=0.0,
    meaning="the network is not asked to be certain",
    described=(
        Option(
            "label_smoothing",
            "trained on cross-entropy with (1 - s) of the true class and s / K of each of K"
            " classes; reported without",
            "Szegedy et al. 2016",
        ),
    ),
)
GRADIENT_CLIPPING = Parameter(
    "gradient_clipping",
    "gradient_clipping",
    "float",
    Off(),
    STRENGTH,
    off=0.0,
    made=lambda norm, values: norm or None,
    meaning="no step is larger than this norm of the gradient allows",
    described=(
        Option(
            "gradient_clipping",
            "g <- g min(1, c / |g|), |g| the norm of all gradients",
            "Pascanu et al. 2013",
        ),
    ),
)
INITIALIZER = Parameter(
    "initializer",
    "initializer",
    "choice",
    Choice(("default", "xavier_normal", "he_normal", "orthogonal")),
    off="default",
    # He et al. 2015 derive it for ReLU.
    usual=Choice(("he_normal",)),
    meaning="what conv and linear weights start from; biases zero, except for default",
    described=(
        Option("default", "torch's: uniform within 1 / sqrt(fan_in), biases too", "torch"),
        Option("normal", "normal, deviation 0.02", TUTORIAL),
        Option(
            "xavier_uniform", "uniform within sqrt(6 / (fan_in + fan_out))", "Glorot & Bengio 2010"
        ),
        Option(
            "xavier_normal",
            "normal, deviation sqrt(2 / (fan_in + fan_out))",
            "Glorot & Bengio 2010, " + TUTORIAL,
        ),
        Option("he_uniform", "uniform within sqrt(6 / fan_in)", "He et al. 2015"),
        Option("he_normal", "normal, deviation sqrt(2 / fan_in)", "He et al. 2015, " + TUTORIAL),
        Option("orthogonal", "orthonormal rows or columns", "Saxe et al. 2014"),
    ),
)
INPUT_NORMALIZATION = Parameter(
    "input_normalization",
    "input_normalization",
    "choice",
    Choice(("none", "standard", "minmax")),
    off="none",
    usual=Choice(("standard",)),
    meaning="how pixels are scaled before the network sees them",
    described=(
        Option("none", "pixels / 255", "-"),
        Option(
            "standard",
            "less the training split's mean, divided by its deviation, a channel",
            TUTORIAL,
        ),
        Option("minmax", "each image to 0..1; a constant one to 0", "-"),
    ),
)
NORMALIZATION = Parameter(
    "normalization",
    "normalization",
    "choice",
    Choice(("none", "batch", "layer", "group")),
    off="none",
    # Ioffe and Szegedy 2015 introduce it.
    usual=Choice(("batch",)),
    meaning="after each convolution and the hidden layer, before the activation",
    described=(
        Option("none", "activations as they are", "-"),
        Option(
            "batch", "over the batch and its pixels, a channel", "Ioffe & Szegedy 2015, " + TUTORIAL
        ),
        Option("layer", "over channels and pixels of each image", "Ba et al. 2016"),
        Option(
            "group",
            "over groups of channels (their number the largest divisor <= 8)",
            "Wu & He 2018",
        ),
        Option("instance", "over the pixels of each channel of each image", "Ulyanov et al. 2016"),
    ),
)
# A parent stands before its children.
PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        OPTIMIZER,
        *_of_branches(OPTIMIZERS),
        BATCH_SIZE,
        SCHEDULER,
        *_of_branches(SCHEDULERS),
        WARMUP,
        L1,
        DROPOUT,
        LABEL_SMOOTHING,
        GRADIENT_CLIPPING,
        AUGMENTATION,
        AUGMENTATION_STRENGTH,
        INITIALIZER,
        INPUT_NORMALIZATION,
        NORMALIZATION,
        WIDTH,
        DEPTH,
        BLOCK,
        HEAD,
        CLASS_WEIGHTS,
        CLASS_WEIGHTS_BETA,
        BALANCED_SAMPLING,
    )
}
TECHNIQUES: tuple[str, ...] = tuple(
    dict.fromkeys(parameter.technique for parameter in PARAMETERS.values())
)


def switched(name: str) -> Parameter | None:
    """The parameter that a name is the switch of; `None` where it is none.

    >>> switched("dropout.on").name, switched("dropout")
    ('dropout', None)
    """
    parameter = PARAMETERS.get(name.removesuffix(".on"))
    return parameter if parameter is not None and parameter.switch == name else None


def description(technique: str) -> Description:
    """What a user reads of a technique."""
    return PARAMETERS[technique].description if technique in PARAMETERS else WEIGHT_DECAY


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
