"""What each technique and value did, as observed in one study: not causal, the sampler favours what
looked good.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from search.space.domains import Off, Range, Value
from search.space.parameter import Parameter
from search.space.parameters import PARAMETERS, TECHNIQUES, is_on
from search.space.search_space import SearchSpace
from storage.direction import Direction
from storage.records import ParameterValue, TrialRecord

# A value is at the edge where it is nearer to an end than this share of its range, on its scale.
EDGE_SHARE = 0.05


@dataclass(frozen=True)
class Effect:
    """One value of a technique: how many trials had it, and how good the complete ones of them
    were.
    """

    technique: str
    value: str
    finished: int
    complete: int
    # Both figures are of the complete trials, and None without any.
    best: float | None
    median: float | None


def observed_effects(trials: Sequence[TrialRecord], direction: Direction) -> list[Effect]:
    """By technique and value, in the order of the space; techniques that the study does not vary
    are left out.

    Only trials that ran all epochs are compared: the value of a pruned one is of another epoch.
    """
    groups: dict[tuple[str, str], list[TrialRecord]] = defaultdict(list)
    for trial in trials:
        if trial.state in ("complete", "pruned"):
            for technique in TECHNIQUES:
                groups[technique, technique_value(technique, trial.parameters)].append(trial)
    varied = {
        technique
        for technique in TECHNIQUES
        if len({value for name, value in groups if name == technique}) > 1
    }
    effects = []
    for technique, value in sorted(groups, key=lambda key: (TECHNIQUES.index(key[0]), key[1])):
        if technique not in varied:
            continue
        group = groups[technique, value]
        values = [
            trial.value for trial in group if trial.state == "complete" and trial.value is not None
        ]
        effects.append(
            Effect(
                technique,
                value,
                finished=len(group),
                complete=len(values),
                best=direction.best(values),
                median=median(values) if values else None,
            )
        )
    return effects


def technique_value(technique: str, values: Mapping[str, ParameterValue]) -> str:
    """The option of a technique in a configuration; "on" or "off", as its neutral value is, for a
    strength alone.
    """
    parameter = PARAMETERS.get(technique)
    if parameter is not None and parameter.kind != "float":
        return str(values.get(technique, parameter.off))
    strengths = [
        name for name in values if name in PARAMETERS and PARAMETERS[name].technique == technique
    ]
    return "on" if any(is_on(name, values[name]) for name in strengths) else "off"


def at_the_edge(values: Mapping[str, Value], space: SearchSpace) -> list[tuple[str, Value, float]]:
    """Parameters of a configuration that lie at an end of their range: (name, value, that end)."""
    found = []
    for name, value in values.items():
        domain = space.domain(name) if name in PARAMETERS else Off()
        if not isinstance(domain, Range) or domain.is_single:
            continue
        # The ends themselves are at 0 and 1, also of whole numbers.
        share = replace(domain, whole=False).share_of(float(value))
        for end, distance in ((domain.low, share), (domain.high, 1 - share)):
            if distance < EDGE_SHARE and _can_go_beyond(PARAMETERS[name], domain, end):
                found.append((name, value, end))
    return found


def _can_go_beyond(parameter: Parameter, domain: Range, end: float) -> bool:
    limit = parameter.limits.low if end == domain.low else parameter.limits.high
    return end != limit
