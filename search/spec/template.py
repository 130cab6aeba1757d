"""The commented spec that a user starts from, drawn from the defaults themselves."""

import tomli_w

from search.space.parameters import PARAMETERS, TECHNIQUES
from search.spec.reading import parse_spec
from search.spec.space_table import domain_to_toml

_HEAD = """\
# A study of hypersearch. What is left out keeps its default; 'hypersearch spec check FILE' checks it.

[study]
name = "my-study"              # 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit
seed = 0                       # of the sampler and of every trial
metric = "accuracy"            # on the validation split: accuracy, balanced_accuracy, macro_f1 (up), loss (down)
trials = 40                    # finished trials to end with
# timeout = "2h"               # end after that time
# target = 0.99                # end when a trial reaches it
# minimize = ["parameters"]    # further objectives: parameters, macs, latency
# priority = 0                 # workers of several studies serve the highest first
sampler = "tpe"                # tpe, gp, cmaes, random, qmc, grid or brute_force
pruner = "asha"                # none, asha, hyperband, median, percentile, patient or threshold

[data]
dataset = "mnist-5k"           # one of the names in docs/data.md, or images:FOLDER (one sub-folder per class)
validation_fraction = 0.2      # of the training split, stratified
# folds = 5                    # in place of a fraction: so many folds, validation is one; 'confirm --resplit' uses the others
split_seed = 0                 # which images those are; apart from study.seed, so that studies can share a split
# image_size = 64              # for folders of images
# resize = "pad"               # of a folder: "crop" keeps the middle of each image, "pad" all of it between black, "stretch" all of it
# groups = "patient_([0-9]+)"  # of a folder, what belongs together: an expression on the path, or a CSV (docs/data.md)
# labels = "labels.csv"        # of a folder, a table of path, class and if you like split and group (docs/data.md)
# split_version = 2            # of a folder: 2 keeps equal images on one side of a split, 1 is as it was before

[training]
epochs = 8                     # of every trial; schedules depend on them
# timeout = "20m"              # a trial that takes longer is pruned
precision = "float32"          # or "tf32", "bf16" (autocast), on a GPU that has it
decay_scope = "weights"        # weight decay and L1 on conv and linear weights; or "all", biases and norms too

[model]
# channels = [16, 32, 64]      # of each block; all but the first halve the image. above 64 pixels a block more, above 128 two
# head = "flatten"             # or "average": of each channel over its pixels, as it is above 64 pixels
block = "plain"                # or "residual": two further layers with a way around them in all blocks but the first
hidden_units = 100             # of the layer before the classes

[constraints]
# parameters = 500_000         # at most so many trainable numbers; a network over a bound is not trained
# macs = 10_000_000            # at most so many multiply-accumulates an image
# latency = 1.5                # at most so many milliseconds an image, as measured

# One value pins a parameter, a list chooses, { low, high, log, optional } is a range; false pins a technique off;
# optional: may also be off. These are the defaults: keep what you want to change.
[space]
"""

_TAIL = """
# Configurations to run first, before the sampler's own; what one does not name is the sampler's.
# [[trial]]
# optimizer = "adamw"
# "adamw.learning_rate" = 0.002
"""


def starting_spec() -> str:
    """A complete spec as TOML, with comments."""
    domains = dict(parse_spec({}).space.domains)
    lines = []
    for technique in TECHNIQUES:
        lines.append(f"# {technique}")
        lines += [
            _inline(name, domain_to_toml(domains[name]))
            for name, parameter in PARAMETERS.items()
            if parameter.technique == technique
        ]
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def _inline(name: str, value: object) -> str:
    # tomli_w writes a table of its own for a mapping, and a line for each entry of a list, unless
    # in an array.
    text = tomli_w.dumps({name: [value]}).split("=", 1)
    key, content = text[0].strip(), " ".join(text[1].split())
    return f"{key} = {content.removeprefix('[').removesuffix(']').strip().removesuffix(',')}"
