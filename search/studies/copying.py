"""Copies of studies in another storage: their records, what follows them up, and their artifacts.

Each step comes before what makes it necessary: artifacts first, then all records in one
transaction. Killed at any moment, a copy is whole or not there, and the same call goes on.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from search.machine.this_machine import Files
from search.spec.definition import stored_spec
from search.studies.followups.refused import FollowUpRefused
from storage.artifact_names import read_artifact_ids
from storage.artifact_store import ARTIFACT_ID, ArtifactStore
from storage.artifacts import open_artifact_store, read
from storage.copying import check_nobody_works_on, copy_rows
from storage.engine import Database, open_database, open_for_work
from storage.errors import ArtifactsUnavailable, StorageUnavailable
from storage.follow_ups import read_follow_ups
from storage.owners import Owner
from storage.readings import split_id
from storage.studies import StoredStudy, find_study


@dataclass(frozen=True)
class Copied:
    """What was copied of a study."""

    # The follow-ups are named.
    follow_ups: tuple[str, ...]
    artifacts: int
    # The study names so many artifacts that are not where they should be.
    missing: int
    # The records are those of a copy that was made before.
    was_there: bool


def copy_study(
    name: str,
    storage_url: str,
    files: Files,
    to_url: str,
    to_files: Files,
    *,
    skips_missing: bool = False,
) -> Copied:
    """Copies a study with all that follows it up to another storage, which is made where it is not
    there.

    A trial that waits to be taken up again waits there too, and begins anew, as its checkpoint
    stays here. `skips_missing`: artifacts that are not there are left out.

    Raises:
        StudyNotFound, ForeignStudy: it is not there.
        StudyInUse: a worker holds a trial of it.
        StudyExists: the other storage has another study of that name.
        FollowUpRefused: it follows another one up, with which it is copied.
        ArtifactsUnavailable, ArtifactDamaged: an artifact cannot be read, or kept there; no record
            is copied.
        StorageUnavailable, StorageURLError, ArtifactRootError.
    """
    with open_database(storage_url) as source:
        stored = find_study(source, name)
        if stored.follow_up is not None:
            raise FollowUpRefused.not_copied(name, stored.follow_up.parent_name)
        check_nobody_works_on(source, stored)
        studies = [stored, *read_follow_ups(source, stored)]
        named = {each for one in studies for each in read_artifact_ids(source, one.study_id)}
        target, _ = open_for_work(to_url)
        with target:
            artifacts = _Artifacts(
                open_artifact_store(files.artifact_root),
                open_artifact_store(to_files.artifact_root),
                target,
                (each for each in named if ARTIFACT_ID.fullmatch(each)),
                skips_missing,
            )
            try:
                artifacts.copy()
                is_new = copy_rows(source, target, stored, named, {_test_split(stored)})
            except BaseException:
                artifacts.give_up()
                raise
            # A deletion there, which had looked before, may have removed some in between.
            artifacts.copy()
    return Copied(
        tuple(each.name for each in studies[1:]),
        len(artifacts.ids),
        len(artifacts.missing),
        was_there=not is_new,
    )


def _test_split(stored: StoredStudy) -> str:
    return split_id(stored_spec(stored).data.dataset, stored.data_fingerprint)


class _Artifacts:
    """Those that a study names, on their way to another storage's store."""

    def __init__(
        self,
        here: ArtifactStore,
        there: ArtifactStore,
        target: Database,
        named: Iterable[str],
        skips_missing: bool,
    ) -> None:
        self._here = here
        self._there = there
        self._written: list[str] = []
        self._target = target
        found = {each: here.holds(each) or there.holds(each) for each in sorted(named)}
        self.ids = [each for each, is_there in found.items() if is_there]
        self.missing = [each for each, is_there in found.items() if not is_there]
        if self.missing and not skips_missing:
            raise ArtifactsUnavailable.missing(here.root, len(self.missing), len(found))

    def copy(self) -> None:
        """Keeps and marks each, before a trial names it."""
        if not self.ids:
            return
        owner = Owner(self._target, self._there)
        for each in self.ids:
            owner.keep(each, partial(self._read, each))

    def _read(self, artifact_id: str) -> bytes:
        self._written.append(artifact_id)
        return read(self._here, artifact_id)

    def give_up(self) -> None:
        """Removes what was written here and no trial names; what was there before keeps its mark,
        as nobody else may have marked it.
        """
        if self._written:
            with suppress(ArtifactsUnavailable, StorageUnavailable):
                Owner(self._target, self._there).release(self._written)
