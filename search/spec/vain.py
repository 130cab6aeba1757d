"""What a spec says in vain: refused of a new one, while a study that is stored goes on with it as
before.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

from objectives.architecture import Architecture, architecture
from objectives.costs import counted_costs, shown_cost
from objectives.names import METRIC_DIRECTIONS, SHAPES
from search.space.augmentations import present_augmentation
from search.space.domains import Choice, Domain, Off, Range
from search.space.network import AS_MODEL
from search.space.parameters import PARAMETERS, is_on
from search.spec.document import Table
from search.spec.enumeration import counted
from search.spec.methods import (
    ASHA,
    TPE,
    Comparing,
    Grid,
    Hyperband,
    Learning,
    Median,
    NoRule,
    Patient,
    Percentile,
    Rule,
    Threshold,
)
from search.spec.space_table import domain_to_toml

if TYPE_CHECKING:
    from search.spec.study_spec import StudySpec

_MOST_DEPTHS = 16


def said_in_vain(spec: "StudySpec") -> list[str]:
    """What can never hold, or names one thing twice: each a line with key, value and mend."""
    faults: list[str] = []
    study = Table({}, "study.", faults)
    if (
        spec.budget.target is not None
        and (mend := target_mend(spec.metric, spec.budget.target)) is not None
    ):
        study.fault("target", spec.budget.target, mend)
    _rule(spec, spec.pruner.rule, Table({}, "study.pruner.", faults))
    _bounds(spec, Table({}, "constraints.", faults))
    _off_twice(spec, Table({}, "space.", faults))
    return faults


def former_names(spec: "StudySpec") -> list[str]:
    """Options under names that they had once, each a line with the one that they have now."""
    faults: list[str] = []
    space = Table({}, "space.", faults)
    domain = spec.space.domain("augmentation")
    given = [*(domain.options if isinstance(domain, Choice) else ())]
    given += [dict(trial).get("augmentation", False) for trial in spec.first_trials]
    for option in dict.fromkeys(str(each) for each in given):
        if (present := present_augmentation(option)) != option:
            space.fault("augmentation", option, f"is called {present!r} now: name it so")
    return faults


def target_mend(metric: str, target: float | None) -> str | None:
    """Why no value of the metric is the target, and what to write; `None` where one may be."""
    if target is None:
        return None
    if METRIC_DIRECTIONS[metric] == "minimize":
        return None if target >= 0 else f"a {metric} is never below 0: give 0 or more"
    return None if 0 <= target <= 1 else _share(metric, target)


def _share(metric: str, value: float) -> str:
    is_percent = 2 <= value <= 100
    return (
        f"{metric} is a share: write {value / 100:g}"
        if is_percent
        else f"{metric} is a share: give one from 0 to 1"
    )


def _rule(spec: "StudySpec", rule: Rule, table: Table) -> None:
    epochs = spec.training.epochs
    if not isinstance(rule, NoRule | Patient) and rule.min_epochs > epochs:
        table.fault("min_epochs", rule.min_epochs, _too_late(epochs))
    match rule:
        case Patient(patience, of):
            if patience > epochs:
                table.fault("patience", patience, _too_late(epochs))
            _rule(spec, of, Table({}, table.key("of."), table.faults))
        case Threshold(lower=float() | int() as lower) if lower > 1:
            table.fault(
                "lower", lower, f"every trial would be stopped: {_share(spec.metric, lower)}"
            )
        case Threshold(lower=float() | int() as lower) if lower <= 0:
            table.fault(
                "lower",
                lower,
                f"no trial would be stopped: no {spec.metric} is below 0; give more than 0",
            )
        case Threshold(upper=float() | int() as upper) if upper < 0:
            table.fault(
                "upper",
                upper,
                f"every trial would be stopped: no {spec.metric} is below 0; give more than 0",
            )


def _too_late(epochs: int) -> str:
    return f"a trial has {epochs} epochs, so none would be stopped: give less than that"


def _bounds(spec: "StudySpec", constraints: Table) -> None:
    smallest = _smallest_costs(spec)
    for name, bound in spec.constraints:
        if bound < smallest.get(name, 0):
            least = shown_cost(float(smallest[name]))
            constraints.fault(
                name, bound, f"every network of this space is over it: the smallest has {least}"
            )


def _smallest_costs(spec: "StudySpec") -> dict[str, int]:
    """What no network of the space costs less than; of images that are not known yet, as few as
    there can be.
    """
    # The costs of made-up curves are made up.
    if spec.data.dataset == "synthetic":
        return {}
    side = spec.data.image_size or 1
    image, classes = SHAPES.get(spec.data.dataset, ((1, side, side), 2))
    normalization = spec.space.domain("normalization")
    counts = [
        counted_costs(
            image,
            classes,
            network,
            normalized=isinstance(normalization, Choice) and "none" not in normalization.options,
        )
        for network in _networks(spec, image[1:])
    ]
    return {name: min(each[name] for each in counts) for name in counts[0]}


def _networks(spec: "StudySpec", image_size: tuple[int, int]) -> Iterator[Architecture]:
    """The narrowest ones of each depth, block and head that the space has. More blocks are no
    larger network where the last maps are flattened.
    """
    space, width = spec.space, _narrowest(spec.space.domain("width"))
    for depth, block, head in product(
        _depths(space.domain("depth")), _kinds(space.domain("block")), _kinds(space.domain("head"))
    ):
        yield architecture(spec.model, image_size, width=width, depth=depth, block=block, head=head)


def _depths(domain: Domain) -> Sequence[int | None]:
    match domain:
        case Off():
            return (None,)
        case Choice(options):
            found = [int(each) or None for each in options]
        case Range(low, high):
            # From some depth on all maps are of one pixel, and more blocks only cost more.
            found = [*range(int(low), min(int(high), int(low) + _MOST_DEPTHS) + 1)]
    return (*found, None) if domain.optional else found


def _kinds(domain: Domain) -> Sequence[str | None]:
    if not isinstance(domain, Choice):
        return (None,)
    return [None if option == AS_MODEL else str(option) for option in domain.options]


def _narrowest(width: Domain) -> float:
    full = float(PARAMETERS["width"].off or 1.0)
    if isinstance(width, Off):
        return full
    narrowest = min(map(float, width.options)) if isinstance(width, Choice) else width.low
    return min(full, narrowest) if width.optional else narrowest


def _off_twice(spec: "StudySpec", space: Table) -> None:
    # They would be counted, and run, as two configurations, and are one.
    points = spec.sampler.points if isinstance(spec.sampler, Grid) else None
    for name, domain in spec.space.domains:
        if _names_off_twice(name, domain, points):
            off = PARAMETERS[name].off
            leave = "one" if isinstance(domain, Choice) else "optional"
            space.fault(
                name,
                domain_to_toml(domain),
                f"a value stands there twice, as {off} is off: leave {leave} out",
            )


def _names_off_twice(name: str, domain: Domain, points: int | None) -> bool:
    if isinstance(domain, Off) or not domain.optional:
        return False
    if points is None and not isinstance(domain, Choice) and not domain.is_single:
        # One of all the numbers between is off: for practical purposes it is never drawn.
        return False
    return any(not is_on(name, value) for value in counted(name, domain, points))


def notices(spec: "StudySpec") -> list[str]:
    """What is allowed, and may not be what was meant: each a line. What every default has is not
    worth one.
    """
    found, trials, epochs = [], spec.budget.trials, spec.training.epochs
    if len(spec.first_trials) > trials:
        found.append(
            f"{len(spec.first_trials)} [[trial]] and a budget of {trials}: the last"
            f" {len(spec.first_trials) - trials} will not run, unless --trials raises it"
        )
    sampler, rule = spec.sampler, spec.pruner.rule
    if isinstance(sampler, Learning) and sampler != TPE() and sampler.startup_trials >= trials:
        found.append(
            f"sampler {sampler.name} learns from trial {sampler.startup_trials} on, counted from 0,"
            f" and the budget is {trials} trials: it learns nothing"
        )
    judging = spec.pruner.judging
    if isinstance(judging, Median | Percentile) and judging.startup_trials >= trials:
        found.append(
            f"pruner {judging.name} waits for {judging.startup_trials} complete trials, and the"
            f" budget is {trials}: it stops none"
        )
    if not isinstance(rule, NoRule) and 1 < epochs <= _first_judged(rule):
        found.append(
            f"pruner {rule.name}, as it is set, judges no trial before the last of {epochs} epochs:"
            " it stops none"
        )
    return found


def _first_judged(rule: Comparing | Threshold | Patient, after: int = 0) -> int:
    """The first epoch later than `after` at which the rule may stop a trial; see
    search.algorithms.pruners.
    """
    match rule:
        case Patient(patience, of):
            return _first_judged(of, max(after, patience))
        case ASHA(rung, factor) | Hyperband(rung, factor):
            while rung <= after:
                rung *= factor
            return rung
        case _:
            return max(rule.min_epochs, after + 1)
