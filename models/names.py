"""Names of the options of the network's parts; no torch, so that a spec is checked without it."""

NORMALIZATIONS = ("none", "batch", "layer", "group", "instance")
INITIALIZERS = (
    "default",
    "normal",
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "orthogonal",
)
BLOCKS = ("plain", "residual")
HEADS = ("flatten", "average")
