"""What makes up for classes of unequal size, declared."""

from objectives import hyperparameters as hp
from search.space.domains import Choice, Limits, Off
from search.space.parameter import WITHIN, Option, Parameter, Values


def _class_weights(method: str, values: Values) -> hp.ClassWeights | None:
    if method == "none":
        return None
    beta = CLASS_WEIGHTS_BETA.read(values)
    assert isinstance(beta, float)
    return hp.ClassWeights(method, beta if method == "effective_number" else 0.0)


CLASS_WEIGHTS = Parameter(
    "class_weights",
    "class_weights",
    "choice",
    Off(),
    off="none",
    added_later=True,
    made=_class_weights,
    meaning=(
        "the loss of an image is multiplied by a weight of its class, by the n training images that"
        " the class has; the mean weight of all images is 1, reported losses are without"
    ),
    described=(
        Option("none", "every image counts 1", "-"),
        Option("inverse", "proportional to 1 / n: every class counts alike", "King & Zeng 2001"),
        Option("square_root", "proportional to 1 / sqrt(n)", "Mahajan et al. 2018"),
        Option(
            "effective_number",
            "proportional to (1 - beta) / (1 - beta^n): as inverse where n is far below"
            " 1 / (1 - beta), as none where it is far above",
            "Cui et al. 2019",
        ),
    ),
)
CLASS_WEIGHTS_BETA = Parameter(
    "class_weights.beta",
    "class_weights",
    "float",
    # Cui et al. 2019 try 0.9, 0.99, 0.999 and 0.9999.
    Choice((0.999,)),
    WITHIN,
    added_later=True,
    parent=("class_weights", ("effective_number",)),
)
BALANCED_SAMPLING = Parameter(
    "balanced_sampling",
    "balanced_sampling",
    "float",
    Off(),
    Limits(low=0.0, high=1.0),
    off=0.0,
    added_later=True,
    meaning="small classes are drawn oftener, large ones not all: an epoch has as many images",
    described=(
        Option(
            "balanced_sampling",
            "a class of n training images is drawn in proportion to n^(1 - s): all alike at 1, by"
            " the square root at 0.5; of a class each image as often as the others, or once more",
            "Kang et al. 2020, Mahajan et al. 2018",
        ),
    ),
)
