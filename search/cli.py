"""The command line: one thin function a command; what a command does is elsewhere, and loaded when it runs."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from search.document import Document
    from storage.engine import Database

app = typer.Typer(
    name="hypersearch",
    help="Which training techniques, at which strengths, give the best CNN image classifier.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
spec_app = typer.Typer(help="Write, check and print specs.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(spec_app, name="spec")


class CommandLineError(Exception):
    """An argument or option that cannot be used."""


StorageOption = Annotated[
    str | None,
    typer.Option("--storage", metavar="URL", help="Database [HYPERSEARCH_STORAGE, else sqlite:///hypersearch.db]."),
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Log what is done.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Log everything; errors with their traceback.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]
OutputOption = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there instead.")]


@app.command()
def run(
    spec: Annotated[Path | None, typer.Argument(metavar="[SPEC]", help="A study's spec, a TOML file.")] = None,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="The study's name.")] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="A data set, or images:FOLDER.")] = None,
    trials: Annotated[int | None, typer.Option(metavar="N", help="Finished trials to end with.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs a trial.")] = None,
    timeout: Annotated[str | None, typer.Option(metavar="30m", help="End after that time.")] = None,
    target: Annotated[float | None, typer.Option(metavar="0.99", help="End when a trial reaches it.")] = None,
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="What is searched for.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The study's seed.")] = None,
    sampler: Annotated[str | None, typer.Option(metavar="NAME", help="tpe or random.")] = None,
    pruner: Annotated[str | None, typer.Option(metavar="NAME", help="none, median or asha.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the spec; repeatable.")
    ] = None,
    threads: Annotated[str, typer.Option(metavar="N|auto", help="Cores to compute with.")] = "auto",
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where data sets lie [HYPERSEARCH_DATA, else the user's cache].")
    ] = None,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Create the study if it is not there, work on it until it ends, and print a summary."""
    _logging(verbose, debug)
    from rich.console import Console

    from search.answers import compare_study
    from search.document import load_document
    from search.launch import Stopped, run_study
    from search.objective import Machine
    from search.output import summary_text
    from search.study import JoinedStudy, Request, merge
    from storage.engine import open_database, this_machine

    options: dict[str, str | int | float | None] = {
        "study.name": study,
        "data.dataset": dataset,
        "study.trials": trials,
        "training.epochs": epochs,
        "study.timeout": timeout,
        "study.target": target,
        "study.metric": metric,
        "study.seed": seed,
        "study.sampler": sampler,
        "study.pruner": pruner,
    }
    given = [_change(key, value) for key, value in options.items() if value is not None]
    request = Request(
        document=None if spec is None else load_document(spec),
        changes=merge(*(_parse_change(change) for change in changes or ()), *given),
        source="the command line" if spec is None else str(spec),
    )
    settings = _settings()
    machine = Machine(data_root or settings.data_root, settings.cache_root, device, _threads(threads))
    console = Console(stderr=True)
    resume = ""

    def on_joined(joined: JoinedStudy) -> None:
        nonlocal resume
        resume = f"hypersearch run --study {joined.stored.name}{'' if storage is None else f' --storage {storage}'}"
        for notice in joined.notices:
            _say(notice)
        if joined.stored.state == "ended":
            _say(f"study {joined.stored.name!r} is finished: nothing is trained again")

    url = storage or settings.storage
    try:
        outcome = run_study(
            url, request, machine, host=this_machine(), console=console, quiet=quiet, on_joined=on_joined
        )
    except Stopped as stopped:
        stopped.how_to_go_on = f"the running trial was handed back; go on with: {resume}"
        raise
    with open_database(url) as database:
        print(summary_text(compare_study(database, outcome.joined.stored.name)))


