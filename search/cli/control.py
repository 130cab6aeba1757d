"""Commands that control studies, from anywhere: pause, resume, stop, extend, delete, upgrade."""

from typing import Annotated

import typer

from search.cli.context import database_at, files_of, say, storage_url
from search.cli.option_groups import VerbosityOptions, with_option_groups
from search.cli.options import (
    ArtifactRootOption,
    NameArgument,
    StorageOption,
)
from search.cli.reading import CommandLineError, read_whole


@with_option_groups
def pause(
    name: NameArgument,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Let workers hand their trials back after the epoch, and take no more until 'resume'."""
    verbosity.take_effect()
    from search.studies import control

    with database_at(storage) as database:
        control.pause(database, name)
    say(f"study {name!r} is paused; go on with: hypersearch resume {name}")


@with_option_groups
def resume(
    name: NameArgument,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Let a paused study go on, where its trials stood."""
    verbosity.take_effect()
    from search.studies import control

    with database_at(storage) as database:
        control.resume(database, name)
    say(f"study {name!r} is open: workers take its trials")


@with_option_groups
def stop(
    name: NameArgument,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """End a study as it stands; workers end its running trials after the epoch."""
    verbosity.take_effect()
    from search.studies import control
    from storage.hosts import this_host

    held = control.stop(storage_url(storage), name, this_host())
    say(
        f"study {name!r} is stopped"
        + (f"; workers still hold {held} of its trials, for an epoch" if held else "")
    )


@with_option_groups
def extend(
    name: NameArgument,
    trials: Annotated[
        str, typer.Option(metavar="N", help="Finished trials to end with, more than before.")
    ],
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Raise a study's budget of trials; one that has ended goes on, unless something else has ended
    it.
    """
    verbosity.take_effect()
    from search.report.ending import why_it_stays_ended
    from search.studies import control

    budget = read_whole("--trials", trials)
    with database_at(storage) as database:
        extended = control.extend(database, name, budget)
    stored = extended.stored
    say(f"study {name!r} has a budget of {stored.budget.trials} trials and is {stored.state}")
    if stored.state == "ended":
        say(f"study {name!r} stays ended: {why_it_stays_ended(stored, extended.spec)}")


@with_option_groups
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: there is no way back.")] = False,
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Delete a study with all its trials; workers leave it."""
    verbosity.take_effect()
    from search.studies import control

    if not yes:
        raise CommandLineError(
            f"delete {name}: its trials would be gone for good; say --yes to do it"
        )
    control.delete(storage_url(storage), name, files_of(storage, artifact_root))
    say(f"study {name!r} is deleted")


@with_option_groups
def upgrade(
    storage: StorageOption = None,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Bring a database of an older version up to date. Stop its workers and back it up first."""
    verbosity.take_effect()
    from storage.engine import upgrade_database

    before, after = upgrade_database(storage_url(storage))
    say(f"the database had schema {before} and has {after}")
