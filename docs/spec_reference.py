"""The page on the keys of a spec, from what reading one asks for."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from docs.markdown import NOTICE, inline_code, inline_value, table_of
from search.space.domains import Limits
from search.space.parameter import Parameter
from search.space.parameters import PARAMETERS, TECHNIQUES
from search.space.search_space import SearchSpace
from search.spec import methods
from search.spec.document import LARGEST_INTEGER, Document, Table, Toml
from search.spec.reading import read_spec
from search.spec.study_spec import TrainingConfig
from search.spec.techniques import exists_under, shown_domain
from search.spec.template import starting_spec

DEFAULT_EPOCHS = TrainingConfig.epochs


@dataclass(frozen=True)
class Key:
    """One key of a spec, as the code reads it."""

    name: str
    kind: str
    default: Toml | None
    limits: str = ""
    known: tuple[str, ...] = ()


class Recorder(Table):
    """A table that notes what it is asked for."""

    def __init__(
        self, content: Document, prefix: str, faults: list[str], asked: dict[str, Key]
    ) -> None:
        super().__init__(content, prefix, faults)
        self._asked = asked

    def _note(
        self,
        name: str,
        kind: str,
        default: Toml | None,
        limits: str = "",
        known: Sequence[str] = (),
    ) -> None:
        key = self.key(name)
        # The first note of a key says the most.
        self._asked.setdefault(key, Key(key, kind, default, limits, tuple(known)))

    def _below(self, name: str, table: Table) -> "Recorder":
        return Recorder(dict(table.content), f"{self.key(name)}.", self.faults, self._asked)

    def table(self, name: str) -> Table:
        return self._below(name, super().table(name))

    def method(self, name: str, default: str, known: Sequence[str]) -> tuple[str, Table]:
        self._note(name, "name, or table with a name and options", default, known=known)
        chosen, table = super().method(name, default, known)
        return chosen, self._below(name, table)

    def string(self, name: str, default: str) -> str:
        self._note(name, "string", default)
        return super().string(name, default)

    def optional_string(self, name: str) -> str | None:
        self._note(name, "string", None)
        return super().optional_string(name)

    def option(self, name: str, default: str, known: Sequence[str]) -> str:
        self._note(name, "string", default, known=known)
        return super().option(name, default, known)

    def integer(self, name: str, default: int, *, low: int, high: int = LARGEST_INTEGER) -> int:
        self._note(name, "whole number", default, _interval(low, high))
        return super().integer(name, default, low=low, high=high)

    def optional_integer(self, name: str, *, low: int, high: int = LARGEST_INTEGER) -> int | None:
        self._note(name, "whole number", None, _interval(low, high))
        return super().optional_integer(name, low=low, high=high)

    def optional_integers(self, name: str, *, low: int) -> tuple[int, ...] | None:
        self._note(name, "list of whole numbers", None, _interval(low, LARGEST_INTEGER))
        return super().optional_integers(name, low=low)

    def optional_option(self, name: str, known: Sequence[str]) -> str | None:
        self._note(name, "string", None, known=known)
        return super().optional_option(name, known)

    def number(self, name: str, default: float, limits: Limits) -> float:
        self._note(name, "number", default, str(limits))
        return super().number(name, default, limits)

    def optional_number(self, name: str) -> float | None:
        self._note(name, "number", None)
        return super().optional_number(name)

    def options(self, name: str, known: Sequence[str]) -> tuple[str, ...]:
        self._note(name, "list of names", [], known=known)
        return super().options(name, known)

    def boolean(self, name: str, default: bool = False) -> bool:
        self._note(name, "true or false", default)
        return super().boolean(name, default)

    def duration(self, name: str) -> float | None:
        self._note(name, 'seconds, or "1h30m"', None, "above 0")
        return super().duration(name)


def _interval(low: int, high: int) -> str:
    return f"{low} or more" if high == LARGEST_INTEGER else f"{low} to {high}"


def keys_of(document: Document) -> dict[str, Key]:
    """What the code asks such a document for."""
    asked: dict[str, Key] = {}
    read_spec(Recorder(document, "", [], asked))
    return asked


def meanings() -> dict[str, str]:
    """What the comments of the spec that `spec init` writes say of each key."""
    found, table = {}, ""
    for line in starting_spec().splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            table = heading[1]
        elif entry := re.fullmatch(r"(?:# )?(\w+) = \S.*?(?:\s+# (.+))", line):
            found[f"{table}.{entry[1]}"] = entry[2]
    return found


def spec_page() -> str:
    """Every key of a spec: type, default, limits, meaning."""
    asked, said = keys_of({}), meanings()
    parts = [
        f"# The spec\n\n{NOTICE} A spec is one TOML file; what it does not name keeps its default."
        " `hypersearch spec init` writes one to start from, `hypersearch spec check FILE` checks"
        " one."
    ]
    # The tables are in the order of a spec.
    tables: dict[str, list[Key]] = {name.partition(".")[0]: [] for name in said}
    for key in asked.values():
        table, _, name = key.name.partition(".")
        if "." not in name:
            tables.setdefault(table, []).append(key)
    for table, keys in tables.items():
        rows = [
            (
                inline_code(key.name.partition(".")[2]),
                key.kind,
                inline_value(key.default),
                _limits(key),
                said.get(key.name, ""),
            )
            for key in keys
        ]
        parts.append(
            f"## [{table}]\n\n{table_of(('key', 'type', 'default', 'limits', 'meaning'), rows)}"
        )
        parts += [_methods(key) for key in keys if key.kind.startswith("name, or table")]
    parts.append(_space())
    return "\n\n".join(parts) + "\n"


def _methods(key: Key) -> str:
    """The options of each method that the key may name."""
    table, _, name = key.name.partition(".")
    rows = []
    for method in key.known:
        asked = keys_of({table: {name: {"name": method}}})
        longer = keys_of(
            {table: {name: {"name": method}}, "training": {"epochs": 2 * DEFAULT_EPOCHS}}
        )
        options = []
        for each in asked.values():
            if each.name.startswith(f"{key.name}."):
                default = inline_value(each.default) or "none"
                if longer[each.name] != each:
                    default += (
                        f" at {DEFAULT_EPOCHS} epochs, {inline_value(longer[each.name].default)} at"
                        f" {2 * DEFAULT_EPOCHS}"
                    )
                options.append(
                    f"{inline_code(each.name.removeprefix(f'{key.name}.'))} ({default};"
                    f" {_limits(each) or each.kind})"
                )
        rows.append((inline_code(method), "<br>".join(options), _docstring(method)))
    heading = f'`{name} = "NAME"`, or `{name} = {{ name = "NAME", OPTION = VALUE }}`:'
    return f"{heading}\n\n{table_of((name, 'options (default; limits)', 'what it does'), rows)}"


def _docstring(method: str) -> str:
    kinds = [
        kind
        for kind in vars(methods).values()
        if isinstance(kind, type) and vars(kind).get("name") == method
    ]
    summary = (kinds[0].__doc__ or "").partition("\n\n")[0] if kinds else ""
    return " ".join(summary.split())


def _space() -> str:
    domains = SearchSpace.default()
    parts = [
        "## [space]\n\nOne value pins a parameter, a list chooses among values, `{ low, high, log,"
        " optional }` is a range, `false` pins a technique off, `optional = true` lets the search"
        " also leave it off. What off means is off also where it is written out: `dropout = [0.0,"
        " 0.25]` searches without and with. `weight_decay = false` holds for every optimizer."
        " Defaults are those of mnist-5k. `hypersearch techniques` has the formulas and their"
        " sources."
    ]
    rows = [
        (
            technique if parameter.technique != before else "",
            inline_code(parameter.name),
            shown_domain(domains.domain(parameter.name)),
            _choices(parameter),
            "" if parameter.off is None else inline_value(parameter.off),
            exists_under(parameter) or "",
        )
        for technique in TECHNIQUES
        for before, parameter in _with_technique_before(technique)
    ]
    header = ("technique", "parameter", "searched by default", "may hold", "off is", "exists under")
    parts.append(table_of(header, rows))
    parts.append(
        "## [[trial]]\n\nConfigurations to run first, in their order. Each names parameters of the"
        " space with one value that the study's `[space]` holds (`false`: off); what it does not"
        " name is the sampler's. A parameter of a branch needs the choice that brings it beside it."
    )
    return "\n\n".join(parts)


def _with_technique_before(technique: str) -> Iterator[tuple[str, Parameter]]:
    before = ""
    for parameter in PARAMETERS.values():
        if parameter.technique == technique:
            yield before, parameter
            before = technique


def _choices(parameter: Parameter) -> str:
    if parameter.kind == "bool":
        return "true, false"
    if parameter.kind == "choice":
        parts = dict.fromkeys(part for option in parameter.options for part in option.split("+"))
        joined = any("+" in option for option in parameter.options)
        return ", ".join(parts) + (", or several joined by +" if joined else "")
    return f"{'whole ' if parameter.kind == 'int' else ''}number, {parameter.limits}"


def _limits(key: Key) -> str:
    return ", ".join(key.known) if key.known else key.limits
