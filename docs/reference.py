"""Writes the pages of docs/ that the code itself knows best: `python -m docs.reference`, or `make
docs`.
"""

from collections.abc import Iterator
from pathlib import Path

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from docs.markdown import NOTICE, inline_code, table_of
from docs.spec_reference import spec_page
from search.cli.completion import PROGRAM
from search.cli.main import app
from search.report.answer_fields import DOCUMENTS
from search.space.search_space import SearchSpace
from search.spec.techniques import THE_TUTORIAL, exists_under, shown_domain, techniques

FOLDER = Path(__file__).parent


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
    header = ("option", "default", "meaning")
    parts = [
        f"# Commands\n\n{NOTICE} `hypersearch COMMAND --help` says the same.",
        f"Every command takes\n\n{table_of(header, shared)}",
        f"`hypersearch` alone takes\n\n{table_of(header, _options(root))}",
    ]
    for name, command in commands.items():
        arguments = [each for each in command.params if isinstance(each, TyperArgument)]
        usage = " ".join([name, "[OPTIONS]", *(_usage(each) for each in arguments)])
        parts.append(f"## {name}\n\n    {usage}\n\n{' '.join((command.help or '').split())}")
        if described := [
            (inline_code(each.metavar or each.name or ""), each.help or "") for each in arguments
        ]:
            parts.append(table_of(("argument", "meaning"), described))
        if own := [option for option in _options(command) if option not in shared]:
            parts.append(table_of(header, own))
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


def answers_page() -> str:
    """Every key of the documents that answers are for scripts."""
    parts = [
        f"# Answers as JSON\n\n{NOTICE} What `confirm`, `ablate` and `reproduce` print with"
        " `--json`: one document, in which every number is finite. `key[]` is an item of a list."
        " Without `--timings` nothing in it depends on when and where the trainings ran."
    ]
    for command, fields in DOCUMENTS.items():
        rows = [(inline_code(key), kind, meaning) for key, (kind, meaning) in fields.items()]
        parts.append(f"## {command}\n\n{table_of(('key', 'type', 'meaning'), rows)}")
    return "\n\n".join(parts) + "\n"


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
            (inline_code(option.name), option.formula, option.source)
            for option in technique.options
        ]
        rows = [
            (
                inline_code(parameter.name),
                shown_domain(space.domain(parameter.name)),
                "" if parameter.off is None else inline_code(str(parameter.off)),
                exists_under(parameter) or "",
            )
            for parameter in technique.parameters
        ]
        parts += [
            f"## {technique.name}\n\n{technique.meaning[:1].upper()}{technique.meaning[1:]}.",
            table_of(("option", "formula", "source"), options),
            table_of(
                ("hyperparameter", "searched by default (mnist-5k)", "off means", "exists under"),
                rows,
            ),
        ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
