"""The command line: one thin function a command; what a command does is elsewhere, and loaded when
it runs.
"""

import gc
import os
import sys

import typer

from search.cli import (
    answers,
    completion,
    control,
    copies,
    exports,
    health,
    look,
    report,
    specs,
    techniques,
    work,
)
from search.cli.context import say_always
from search.cli.reading import CommandLineError
from search.report.streams import OutputFailed, OutputGone, standard_streams
from storage.text import on_one_line

app = typer.Typer(
    name=completion.PROGRAM,
    help="Which training techniques, at which strengths, give the best CNN image classifier.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(work.run)
app.command()(work.create)
app.command()(work.worker)
app.command("list")(look.list_command)
app.command()(look.status)
app.command()(look.compare)
app.command()(answers.confirm)
app.command()(answers.ablate)
app.command()(answers.reproduce)
app.command()(report.report)
app.command()(look.dashboard)
app.command("techniques")(techniques.techniques_command)
app.command()(control.pause)
app.command()(control.resume)
app.command()(control.stop)
app.command()(control.extend)
app.command()(control.delete)
app.command("copy")(copies.copy_command)
app.command()(control.upgrade)
app.command("export")(exports.export_command)
app.command()(exports.predict)
app.command()(health.doctor)
spec_app = typer.Typer(
    help="Write, check and print specs.", no_args_is_help=True, rich_markup_mode=None
)
spec_app.command("init")(specs.spec_init)
spec_app.command("check")(specs.spec_check)
spec_app.command("show")(specs.spec_show)
app.add_typer(spec_app, name="spec")


def main() -> None:
    """Runs the command line; an expected failure is one line on standard error and an exit code of
    the contract.
    """
    # A command imports thousands of modules, next to nothing of which is garbage: to look for some
    # after every 700 objects, as Python does, costs a second of a worker's start. Most of what is
    # no longer needed goes without being looked for.
    gc.set_threshold(100_000)
    with standard_streams():
        code = _guarded()
    sys.exit(code)


def _guarded() -> int:
    from search.engines.signals import signals_as_exceptions

    kept = completion.mend_words(os.environ)
    try:
        with signals_as_exceptions(), completion.without_kept(kept):
            # The code is that of typer.Exit.
            code = app(prog_name=completion.PROGRAM, standalone_mode=False)
            sys.stdout.flush()
    # Completions were asked for, and given.
    except SystemExit:
        raise
    except BaseException as error:
        return _code_of(error)
    return code if isinstance(code, int) else 0


def _code_of(error: BaseException) -> int:
    """Says what is wrong; errors that are none of the contract are raised again."""
    from objectives.errors import DataError, DataUnavailable, DeviceError
    from search.engines.signals import Stopped
    from search.spec.document import SpecError
    from storage.errors import (
        ArtifactRootError,
        ArtifactsUnavailable,
        ForeignStudy,
        OtherData,
        StorageUnavailable,
        StorageURLError,
        StudyDeleted,
        StudyEnded,
        StudyExists,
        StudyInUse,
        StudyNotFound,
    )

    match error:
        case typer.TyperException():
            return _fail(on_one_line(str(getattr(error, "format_message", error.__str__)())), 2)
        case SpecError():
            return _fail(str(error), 2)
        case (
            ArtifactRootError()
            | CommandLineError()
            | ForeignStudy()
            | OtherData()
            | StudyEnded()
            | StudyExists()
            | StudyInUse()
            | StudyNotFound()
            | StorageURLError()
            | DataError()
            | DeviceError()
        ):
            return _fail(on_one_line(str(error)), 2)
        case StorageUnavailable() | ArtifactsUnavailable() | DataUnavailable() | OutputFailed():
            return _fail(str(error), 3)
        case StudyDeleted():
            return _fail(str(error), 1)
        case Stopped():
            return _fail(str(error), error.exit_code)
        case OutputGone():
            return 0
    return _late(error)


def _late(error: BaseException) -> int:
    """Errors of what is loaded only where a command needs it: loading it here costs a failed
    command alone.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    from objectives.errors import ModelFileError, OnnxMissing
    from search.analysis.comparison import Incomparable, TrialNotFound
    from search.dashboard import CannotListen, NotLoopback
    from search.engines.cluster.placement import ClusterRefused
    from search.engines.teams import WorkFailed
    from search.export.errors import (
        ExportFailed,
        ExportRefused,
        ImagesRefused,
        ModelFolderError,
        NothingRead,
        RuntimeRefused,
    )
    from search.machine.settings import SettingsError
    from search.studies.followups.refused import FollowUpRefused
    from storage.database_errors import mend, reason
    from storage.errors import ArtifactDamaged

    match error:
        case NotLoopback() | Incomparable() | TrialNotFound() | SettingsError() | FollowUpRefused():
            return _fail(str(error), 2)
        case (
            ExportRefused()
            | ImagesRefused()
            | ModelFolderError()
            | ModelFileError()
            | OnnxMissing()
            | RuntimeRefused()
        ):
            return _fail(on_one_line(str(error)), 2)
        case WorkFailed() | ExportFailed() | NothingRead():
            return _fail(str(error), 1)
        case ClusterRefused(exit_code=code):
            return _fail(on_one_line(str(error)), code)
        case ArtifactDamaged():
            return _fail(str(error), 3)
        case StorageInternalError() | SQLAlchemyError():
            helps = mend(error) or "see that it is reachable, writable and has room"
            return _fail(f"the storage failed: {reason(error)}; {helps}", 3)
        case CannotListen():
            return _fail(str(error), 3)
        case RuntimeError() | OSError() if completion.INSTALLS in sys.argv:
            where = (
                "set HOME to a folder that can be written to, or take what --show-completion prints"
            )
            return _fail(f"{completion.INSTALLS}: {str(error).rstrip('.')}: {where}", 3)
        case OSError():
            return _fail(f"{error.filename or ''}: {error.strerror}".lstrip(": "), 3)
    raise error


def _fail(message: str, code: int) -> int:
    if "--debug" in sys.argv:
        import traceback

        say_always(traceback.format_exc().rstrip())
    for fault in message.split("\n"):
        say_always(f"hypersearch: {fault}")
    return code
