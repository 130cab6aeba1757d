"""The learning-rate schedules declared: the parameters of each, and how it is described."""

from objectives import hyperparameters as hp
from search.space.domains import Choice, Limits, Off, Range
from search.space.parameter import (
    BELOW_ONE,
    SHARE,
    TUTORIAL,
    WITHIN,
    Branch,
    Option,
    Parameter,
    branch,
)


def scheduler(kind: type[hp.Scheduler], formula: str, source: str, *own: Parameter) -> Branch:
    """A schedule of whose dataclass the parameters are the fields."""
    return branch("scheduler", kind.name, kind, formula, source, *own)


def number(name: str, default: Range, limits: Limits) -> Parameter:
    """A number that the schedule needs."""
    return Parameter(name, "scheduler", "float", default, limits)


# In formulas r is the learning rate, and the run goes from step 0 to step T.
SCHEDULERS: dict[str, Branch] = {
    "constant": scheduler(hp.Constant, "r stays", "-"),
    "step": scheduler(
        hp.Step,
        "r factor^k after k periods; period: a share of the epochs, at least one",
        TUTORIAL,
        number("period", Range(0.2, 0.5), SHARE),
        number("factor", Range(0.1, 0.7), SHARE),
    ),
    "multistep": scheduler(
        hp.MultiStep,
        "r factor after the share `first` of the epochs, r factor^2 after `second`",
        TUTORIAL,
        number("first", Range(0.3, 0.6), WITHIN),
        number("second", Range(0.6, 0.9), WITHIN),
        number("factor", Range(0.1, 0.5), SHARE),
    ),
    "exponential": scheduler(
        hp.Exponential,
        "a constant ratio an epoch, r final_ratio in the last",
        TUTORIAL,
        number("final_ratio", Range(0.01, 0.5, log=True), SHARE),
    ),
    "plateau": scheduler(
        hp.Plateau,
        "r factor when the validation loss has not fallen by 0.01 % for more than patience (a share"
        " of the epochs)",
        "torch's ReduceLROnPlateau",
        number("patience", Range(0.0, 0.3), BELOW_ONE),
        number("factor", Range(0.1, 0.7), SHARE),
    ),
    "cosine": scheduler(
        hp.Cosine, "r (1 + cos(pi t / T)) / 2 in step t", "Loshchilov & Hutter 2017"
    ),
    "onecycle": scheduler(
        hp.OneCycle,
        "half a cosine from r / 25 to r in the share `rise` of the steps, then down to r / 250,000;"
        " r in the only step of a run",
        "Smith & Topin 2018",
        number("rise", Range(0.1, 0.4), WITHIN),
    ),
}

SCHEDULER = Parameter(
    "scheduler",
    "scheduler",
    "choice",
    Choice(("constant", "step", "exponential", "cosine", "onecycle")),
    off="constant",
    branches=SCHEDULERS,
    # Schedules that anneal to nothing: Loshchilov and Hutter 2017; Smith 2018.
    usual=Choice(("cosine", "onecycle")),
    meaning="how the learning rate changes over the run",
)

WARMUP = Parameter(
    "warmup",
    "warmup",
    "float",
    Off(),
    BELOW_ONE,
    off=0.0,
    # The scheduler onecycle has a rise of its own.
    parent=("scheduler", tuple(name for name in SCHEDULERS if name != "onecycle")),
    meaning=(
        "the first share of the run with a rising learning rate; not under onecycle, which rises by"
        " itself"
    ),
    described=(
        Option("warmup", "the scheduled r times min(1, (t + 1) / (warmup T))", "Goyal et al. 2017"),
    ),
)
