"""The sampler and the pruner of a spec: from TOML to methods, and back."""

from collections.abc import Sequence
from dataclasses import replace

from search.space.domains import Choice
from search.space.flat import flat_domains
from search.space.parameters import switched
from search.space.search_space import SearchSpace
from search.spec.document import Document, Table
from search.spec.enumeration import uncounted
from search.spec.methods import (
    CMAES,
    RULES,
    SAMPLERS,
    Comparing,
    Counted,
    NoRule,
    OfOneObjective,
    Patient,
    Pruner,
    Rule,
    Sampler,
    Threshold,
)
from search.spec.options import Setting, options_document, read_option, read_options

# Patience may wrap these rules.
_WRAPPED = tuple(name for name in RULES if name not in ("none", "patient"))


def read_sampler(
    study: Table, space: SearchSpace, minimize: tuple[str, ...], setting: Setting
) -> Sampler:
    """The sampler that [study] names, with its options."""
    name, options = study.method("sampler", "tpe", tuple(SAMPLERS))
    faults = len(study.faults)
    sampler = read_options(SAMPLERS[name], options, setting)
    options.refuse_the_rest()
    if minimize and isinstance(sampler, OfOneObjective):
        study.fault("sampler", name, "searches one objective: use tpe, or leave minimize out")
    if len(study.faults) == faults and (mend := _cannot_sample(sampler, space)) is not None:
        study.fault("sampler", name, mend)
    return sampler


def _cannot_sample(sampler: Sampler, space: SearchSpace) -> str | None:
    """Why the sampler cannot search the space, and what to do."""
    if isinstance(sampler, Counted) and (ranges := uncounted(space, sampler.points)):
        instead = ', or sampler = { name = "grid", points = 3 }'
        return f"cannot count a range: give lists of values for {_some(ranges)}{instead}"
    if not isinstance(sampler, CMAES):
        return None
    flat = flat_domains(space)
    choices = [
        name if (strength := switched(name)) is None else strength.name
        for name, domain in flat.items()
        if isinstance(domain, Choice)
    ]
    if choices:
        return f"searches ranges that every trial has: pin {_some(choices)}, or use tpe or gp"
    return None if flat else "has nothing to search: give a parameter a range"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def read_pruner(study: Table, setting: Setting) -> Pruner:
    """The pruner that [study] names, with its options and those that all have."""
    name, options = study.method("pruner", "asha", tuple(RULES))
    pruner = Pruner(_read_rule(name, options, setting), 0.0, like_with_like=False)
    read = {each: read_option(Pruner, each, options, setting) for each in _common(pruner)}
    options.refuse_the_rest()
    return replace(pruner, **read)


def _common(pruner: Pruner) -> list[str]:
    """The options beside the rule's own, as far as they mean something with it."""
    stops, compares = (
        not isinstance(pruner.rule, NoRule),
        isinstance(pruner.judging, Comparing),
    )
    return ["audit"] * stops + ["like_with_like"] * compares


def _read_rule(name: str, options: Table, setting: Setting) -> Rule:
    kind = RULES[name]
    if kind is Patient:
        inner_name, inner_options = options.method("of", Patient.of.name, _WRAPPED)
        inner = _read_rule(inner_name, inner_options, setting)
        inner_options.refuse_the_rest()
        return read_options(Patient, options, setting, of=inner)
    rule = read_options(kind, options, setting)
    if isinstance(rule, Threshold):
        _judge_bounds(rule, options, setting)
    return rule


def _judge_bounds(rule: Threshold, options: Table, setting: Setting) -> None:
    upward = setting.direction.is_up
    needed, other = ("lower", "upper") if upward else ("upper", "lower")
    bound, wrong = (rule.lower, rule.upper) if upward else (rule.upper, rule.lower)
    if wrong is not None:
        options.fault(other, wrong, f"would stop the best trials: this metric needs {needed}")
    elif bound is None:
        options.fault(
            "name", "threshold", f"needs {needed}, the value beyond which a trial is stopped"
        )


def method_document(method: Sampler | Rule) -> Document:
    """A sampler or a rule as a spec names it, with nothing left to a default."""
    document: Document = {"name": method.name, **options_document(method)}
    if isinstance(method, Patient):
        document["of"] = method_document(method.of)
    return document


def pruner_document(pruner: Pruner) -> Document:
    """The pruner as a spec names it, with nothing left to a default."""
    common: Document = {name: getattr(pruner, name) for name in _common(pruner)}
    return {**method_document(pruner.rule), **common}
