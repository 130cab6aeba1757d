"""Options of `run` and `create` that are keys of a spec: each is declared once, with its key."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from objectives.names import DATASETS
from objectives.names import METRIC_DIRECTIONS as METRICS
from search.cli.completion import Complete, among, study_names
from search.cli.reading import change, parse_change, read_number, read_whole
from search.spec.methods import RULES, SAMPLERS

if TYPE_CHECKING:
    from search.spec.request import Request


def _as_it_is(option: str, text: str) -> str:
    return text


@dataclass(frozen=True)
class SpecOption:
    """An option, and the dotted key that it sets; `read` is told the option's name and its text."""

    name: str
    key: str
    metavar: str
    help: str
    read: Callable[[str, str], str | int | float] = _as_it_is
    complete: Complete | None = None


SPEC_OPTIONS = (
    SpecOption("study", "study.name", "NAME", "The study's name.", complete=study_names),
    SpecOption(
        "dataset",
        "data.dataset",
        "NAME",
        "A data set, or images:FOLDER.",
        complete=among(DATASETS),
    ),
    SpecOption("trials", "study.trials", "N", "Finished trials to end with.", read_whole),
    SpecOption("epochs", "training.epochs", "N", "Epochs a trial.", read_whole),
    SpecOption("timeout", "study.timeout", "30m", "End after that time."),
    SpecOption("target", "study.target", "0.99", "End when a trial reaches it.", read_number),
    SpecOption(
        "metric",
        "study.metric",
        "NAME",
        f"What leads the search: {', '.join(METRICS)}.",
        complete=among(METRICS),
    ),
    SpecOption("seed", "study.seed", "N", "The study's seed.", read_whole),
    SpecOption(
        "sampler",
        "study.sampler",
        "NAME",
        f"{', '.join(SAMPLERS)}.",
        complete=among(SAMPLERS),
    ),
    SpecOption("pruner", "study.pruner", "NAME", f"{', '.join(RULES)}.", complete=among(RULES)),
)
SET = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any key of the spec; repeatable."),
]


@dataclass(frozen=True)
class SpecChanges:
    """What the command line says of a spec, as it was written."""

    # The texts of the options that were given, under their names.
    given: Mapping[str, str]
    # What was given to --set.
    assignments: Sequence[str]

    def request(self, spec: Path | None) -> "Request":
        """A spec's file, or none, with these changes. Raises CommandLineError, SpecError."""
        from search.spec.document import load_document, spec_source
        from search.spec.request import Request, merge

        options = [
            change(each.key, each.read(f"--{each.name}", self.given[each.name]))
            for each in SPEC_OPTIONS
            if each.name in self.given
        ]
        request = Request(
            document=None if spec is None else load_document(spec),
            changes=merge(*map(parse_change, self.assignments), *options),
            source="the command line" if spec is None else spec_source(spec),
        )
        # What is wrong is told before all that work needs is loaded.
        request.spec(stored=True)
        return request


def with_spec_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of SPEC_OPTIONS, and --set, in place of its parameter `changes`.

    >>> @with_spec_options                                        # doctest: +SKIP
    ... def create(spec: SpecArgument, changes: SpecChanges) -> None: ...
    """
    own = inspect.signature(command, eval_str=True)
    parameters = [
        new
        for each in own.parameters.values()
        for new in (_parameters() if each.name == "changes" else [each])
    ]

    @wraps(command)
    def with_options(**given: object) -> None:
        texts = {each.name: given.pop(each.name) for each in SPEC_OPTIONS}
        assignments = given.pop("assignments")
        changes = SpecChanges(
            {name: text for name, text in texts.items() if isinstance(text, str)},
            assignments if isinstance(assignments, list) else (),
        )
        command(**given, changes=changes)

    # typer reads the signature and the annotations of what it calls.
    vars(with_options)["__signature__"] = own.replace(parameters=parameters)
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


def _parameters() -> Iterator[inspect.Parameter]:
    for each in SPEC_OPTIONS:
        option = typer.Option(metavar=each.metavar, help=each.help, autocompletion=each.complete)
        yield _parameter(each.name, Annotated[str | None, option])
    yield _parameter("assignments", SET)


def _parameter(name: str, annotation: object) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(name, kind, default=None, annotation=annotation)
