"""The trial whose model is exported, and the file that was kept of it; no torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from search.analysis.confirmation import Confirmation, JudgedArm, last_confirmation
from search.analysis.ranking import incumbent
from search.export.errors import ExportRefused
from search.spec.definition import stored_spec
from search.spec.study_spec import StudySpec
from storage.artifact_names import ARTIFACT_PREFIX, MODEL_FILE, read_artifact_attributes
from storage.artifact_store import ArtifactStore
from storage.artifacts import read
from storage.engine import Database
from storage.records import TrialRecord, read_trials
from storage.studies import StoredStudy, find_study


@dataclass(frozen=True, eq=False)
class Winner:
    """A complete trial of a study with its kept model."""

    stored: StoredStudy
    spec: StudySpec
    trial: TrialRecord
    complete: int  # trials that it was the best of, or one of
    is_best: bool  # of all of them
    model: bytes  # a file of objectives.model_file
    # The last confirmation that has judged the trial's configuration.
    confirmation: Confirmation | None = None

    @property
    def judged(self) -> JudgedArm | None:
        """What its configuration came to under fresh seeds."""
        if self.confirmation is None:
            return None
        return self.confirmation.of_trial(self.trial.number)

    @property
    def value(self) -> float:
        """The recorded one: the study's metric on the validation split."""
        assert self.trial.value is not None
        return self.trial.value


def find_winner(
    database: Database, store: ArtifactStore, name: str, number: int | None = None
) -> Winner:
    """The study's best complete trial, or the one of that number.

    Raises:
        StudyNotFound, ForeignStudy: there is no such study.
        ExportRefused: there is no such trial, or no file of it was kept.
        ArtifactsUnavailable, ArtifactDamaged: the file that was kept cannot be read.
    """
    stored = find_study(database, name)
    spec = stored_spec(stored)
    trials = [
        trial for trial in read_trials(database, stored.study_id) if trial.state == "complete"
    ]
    kept = _kept_models(database, stored)
    exportable = [trial.number for trial in trials if trial.number in kept]
    best = incumbent(trials, spec.direction)
    if best is None:
        raise ExportRefused.no_trial(name)
    chosen = best if number is None else next((t for t in trials if t.number == number), None)
    if chosen is None or chosen.value is None:
        raise ExportRefused.not_complete(name, number or 0, exportable)
    if chosen.number not in kept:
        raise ExportRefused.not_kept(name, chosen.number, exportable)
    model = read(store, kept[chosen.number])
    found = last_confirmation(database, stored)
    if found is not None and found.of_trial(chosen.number) is None:
        found = None
    return Winner(stored, spec, chosen, len(trials), chosen == best, model, found)


def _kept_models(database: Database, stored: StoredStudy) -> Mapping[int, str]:
    """The artifacts that are models, by the number of their trial."""
    return {
        number: key.removeprefix(ARTIFACT_PREFIX)
        for number, attributes in read_artifact_attributes(database, stored.study_id).items()
        for key, text in attributes.items()
        if _file_name(text) == MODEL_FILE
    }


def _file_name(text: str) -> str | None:
    # Another program may have named its artifacts in another way.
    try:
        found = json.loads(text)["filename"]
    except (ValueError, TypeError, LookupError):
        return None
    return found if isinstance(found, str) else None
