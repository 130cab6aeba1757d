"""The [space] and [[trial]] tables of a spec: from TOML to domains, and back."""

import math
from collections.abc import Mapping, Sequence

from objectives.names import AUGMENTATIONS, FORMER_AUGMENTATIONS
from search.space.domains import Choice, Domain, Off, Range, Value
from search.space.parameter import Parameter
from search.space.parameters import PARAMETERS, is_active, is_on
from search.space.search_space import SearchSpace
from search.spec.document import Table, Toml, one_of, unknown

_RANGE_KEYS = {"low", "high", "log", "optional"}

# The values of a configuration to run first, by parameter; False is off.
FirstTrial = tuple[tuple[str, Value], ...]


def domain_to_toml(domain: Domain) -> Toml:
    """What a spec says for the domain."""
    match domain:
        case Off():
            return False
        case Choice((value,), False):
            return value
        case Choice(options, optional):
            return [*([False] if optional else []), *options]
        case Range(low, high, log, optional):
            return {"low": low, "high": high, "log": log, "optional": optional}


def flatten_space(table: Mapping[str, Toml], prefix: str = "") -> dict[str, Toml]:
    """`sgd.momentum = 0.9` written without quotation marks is a table in a table: gives it its
    dotted name.
    """
    flat: dict[str, Toml] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        branches = any(known.startswith(f"{name}.") for known in PARAMETERS)
        if isinstance(value, dict) and branches and not _RANGE_KEYS & value.keys():
            flat |= flatten_space(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def read_space(table: "Table", dataset: str) -> SearchSpace:
    given = flatten_space(table.content)
    changes: dict[str, Domain] = {}
    # The key names the technique as a whole, for every optimizer.
    if "weight_decay" in given:
        value = given.pop("weight_decay")
        if value is not False:
            table.fault(
                "weight_decay",
                value,
                "only false goes here: ranges differ by optimizer, as 'sgd.weight_decay'",
            )
        changes |= {name: Off() for name in PARAMETERS if name.endswith(".weight_decay")}
    for name, value in given.items():
        if name in PARAMETERS:
            changes[name] = _read_domain(table, PARAMETERS[name], value)
        else:
            table.fault(name, value, unknown(name, tuple(PARAMETERS)))
    return SearchSpace.default(changes, dataset)


def _read_domain(table: "Table", parameter: Parameter, value: Toml) -> Domain:
    if value is False:
        return _read_off(table, parameter)
    if isinstance(value, dict):
        return _read_range(table, parameter, value)
    values = value if isinstance(value, list) else [value]
    if parameter.kind == "bool":
        return _read_switch(table, parameter, values)
    optional = False in [item for item in values if isinstance(item, bool)]
    if optional and (parameter.off is None or parameter.kind == "choice"):
        table.fault(parameter.name, value, _no_off(parameter))
    options = [_read_option(table, parameter, item) for item in values if item is not False]
    if not options:
        table.fault(parameter.name, value, "name at least one value")
        return parameter.default
    if len(set(options)) < len(options):
        table.fault(parameter.name, value, "a value stands there twice: leave one out")
    return Choice(tuple(options), optional)


def _read_switch(table: "Table", parameter: Parameter, values: Sequence[Toml]) -> Domain:
    options = [item for item in values if isinstance(item, bool)]
    if not options or len(options) < len(values) or len(set(options)) < len(options):
        table.fault(parameter.name, list(values), "give true, false, or [false, true]")
        return parameter.default
    return Choice(tuple(options))


def _no_off(parameter: Parameter) -> str:
    if parameter.kind == "choice" and parameter.off is not None:
        return f"false goes alone: in a list name {parameter.off!r}"
    return "cannot be off: give a value, a list or a range"


def _read_off(table: "Table", parameter: Parameter) -> Domain:
    if parameter.off is None:
        table.fault(parameter.name, False, _no_off(parameter))
    # What is off by default is not there then.
    is_there = parameter.kind == "choice" and parameter.default != Off()
    return Choice((str(parameter.off),)) if is_there else Off()


def _read_option(table: "Table", parameter: Parameter, value: Toml) -> Value:
    if parameter.kind == "choice":
        name = (
            _canonical(value)
            if parameter.name == "augmentation" and isinstance(value, str)
            else value
        )
        if not isinstance(name, str) or name not in _all_options(parameter):
            table.fault(parameter.name, value, _known(parameter, str(value)))
        return str(name)
    if parameter.kind == "bool":
        if not isinstance(value, bool):
            table.fault(parameter.name, value, "must be true or false")
        return value is True
    if isinstance(value, bool) or not isinstance(value, int | float):
        table.fault(parameter.name, value, "give a number")
        return 0.0
    return _read_number(table, parameter, value)


def _all_options(parameter: Parameter) -> tuple[str, ...]:
    return parameter.options + parameter.former_options


def _known(parameter: Parameter, value: str) -> str:
    if parameter.name == "augmentation":
        return f"use none, or names joined by '+': {', '.join(AUGMENTATIONS)}"
    return one_of(value, parameter.options)


def _canonical(augmentation: str) -> str:
    # Its parts in the order in which they act, if they are known.
    parts = augmentation.split("+")
    present = [FORMER_AUGMENTATIONS.get(part, part) for part in parts]
    if not set(present) <= set(AUGMENTATIONS):
        return augmentation
    places = map(AUGMENTATIONS.index, present)
    return "+".join(part for _, part in sorted(zip(places, parts, strict=True)))


def _read_number(table: "Table", parameter: Parameter, value: float) -> float:
    if not math.isfinite(value):
        table.fault(parameter.name, value, "give a finite number")
    elif parameter.kind == "int" and value != int(value):
        table.fault(parameter.name, value, "give a whole number")
    elif not parameter.limits.hold(value):
        table.fault(parameter.name, value, parameter.limits.mend(value))
    else:
        return int(value) if parameter.kind == "int" else float(value)
    return 0.0


def _read_range(table: "Table", parameter: Parameter, value: dict[str, Toml]) -> Domain:
    if parameter.kind in ("choice", "bool"):
        given = (
            "true, false, or [false, true]"
            if parameter.kind == "bool"
            else f"a list of {', '.join(parameter.options)}"
        )
        table.fault(parameter.name, value, f"is no number: give {given}")
        return parameter.default
    entry = Table(value, f"{table.key(parameter.name)}.", table.faults)
    low, high = entry.required_number("low"), entry.required_number("high")
    log, optional = entry.boolean("log"), entry.boolean("optional")
    entry.refuse_the_rest()
    if low is None or high is None:
        return parameter.default
    if optional and parameter.off is None:
        entry.fault("optional", optional, _no_off(parameter))
    if low > high:
        table.fault(parameter.name, value, "low is above high: swap them")
    elif log and low <= 0:
        table.fault(parameter.name, value, "log needs low above 0")
    else:
        return Range(
            _read_number(table, parameter, low),
            _read_number(table, parameter, high),
            log,
            optional,
            whole=parameter.kind == "int",
        )
    return parameter.default


def read_trial(table: "Table", space: SearchSpace) -> FirstTrial:
    """A configuration to run first: values of the space; what it does not name is the sampler's."""
    fixed: dict[str, Value] = {}
    for name, value in flatten_space(table.content).items():
        if name not in PARAMETERS:
            table.fault(name, value, unknown(name, tuple(PARAMETERS)))
            continue
        parameter, domain = PARAMETERS[name], space.domain(name)
        chosen = False if value is False else _read_option(table, parameter, value)
        held = _as_held(parameter, domain, chosen)
        if held is None:
            table.fault(name, value, "is not in the [space] of this study: name one of its values")
        else:
            fixed[name] = held
    for name, value in fixed.items():
        parent = PARAMETERS[name].parent
        if parent is not None and not is_active(PARAMETERS[name], _pinned(space) | fixed):
            bringing = frozenset(parent[1])
            others = [option for option in PARAMETERS[parent[0]].options if option not in bringing]
            needed = f"one that is not {others[0]}" if len(others) == 1 else repr(parent[1][0])
            table.fault(
                name, value, f"exists only under {parent[0]} = {needed}: name that beside it"
            )
    return tuple(sorted(fixed.items()))


def _pinned(space: SearchSpace) -> dict[str, Value]:
    return {
        name: domain.options[0]
        for name, domain in space.domains
        if isinstance(domain, Choice) and not domain.is_searched
    }


def _as_held(parameter: Parameter, domain: Domain, value: Value) -> Value | None:
    """The value as the domain holds it; off, however it is spelt, as the domain spells it. `None`:
    it holds no such.
    """
    if domain.holds(value):
        return value
    if is_on(parameter.name, value):
        return None
    if isinstance(domain, Off) or domain.optional:
        return False
    return parameter.off if domain.holds(parameter.off) else None