@app.command("list")
def list_command(
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the studies of a storage."""
    _logging(verbose, debug)
    from search.answers import list_studies
    from search.output import list_document, list_text, to_json

    with _database(storage) as database:
        records = list_studies(database)
    if not records and not json:
        _say("no study yet: 'hypersearch run' starts one")
        return
    print(to_json(list_document(records)) if json else list_text(records))


@app.command()
def status(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Show how far a study is: trials, workers, incumbent, pace."""
    _logging(verbose, debug)
    from search.answers import study_status
    from search.output import status_document, status_text, to_json

    with _database(storage) as database:
        found = study_status(database, name)
    print(to_json(status_document(found)) if json else status_text(found))


@app.command()
def compare(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    timings: Annotated[bool, typer.Option("--timings", help="With times and devices in --json.")] = False,
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Rank the trials of a study and show what each technique did."""
    _logging(verbose, debug)
    from search.answers import compare_study
    from search.output import compare_document, compare_text, to_json

    with _database(storage) as database:
        found = compare_study(database, name)
    print(to_json(compare_document(found, timings=timings)) if json else compare_text(found))


@app.command()
def dashboard(
    host: Annotated[str, typer.Option(metavar="NAME", help="A loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="0 takes a free one.", min=0, max=65535)] = 8080,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Serve optuna-dashboard on this storage, looking only, until Ctrl-C."""
    _logging(verbose, debug)
    from optuna.storages import get_storage

    from search.dashboard import serve
    from search.launch import signals_as_exceptions
    from storage.engine import open_database, open_for_work

    url = storage or _settings().storage
    open_database(url).engine.dispose()  # looking creates nothing
    database, rdb = open_for_work(url)
    with database, signals_as_exceptions():
        serve(get_storage(rdb), host, port, lambda address: _say(f"looking at {url} on {address}, until Ctrl-C"))


@spec_app.command("init")
def spec_init(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Where to write; else it is printed.")] = None,
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a commented spec to start from."""
    _logging(verbose, debug)
    from search.template import starting_spec

    if file is not None and file.exists():
        raise CommandLineError(f"{file} is there already: name another file")
    _write(starting_spec(), file)


@spec_app.command("check")
def spec_check(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    storage: StorageOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Check a spec; say how many trials and epochs it is, and how long by what the storage has recorded."""
    _logging(verbose, debug)
    from search.answers import seconds_per_epoch
    from search.document import load_document
    from search.live import duration
    from search.spec import parse_spec
    from storage.errors import StorageUnavailable

    spec = parse_spec(load_document(file), str(file))
    try:
        with _database(storage) as database:
            seconds = seconds_per_epoch(database, spec)
    except StorageUnavailable:  # a spec can be checked before there is a database: nothing is recorded yet
        seconds = None
    epochs = spec.budget.trials * spec.training.epochs
    long = "unknown, nothing like it is recorded" if seconds is None else f"up to {duration(seconds * epochs)}"
    print(
        f"{file}: study {spec.name}, {spec.budget.trials} trials of {spec.training.epochs} epochs "
        f"(at most {epochs} epochs; fewer where trials are pruned), time: {long}"
    )


@spec_app.command("show")
def spec_show(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    output: OutputOption = None,
    storage: StorageOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Print the stored spec of a study, nothing left to a default."""
    _logging(verbose, debug)
    import tomli_w

    from search.output import to_json
    from search.study import stored_spec
    from storage.studies import find_study

    with _database(storage) as database:
        document = stored_spec(find_study(database, name)).to_document()
    _write(f"{to_json(document)}\n" if json else tomli_w.dumps(document), output)


def main() -> None:
    """Runs the command line; an expected failure is one line on standard error and an exit code of the contract."""
    sys.exit(_guarded())


def _guarded() -> int:
    from objectives.errors import DataError, DataUnavailable, DeviceError
    from storage.errors import ForeignStudy, StorageUnavailable, StorageURLError, StudyNotFound

    try:
        code = app(standalone_mode=False)  # that of typer.Exit, and 130 where typer itself saw Ctrl-C
        sys.stdout.flush()
    except typer.TyperException as error:
        return _fail(str(getattr(error, "format_message", error.__str__)()), 2)
    except (CommandLineError, ForeignStudy, StudyNotFound, StorageURLError, DataError, DeviceError) as error:
        return _fail(str(error), 2)
    except (StorageUnavailable, DataUnavailable) as error:
        return _fail(str(error), 3)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:
        return _late(error)
    return code if isinstance(code, int) else 0


def _late(error: BaseException) -> int:
    """Errors of what is loaded only where a command needs it: loading it here costs a failed command alone."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    from search.dashboard import NotLoopback
    from search.document import SpecError
    from search.launch import Stopped, WorkFailed

    match error:
        case SpecError() | NotLoopback():
            return _fail(str(error), 2)
        case WorkFailed():
            return _fail(str(error), 1)
        case Stopped():
            return _fail(str(error), error.exit_code)
        case StorageInternalError() | SQLAlchemyError():
            cause = error.__cause__ or error
            reason = getattr(cause, "orig", cause)
            return _fail(f"the storage failed: {reason}; see that it is reachable, writable and has room", 3)
        case OSError():
            return _fail(f"{error.filename or ''}: {error.strerror}".lstrip(": "), 3)
    raise error


def _fail(message: str, code: int) -> int:
    if "--debug" in sys.argv:
        import traceback

        traceback.print_exc()
    for fault in message.splitlines():
        _say(f"hypersearch: {fault}")
    return code


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _logging(verbose: bool, debug: bool) -> None:
    import logging

    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for name in ("search", "storage", "objectives"):
        logging.getLogger(name).setLevel(level)


def _settings() -> "Settings":
    from search.settings import Settings

    return Settings.from_environment(os.environ)


if TYPE_CHECKING:
    from search.settings import Settings


def _database(storage: str | None) -> "Database":
    from storage.engine import open_database

    return open_database(storage or _settings().storage)


def _threads(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise CommandLineError(f"--threads {text}: give a whole number of 1 or more, or auto")
    return int(text)


def _change(key: str, value: str | int | float) -> "Document":
    table, _, name = key.partition(".")
    return {table: {name: value}}


def _parse_change(text: str) -> "Document":
    """`--set KEY=VALUE`: a dotted TOML key, and TOML or else a string."""
    import tomllib

    key, equals, value = text.partition("=")
    if not equals:
        raise CommandLineError(f"--set {text}: write KEY=VALUE, as training.epochs=3")
    try:
        return tomllib.loads(f"{key} = {value}")
    except tomllib.TOMLDecodeError:
        pass  # not TOML: a string, unless it is the key that is wrong
    try:
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return tomllib.loads(f'{key} = "{quoted}"')
    except tomllib.TOMLDecodeError:
        raise CommandLineError(f"--set {text}: {key!r} is no dotted TOML key, as training.epochs") from None


def _write(text: str, file: Path | None) -> None:
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")
