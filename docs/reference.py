"""Writes the pages of docs/ that the code itself knows best: `python -m docs.reference`, or `make
docs`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from search.cli.completion import PROGRAM
from search.cli.main import app
from search.report.answer_fields import DOCUMENTS
from search.report.documents import to_json
from search.space.domains import Limits
from search.space.parameter import Parameter
from search.space.parameters import PARAMETERS, TECHNIQUES
from search.space.search_space import SearchSpace
from search.spec import methods
from search.spec.document import LARGEST_INTEGER, Document, Table, Toml
from search.spec.reading import read_spec
from search.spec.study_spec import TrainingConfig
from search.spec.techniques import THE_TUTORIAL, exists_under, shown_domain, techniques
from search.spec.template import starting_spec

FOLDER = Path(__file__).parent
DEFAULT_EPOCHS = TrainingConfig.epochs
NOTICE = "Written from the code by `make docs`."


def main() -> None:
    """Writes the pages."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The reference, by file name in this folder."""
    return {
        "commands.md": commands_page(),
        "spec.md": spec_page(),
        "techniques.md": techniques_page(),
        "answers-json.md": answers_page(),
    }


# --- commands


def commands_page() -> str:
    """Every command with its arguments, options, defaults and help."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    commands = dict(_commands(root, PROGRAM))
    shared = [
        option
        for option in _options(next(iter(commands.values())))
        if all(option in _options(command) for command in commands.values())
    ]
    parts = [
        f"# Commands\n\n{NOTICE} `hypersearch COMMAND --help` says the same.",
        f"Every command takes\n\n{_table(('option', 'default', 'meaning'), shared)}",
        f"`hypersearch` alone takes\n\n{_table(('option', 'default', 'meaning'), _options(root))}",
    ]
    for name, command in commands.items():
        arguments = [each for each in command.params if isinstance(each, TyperArgument)]
        usage = " ".join([name, "[OPTIONS]", *(_usage(each) for each in arguments)])
        parts.append(f"## {name}\n\n    {usage}\n\n{' '.join((command.help or '').split())}")
        if described := [
            (_code(each.metavar or each.name or ""), each.help or "") for each in arguments
        ]:
            parts.append(_table(("argument", "meaning"), described))
        if own := [option for option in _options(command) if option not in shared]:
            parts.append(_table(("option", "default", "meaning"), own))
    return "\n\n".join(parts) + "\n"


def _commands(group: TyperGroup, name: str) -> Iterator[tuple[str, TyperCommand]]:
    for each, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{name} {each}")
        elif isinstance(command, TyperCommand):
            yield f"{name} {each}", command


def _usage(argument: TyperArgument) -> str:
    name = argument.metavar or argument.name or ""
    return name if argument.required else f"[{name}]"


def _options(command: TyperCommand | TyperGroup) -> list[tuple[str, str, str]]:
    return [_option(each) for each in command.params if isinstance(each, TyperOption)]


def _option(option: TyperOption) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in option.opts)
    value = "" if option.is_flag or option.metavar is None else f" `{option.metavar}`"
    has_default = not (option.is_flag or option.default is None)
    default = "required" if option.required else f"`{option.default}`" if has_default else ""
    return names + value, default, option.help or ""


# --- the spec


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
                _code(key.name.partition(".")[2]),
                key.kind,
                _value(key.default),
                _limits(key),
                said.get(key.name, ""),
            )
            for key in keys
        ]
        parts.append(
            f"## [{table}]\n\n{_table(('key', 'type', 'default', 'limits', 'meaning'), rows)}"
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
                default = _value(each.default) or "none"
                if longer[each.name] != each:
                    default += (
                        f" at {DEFAULT_EPOCHS} epochs, {_value(longer[each.name].default)} at"
                        f" {2 * DEFAULT_EPOCHS}"
                    )
                options.append(
                    f"{_code(each.name.removeprefix(f'{key.name}.'))} ({default};"
                    f" {_limits(each) or each.kind})"
                )
        rows.append((_code(method), "<br>".join(options), _docstring(method)))
    heading = f'`{name} = "NAME"`, or `{name} = {{ name = "NAME", OPTION = VALUE }}`:'
    return f"{heading}\n\n{_table((name, 'options (default; limits)', 'what it does'), rows)}"


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
            _code(parameter.name),
            shown_domain(domains.domain(parameter.name)),
            _choices(parameter),
            "" if parameter.off is None else _value(parameter.off),
            exists_under(parameter) or "",
        )
        for technique in TECHNIQUES
        for before, parameter in _with_technique_before(technique)
    ]
    header = ("technique", "parameter", "searched by default", "may hold", "off is", "exists under")
    parts.append(_table(header, rows))
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


# --- answers


def answers_page() -> str:
    """Every key of the documents that answers are for scripts."""
    parts = [
        f"# Answers as JSON\n\n{NOTICE} What `confirm`, `ablate` and `reproduce` print with"
        " `--json`: one document, in which every number is finite. `key[]` is an item of a list."
        " Without `--timings` nothing in it depends on when and where the trainings ran."
    ]
    for command, fields in DOCUMENTS.items():
        rows = [(_code(key), kind, meaning) for key, (kind, meaning) in fields.items()]
        parts.append(f"## {command}\n\n{_table(('key', 'type', 'meaning'), rows)}")
    return "\n\n".join(parts) + "\n"


# --- Markdown


def _limits(key: Key) -> str:
    return ", ".join(key.known) if key.known else key.limits


def _value(value: Toml | None) -> str:
    return "" if value is None else _code(to_json(value).replace("\n", "").replace("  ", ""))


def _code(text: str) -> str:
    return f"`{text}`"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [
        header,
        ["---"] * len(header),
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- techniques


def techniques_page() -> str:
    """Every technique: options, formula, source, hyperparameters."""
    parts = [
        f"# Techniques\n\n{NOTICE} `hypersearch techniques` says the same. Each works on its own"
        " and with all others; `false` in a spec turns one off. In formulas g is a gradient, w a"
        " weight, r the learning rate, and the run goes from step 0 to step T."
        f" {THE_TUTORIAL[0].upper()}{THE_TUTORIAL[1:]}."
    ]
    space = SearchSpace.default()
    for technique in techniques():
        options = [
            (_code(option.name), option.formula, option.source) for option in technique.options
        ]
        rows = [
            (
                _code(parameter.name),
                shown_domain(space.domain(parameter.name)),
                "" if parameter.off is None else _code(str(parameter.off)),
                exists_under(parameter) or "",
            )
            for parameter in technique.parameters
        ]
        parts += [
            f"## {technique.name}\n\n{technique.meaning[:1].upper()}{technique.meaning[1:]}.",
            _table(("option", "formula", "source"), options),
            _table(
                ("hyperparameter", "searched by default (mnist-5k)", "off means", "exists under"),
                rows,
            ),
        ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
