"""A configuration: the values that a trial trains with, by the names of the space."""

from collections.abc import Callable, Mapping

from objectives import hyperparameters as hp
from search.space.domains import Value
from search.space.parameters import PARAMETERS, SWITCHES, is_on, present_augmentation


def spelt_once(values: Mapping[str, Value | None]) -> dict[str, Value | None]:
    """Values and switches, each strength that is switched on at its neutral value as one that is
    switched off.
    """
    off = {
        each.name
        for each in SWITCHES.values()
        if values.get(each.switch) and not is_on(each.name, values[each.name])
    }
    kept = {name: value for name, value in values.items() if name not in off}
    return kept | {PARAMETERS[name].switch: False for name in off}


def without_switches(values: Mapping[str, Value]) -> dict[str, Value]:
    """The active parameters under their names in the spec: a strength that is off is not there."""
    return {name: value for name, value in values.items() if name not in SWITCHES}


def to_hyperparameters(values: Mapping[str, Value]) -> hp.Hyperparameters:
    """The frozen configuration that a trial's values (with switches or without) stand for."""

    def number(name: str) -> float:
        return float(values.get(name, PARAMETERS[name].off or 0.0))

    def option(name: str) -> str:
        return str(values.get(name, PARAMETERS[name].off))

    augmentation = option("augmentation")
    return hp.Hyperparameters(
        optimizer=_optimizer(str(values["optimizer"]), number),
        scheduler=_scheduler(option("scheduler"), number),
        l1=number("l1"),
        dropout=number("dropout"),
        augmentation=(
            None
            if augmentation == "none"
            else hp.Augmentation(
                tuple(present_augmentation(augmentation).split("+")),
                number("augmentation.strength"),
            )
        ),
        initializer=option("initializer"),
        input_normalization=option("input_normalization"),
        normalization=option("normalization"),
        batch_size=int(values["batch_size"]),
        warmup=number("warmup"),
        label_smoothing=number("label_smoothing"),
        gradient_clipping=number("gradient_clipping") or None,
        width=number("width"),
    )


def _optimizer(name: str, number: Callable[[str], float]) -> hp.Optimizer:
    rate, decay = number(f"{name}.learning_rate"), number(f"{name}.weight_decay")

    def betas() -> tuple[float, float]:
        return number(f"{name}.beta1"), number(f"{name}.beta2")

    match name:
        case "sgd":
            return hp.SGD(rate, number("sgd.momentum"), decay, bool(number("sgd.nesterov")))
        case "adagrad":
            return hp.Adagrad(rate, decay)
        case "rmsprop":
            further = (
                number("rmsprop.alpha"),
                number("rmsprop.momentum"),
                bool(number("rmsprop.centered")),
            )
            return hp.RMSprop(rate, decay, *further)
        case "adam":
            return hp.Adam(rate, decay, *betas(), bool(number("adam.amsgrad")))
        case "adamw":
            return hp.AdamW(rate, decay, *betas(), bool(number("adamw.amsgrad")))
        case "nadam":
            return hp.NAdam(rate, decay, *betas())
        case _:
            return hp.RAdam(rate, decay, *betas())


def _scheduler(name: str, number: Callable[[str], float]) -> hp.Scheduler:
    match name:
        case "step":
            return hp.Step(number("step.period"), number("step.factor"))
        case "multistep":
            return hp.MultiStep(
                number("multistep.first"), number("multistep.second"), number("multistep.factor")
            )
        case "exponential":
            return hp.Exponential(number("exponential.final_ratio"))
        case "plateau":
            return hp.Plateau(number("plateau.patience"), number("plateau.factor"))
        case "cosine":
            return hp.Cosine()
        case "onecycle":
            return hp.OneCycle(number("onecycle.rise"))
        case _:
            return hp.Constant()
