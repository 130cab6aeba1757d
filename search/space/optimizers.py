"""The optimizers declared: the parameters of each, what is usual, and how it is described.

One more is its dataclass in `objectives.hyperparameters`, its function in `objectives.optimizers`,
and its declaration here.
"""

from objectives import hyperparameters as hp
from search.space.domains import Choice, Domain, Limits, Off, Range
from search.space.parameter import (
    BELOW_ONE,
    NO_LIMITS,
    POSITIVE,
    STRENGTH,
    TUTORIAL,
    WITHIN,
    Branch,
    Description,
    Option,
    Parameter,
    branch,
)

_OFF = Off()


def optimizer(kind: type[hp.Optimizer], formula: str, source: str, *own: Parameter) -> Branch:
    """An optimizer of whose dataclass the parameters are the fields."""
    return branch("optimizer", kind.name, kind, formula, source, *own)


def learning_rate(default: Range, usual: Range, unnormalized: Range | None = None) -> Parameter:
    """Learning rates span what reaches a good accuracy within few epochs: see docs/decisions/0010.
    Usual are about those of the optimizers' authors.
    """
    return Parameter(
        "learning_rate",
        "optimizer",
        "float",
        default,
        POSITIVE,
        usual=usual,
        unnormalized=unnormalized,
    )


def number(
    name: str,
    limits: Limits,
    *,
    off: float,
    default: Domain = _OFF,
    usual: Range | None = None,
    unnormalized: Range | None = None,
) -> Parameter:
    """A number with a neutral value; those that are off by default have torch's own."""
    return Parameter(
        name,
        "optimizer",
        "float",
        default,
        limits,
        off=off,
        usual=usual,
        unnormalized=unnormalized,
    )


def switch(name: str) -> Parameter:
    """What is off unless a spec says otherwise."""
    return Parameter(name, "optimizer", "bool", _OFF, NO_LIMITS, off=False)


def weight_decay(default: Range) -> Parameter:
    """Its strength: that which is coupled into the gradient is divided by the gradient's size in
    the adaptive optimizers, decoupled decay is not: other scales.
    """
    return Parameter("weight_decay", "weight_decay", "float", default, STRENGTH, off=0.0)


_COUPLED = Range(1e-6, 1e-3, log=True, optional=True)
_ADAM_RATE, _ADAM_USUAL = Range(3e-4, 1e-2, log=True), Range(1e-3, 4e-3)
_BETAS = (
    number("beta1", BELOW_ONE, off=hp.Adam.beta1),
    number("beta2", BELOW_ONE, off=hp.Adam.beta2),
)
_MOMENTS = "m, v: running means (beta1, beta2) of g and g^2 without bias"

# In formulas g is a gradient, w a weight, r the learning rate.
OPTIMIZERS: dict[str, Branch] = {
    "sgd": optimizer(
        hp.SGD,
        "v <- momentum v + g; w <- w - r v; with nesterov w <- w - r (g + momentum v)",
        "Sutskever et al. 2013, " + TUTORIAL,
        # 320 photographs of 32 pixels, He's initializer, no normalization, 2 seeds: at momentum 0.9
        # a rate of 0.06 diverged in one, 0.035 in none; at momentum 0, 0.2 in both, 0.1 in none.
        learning_rate(
            Range(1e-2, 0.5, log=True), usual=Range(0.02, 0.1), unnormalized=Range(0.0, 0.02)
        ),
        number(
            "momentum",
            BELOW_ONE,
            off=hp.SGD.momentum,
            default=Range(0.0, 0.99),
            usual=Range(0.85, 0.95),
            unnormalized=Range(0.0, 0.95),
        ),
        switch("nesterov"),
        weight_decay(Range(1e-6, 1e-2, log=True, optional=True)),
    ),
    "adagrad": optimizer(
        hp.Adagrad,
        "s <- s + g^2; w <- w - r g / sqrt(s)",
        "Duchi et al. 2011, " + TUTORIAL,
        learning_rate(Range(3e-3, 1e-1, log=True), usual=Range(0.01, 0.05)),
        weight_decay(_COUPLED),
    ),
    "rmsprop": optimizer(
        hp.RMSprop,
        "s <- alpha s + (1 - alpha) g^2; v <- momentum v + g / sqrt(s); w <- w - r v; centered: s"
        " less the running mean of g, squared",
        "Tieleman & Hinton 2012, Graves 2013, " + TUTORIAL,
        learning_rate(Range(3e-4, 1e-2, log=True), usual=Range(5e-4, 3e-3)),
        number("alpha", WITHIN, off=hp.RMSprop.alpha),
        number("momentum", BELOW_ONE, off=hp.RMSprop.momentum),
        switch("centered"),
        weight_decay(_COUPLED),
    ),
    "adam": optimizer(
        hp.Adam,
        f"{_MOMENTS}; w <- w - r m / sqrt(v); amsgrad: by the largest v so far",
        "Kingma & Ba 2015, Reddi et al. 2018, " + TUTORIAL,
        learning_rate(_ADAM_RATE, _ADAM_USUAL),
        *_BETAS,
        switch("amsgrad"),
        weight_decay(_COUPLED),
    ),
    "adamw": optimizer(
        hp.AdamW,
        "adam, its weight decay decoupled",
        "Loshchilov & Hutter 2019",
        learning_rate(_ADAM_RATE, _ADAM_USUAL),
        *_BETAS,
        switch("amsgrad"),
        weight_decay(Range(1e-3, 1.0, log=True, optional=True)),
    ),
    "nadam": optimizer(
        hp.NAdam,
        f"{_MOMENTS}; adam with Nesterov's look ahead",
        "Dozat 2016",
        learning_rate(_ADAM_RATE, _ADAM_USUAL),
        *_BETAS,
        weight_decay(_COUPLED),
    ),
    "radam": optimizer(
        hp.RAdam,
        f"{_MOMENTS}; plain momentum until v can be trusted, then adam rectified",
        "Liu et al. 2020",
        learning_rate(_ADAM_RATE, _ADAM_USUAL),
        *_BETAS,
        weight_decay(_COUPLED),
    ),
}

OPTIMIZER = Parameter(
    "optimizer",
    "optimizer",
    "choice",
    Choice(("sgd", "adagrad", "rmsprop", "adam", "adamw")),
    branches=OPTIMIZERS,
    usual=Choice(("sgd", "adam", "adamw")),
    meaning="how weights follow gradients; the learning rate is one of each optimizer's own",
)

# The technique of which each optimizer has a strength of its own.
WEIGHT_DECAY = Description(
    "weights are pulled to zero in proportion; biases and normalizations too under decay_scope all",
    (
        Option(
            "coupled",
            "g <- g + weight_decay w (all but adamw): L2, weight_decay / 2 * sum of w^2",
            TUTORIAL,
        ),
        Option("decoupled", "w <- w - r weight_decay w (adamw)", "Loshchilov & Hutter 2019"),
    ),
)
