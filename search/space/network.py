"""The network's shape declared: what of it may be searched beside [model], which says the rest."""

from search.space.domains import Limits, Off
from search.space.parameter import POSITIVE, TUTORIAL, Option, Parameter

AS_MODEL = "model"
_AS_MODEL = Option(AS_MODEL, "as [model] has it", "-")

WIDTH = Parameter(
    "width",
    "width",
    "float",
    Off(),
    POSITIVE,
    off=1.0,
    meaning="how wide the network is: more computation for more capacity",
    described=(
        Option(
            "width", "times the channels and hidden units of [model], rounded", "Howard et al. 2017"
        ),
    ),
)
DEPTH = Parameter(
    "depth",
    "depth",
    "int",
    Off(),
    Limits(low=1),
    off=0,
    added_later=True,
    made=lambda depth, values: depth or None,
    meaning="how many blocks the network has: each but the first halves the image",
    described=(
        Option(
            "depth",
            "so many blocks: the first of [model] channels, then further ones with twice the"
            " channels of the one before, up to 256; off: as [model] has it",
            "Simonyan & Zisserman 2015",
        ),
    ),
)
BLOCK = Parameter(
    "block",
    "block",
    "choice",
    Off(),
    off=AS_MODEL,
    added_later=True,
    made=lambda block, values: None if block == AS_MODEL else block,
    meaning="what stands in each block but the first",
    described=(
        _AS_MODEL,
        Option("plain", "conv 3x3, normalization, pool of 2, ReLU", TUTORIAL),
        Option(
            "residual",
            "plain, then h + F(h), F twice conv 3x3, normalization, ReLU",
            "He et al. 2016, Page 2018",
        ),
    ),
)
HEAD = Parameter(
    "head",
    "head",
    "choice",
    Off(),
    off=AS_MODEL,
    added_later=True,
    made=lambda head, values: None if head == AS_MODEL else head,
    meaning="what the hidden layer sees of the last block",
    described=(
        _AS_MODEL,
        Option("flatten", "every pixel of every channel", TUTORIAL),
        Option("average", "each channel's mean over its pixels", "Lin et al. 2014"),
    ),
)
