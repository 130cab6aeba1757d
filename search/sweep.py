"""Removes checkpoints that nobody will read: of trials that have ended elsewhere, and of studies long gone."""

import shutil
from contextlib import suppress
from pathlib import Path

from storage.engine import Database
from storage.records import read_unfinished

# A folder may be shared by several databases: what this one does not know may be another one's.
FORGOTTEN_SECONDS = 30 * 24 * 3600.0


def sweep_checkpoints(database: Database, root: Path, now: float) -> None:
    """Removes folders of trials that are no longer running, and of unknown studies untouched for 30 days.

    `now` is in seconds since 1970, as files have it. What cannot be removed stays.
    """
    # First what is there, then what is needed: a trial that starts in between has no folder yet.
    studies = _folders(root)
    trials = [trial for study in studies for trial in _folders(study) if trial.name.isdecimal()]
    unfinished = read_unfinished(database)
    for trial in trials:
        if trial.parent.name in unfinished and int(trial.name) not in unfinished[trial.parent.name]:
            shutil.rmtree(trial, ignore_errors=True)
    for study in studies:
        with suppress(OSError):  # another worker sweeps too, or something else is in it
            if study.name not in unfinished and now - study.stat().st_mtime > FORGOTTEN_SECONDS:
                shutil.rmtree(study, ignore_errors=True)
            if not unfinished.get(study.name, {0}):
                study.rmdir()


def _folders(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if each.is_dir()]
    except OSError:  # there is none, or another worker has just removed it
        return []
