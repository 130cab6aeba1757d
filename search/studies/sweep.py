"""Each database's own folder of checkpoints, and what is removed there: what nobody will read."""

import shutil
from contextlib import suppress
from pathlib import Path

from storage.activity import read_unfinished
from storage.engine import Database
from storage.owners import read_uid


def own_checkpoints(database: Database, root: Path) -> Path:
    """The folder of this database below one that several may share: a copy has the same studies
    under the same uids.

    What the release before left in `root` itself of studies that are in this database comes along.
    """
    ours = root / read_uid(database)
    if there := _folders(root):
        known = read_unfinished(database)
        for study in there:
            if study.name in known:
                # Another worker has just moved it, or the folder cannot be written to.
                with suppress(OSError):
                    ours.mkdir(exist_ok=True)
                    study.rename(ours / study.name)
    return ours


def sweep_checkpoints(database: Database, ours: Path) -> None:
    """Removes what is in the database's own folder of trials that are no longer running and of
    studies that are gone.

    What cannot be removed stays.
    """
    # First what is there, then what is needed: a trial that starts in between has no folder yet.
    studies = _folders(ours)
    trials = [trial for study in studies for trial in _folders(study) if trial.name.isdecimal()]
    unfinished = read_unfinished(database)
    for trial in trials:
        if int(trial.name) not in unfinished.get(trial.parent.name, set()):
            shutil.rmtree(trial, ignore_errors=True)
    for study in studies:
        if not unfinished.get(study.name):
            # Another worker may sweep too, or something else may be in it.
            with suppress(OSError):
                study.rmdir()
    with suppress(OSError):
        ours.rmdir()


def _folders(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if each.is_dir()]
    # There is no such folder, or another worker has just removed it.
    except OSError:
        return []
