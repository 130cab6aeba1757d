"""Every technique described: its options with formula and source, and the hyperparameters that it
brings.
"""

from dataclasses import dataclass

from search.space.domains import Domain, Range
from search.space.parameters import PARAMETERS, TECHNIQUES, Parameter, neutral_value
from search.space.search_space import SearchSpace
from search.spec.document import Toml
from search.spec.space_table import domain_to_toml

TUTORIAL = "the reference tutorial"
THE_TUTORIAL = (
    'the reference tutorial: the post "Pytorch-학습 관련 기술들" on wjddyd66.github.io (23'
    " September 2019)"
)


@dataclass(frozen=True)
class Option:
    """One option of a technique, or the technique itself where it is a strength alone."""

    name: str
    formula: str
    source: str


@dataclass(frozen=True)
class Technique:
    """One technique as a user reads of it."""

    name: str
    neutral: str | float | None  # what "without it" means; None where there is no such thing
    meaning: str
    options: tuple[Option, ...]
    parameters: tuple[Parameter, ...]


_ADAM = "m, v: running means (beta1, beta2) of g and g^2 without bias"

# g: gradient, w: weight, r: learning rate; the run goes from step 0 to step T.
_OPTIONS: dict[str, tuple[Option, ...]] = {
    "optimizer": (
        Option(
            "sgd",
            "v <- momentum v + g; w <- w - r v; with nesterov w <- w - r (g + momentum v)",
            "Sutskever et al. 2013, " + TUTORIAL,
        ),
        Option("adagrad", "s <- s + g^2; w <- w - r g / sqrt(s)", "Duchi et al. 2011, " + TUTORIAL),
        Option(
            "rmsprop",
            "s <- alpha s + (1 - alpha) g^2; v <- momentum v + g / sqrt(s); w <- w - r v; centered:"
            " s less the running mean of g, squared",
            "Tieleman & Hinton 2012, Graves 2013, " + TUTORIAL,
        ),
        Option(
            "adam",
            f"{_ADAM}; w <- w - r m / sqrt(v); amsgrad: by the largest v so far",
            "Kingma & Ba 2015, Reddi et al. 2018, " + TUTORIAL,
        ),
        Option("adamw", "adam, its weight decay decoupled", "Loshchilov & Hutter 2019"),
        Option("nadam", f"{_ADAM}; adam with Nesterov's look ahead", "Dozat 2016"),
        Option(
            "radam",
            f"{_ADAM}; plain momentum until v can be trusted, then adam rectified",
            "Liu et al. 2020",
        ),
    ),
    "weight_decay": (
        Option(
            "coupled",
            "g <- g + weight_decay w (all but adamw): L2, weight_decay / 2 * sum of w^2",
            TUTORIAL,
        ),
        Option("decoupled", "w <- w - r weight_decay w (adamw)", "Loshchilov & Hutter 2019"),
    ),
    "batch_size": (
        Option(
            "batch_size",
            "images an optimizer step; a last batch of one joins the one before",
            TUTORIAL,
        ),
    ),
    "scheduler": (
        Option("constant", "r stays", "-"),
        Option(
            "step",
            "r factor^k after k periods; period: a share of the epochs, at least one",
            TUTORIAL,
        ),
        Option(
            "multistep",
            "r factor after the share `first` of the epochs, r factor^2 after `second`",
            TUTORIAL,
        ),
        Option("exponential", "a constant ratio an epoch, r final_ratio in the last", TUTORIAL),
        Option(
            "plateau",
            "r factor when the validation loss has not fallen by 0.01 % for more than patience (a"
            " share of the epochs)",
            "torch's ReduceLROnPlateau",
        ),
        Option("cosine", "r (1 + cos(pi t / T)) / 2 in step t", "Loshchilov & Hutter 2017"),
        Option(
            "onecycle",
            "half a cosine from r / 25 to r in the share `rise` of the steps, then down to r /"
            " 250,000; r in the only step of a run",
            "Smith & Topin 2018",
        ),
    ),
    "warmup": (
        Option("warmup", "the scheduled r times min(1, (t + 1) / (warmup T))", "Goyal et al. 2017"),
    ),
    "l1": (Option("l1", "the loss plus l1 times the sum of |w|", TUTORIAL),),
    "dropout": (
        Option(
            "dropout",
            "channels after each block's activation, and hidden units, are zero with this"
            " probability, the others are divided by its complement",
            "Srivastava et al. 2014, Tompson et al. 2015, " + TUTORIAL,
        ),
    ),
    "label_smoothing": (
        Option(
            "label_smoothing",
            "trained on cross-entropy with (1 - s) of the true class and s / K of each of K"
            " classes; reported without",
            "Szegedy et al. 2016",
        ),
    ),
    "gradient_clipping": (
        Option(
            "gradient_clipping",
            "g <- g min(1, c / |g|), |g| the norm of all gradients",
            "Pascanu et al. 2013",
        ),
    ),
    "augmentation": (
        Option("none", "images as they are", "-"),
        Option(
            "shift",
            "each side moved by up to 25 % * strength; black comes in",
            "Simard et al. 2003",
        ),
        Option(
            "random_resized_crop",
            "a part of 1 - 92 % * strength to all of the area, its aspect ratio changed by up to"
            " (4/3)^strength, stretched to the whole",
            "Szegedy et al. 2015, " + TUTORIAL,
        ),
        Option("flip", "mirrored left to right with probability strength / 2", TUTORIAL),
        Option("vertical_flip", "turned upside down with probability strength / 2", "-"),
        Option("rotate", "turned by up to 45 degrees * strength", TUTORIAL),
        Option(
            "random_erasing",
            "a black rectangle of 2 % to 33 % of the area times strength, in half of the images",
            "Zhong et al. 2020",
        ),
    ),
    "initializer": (
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
    "input_normalization": (
        Option("none", "pixels / 255", "-"),
        Option(
            "standard",
            "less the training split's mean, divided by its deviation, a channel",
            TUTORIAL,
        ),
        Option("minmax", "each image to 0..1; a constant one to 0", "-"),
    ),
    "normalization": (
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
    "width": (
        Option(
            "width", "times the channels and hidden units of [model], rounded", "Howard et al. 2017"
        ),
    ),
}

_MEANINGS = {
    "optimizer": "how weights follow gradients; the learning rate is one of each optimizer's own",
    "weight_decay": (
        "weights are pulled to zero in proportion; biases and normalizations too under"
        " decay_scope all"
    ),
    "batch_size": "how many images a gradient is averaged over",
    "scheduler": "how the learning rate changes over the run",
    "warmup": (
        "the first share of the run with a rising learning rate; not under onecycle, which rises by"
        " itself"
    ),
    "l1": "weights are pulled to zero by a constant; the share of weights near zero is recorded",
    "dropout": "parts of the network are left out at random in training",
    "label_smoothing": "the network is not asked to be certain",
    "gradient_clipping": "no step is larger than this norm of the gradient allows",
    "augmentation": (
        "training images are changed at random; names joined by '+' combine, one strength for all"
    ),
    "initializer": "what conv and linear weights start from; biases zero, except for default",
    "input_normalization": "how pixels are scaled before the network sees them",
    "normalization": "after each convolution and the hidden layer, before the activation",
    "width": "how wide the network is: more computation for more capacity",
}


def techniques() -> tuple[Technique, ...]:
    """All of them, in the order of the search space.

    >>> techniques()[0].name, [option.name for option in techniques()[0].options][:2]
    ('optimizer', ['sgd', 'adagrad'])
    """
    return tuple(_technique(name) for name in TECHNIQUES)


def _technique(name: str) -> Technique:
    parameters = tuple(
        parameter for parameter in PARAMETERS.values() if parameter.technique == name
    )
    return Technique(name, neutral_value(name), _MEANINGS[name], _OPTIONS[name], parameters)


def default_of(parameter: Parameter) -> Toml:
    """What the parameter may hold where a spec does not name it, as TOML; of the embedded data
    set.
    """
    return domain_to_toml(SearchSpace.default().domain(parameter.name))


def shown_domain(domain: Domain) -> str:
    """A domain as a person reads it: 0.001..1 log, or off."""
    if isinstance(domain, Range):
        text = f"{domain.low:g}..{domain.high:g}{' log' if domain.log else ''}"
        return f"{text}, or off" if domain.optional else text
    toml = domain_to_toml(domain)
    if toml is False:
        return "off"
    return ", ".join(str(value) for value in toml) if isinstance(toml, list) else str(toml)


def exists_under(parameter: Parameter) -> str | None:
    """Which choice brings the parameter; `None`: it is always there."""
    if parameter.parent is None:
        return None
    name, values = parameter.parent
    others = [option for option in PARAMETERS[name].options if option not in values]
    return f"{name} = {values[0]}" if len(values) == 1 else f"{name} other than {', '.join(others)}"
