"""Draws the pictures of incumbents that have none yet: the main of a process beside a worker, which
does not wait.

What they are drawn from is kept with each incumbent (search.worker.pictures), so that nothing is
lost with this process or its worker: whoever works on the study next draws what is missing.

Each line of its standard input is the name of a study, as JSON; it ends when that is closed and all
is drawn. The storage's URL, which may hold a password, comes in the environment.

    $ export HYPERSEARCH_STORAGE=sqlite:///a.db
    $ echo '"mnist-5k"' | python -P -m search.worker.drawing a.files/artifacts
"""

import json
import logging
import os
import sys
from contextlib import suppress

from search.worker.pictures import EXAMINATION, incumbent_pictures, is_drawn, read_examination
from storage.artifact_names import read_artifacts
from storage.artifact_store import ArtifactStore
from storage.artifacts import open_artifact_store, read
from storage.engine import Database, open_database
from storage.errors import (
    ArtifactDamaged,
    ArtifactsUnavailable,
    StorageUnavailable,
    StudyDeleted,
    StudyNotFound,
)
from storage.owners import Owner
from storage.records import read_epochs
from storage.studies import StoredStudy, find_study

log = logging.getLogger(__name__)


def undrawn(database: Database, study_id: int) -> dict[int, str]:
    """The incumbents without pictures: by trial_id, the artifact that they are drawn from."""
    return {
        trial_id: named[EXAMINATION]
        for trial_id, named in read_artifacts(database, study_id).items()
        if EXAMINATION in named and not is_drawn(named)
    }


def draw_missing(database: Database, store: ArtifactStore, stored: StoredStudy) -> None:
    """Draws and keeps them. Of several processes that do so at once each keeps the same.

    Raises ArtifactsUnavailable, StorageUnavailable, StudyDeleted.
    """
    missing = undrawn(database, stored.study_id)
    if not missing:
        return
    owner = Owner(database, store)
    for trial_id, artifact_id in missing.items():
        try:
            examination, class_names = read_examination(read(store, artifact_id))
        except ArtifactDamaged as error:
            log.warning("%s; its trial goes without pictures", error)
            continue
        pictures = incumbent_pictures(read_epochs(database, trial_id), examination, class_names)
        owner.add(stored, trial_id, pictures)


def main() -> None:
    """Until standard input is closed. A storage that is away costs pictures, not trials."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    store = open_artifact_store(sys.argv[1])
    try:
        with open_database(os.environ["HYPERSEARCH_STORAGE"]) as database:
            for line in sys.stdin:
                # The artifacts of a study that is gone are gone with it.
                with suppress(StudyDeleted, StudyNotFound):
                    draw_missing(database, store, find_study(database, json.loads(line)))
    except (ArtifactsUnavailable, StorageUnavailable) as error:
        log.warning("%s; pictures are drawn when the study is next worked on", error)


if __name__ == "__main__":
    main()
