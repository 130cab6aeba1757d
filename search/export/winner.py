"""The trial whose model is exported, and the files that were kept of it, and of its refit; no
torch.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.analysis.confirmation import Confirmation, JudgedArm, last_confirmation
from search.analysis.ranking import incumbent
from search.analysis.refitted import read_refitted
from search.export.errors import ExportFailed, ExportRefused
from search.spec.definition import stored_spec
from search.spec.study_spec import StudySpec
from storage.artifact_names import ARTIFACT_PREFIX, MODEL_FILE, read_artifact_attributes
from storage.artifact_store import ArtifactStore
from storage.artifacts import read
from storage.engine import Database
from storage.records import TrialRecord, read_trials
from storage.studies import StoredStudy, find_study


@dataclass(frozen=True, eq=False)
class KeptRun:
    """A training whose network was kept."""

    trial: TrialRecord
    # The model is a file of objectives.model_file.
    model: bytes

    @property
    def value(self) -> float:
        """The recorded one: the study's metric on the validation split."""
        assert self.trial.value is not None
        return self.trial.value


@dataclass(frozen=True, eq=False)
class Winner:
    """A complete trial of a study with its kept model."""

    stored: StoredStudy
    spec: StudySpec
    trial: TrialRecord
    # The trial was the best of so many complete ones, or one of them.
    complete: int
    # It is the best of all of them.
    is_best: bool
    # The run is of its own network, or of that of the same training once more: the validation
    # images are new to it.
    held_out: KeptRun
    # The run is trained on training and validation images together.
    refit: KeptRun | None = None
    # The refit's network was trained by the study of this name.
    refit_study: str | None = None
    # The last confirmation that has judged the trial's configuration.
    confirmation: Confirmation | None = None

    @property
    def judged(self) -> JudgedArm | None:
        """What its configuration came to under fresh seeds."""
        if self.confirmation is None:
            return None
        return self.confirmation.of_trial(self.trial.number)

    @property
    def run(self) -> KeptRun:
        """The one that is exported."""
        return self.held_out if self.refit is None else self.refit

    @property
    def value(self) -> float:
        """The trial's recorded one: the study's metric on the validation split."""
        assert self.trial.value is not None
        return self.trial.value


def find_winner(
    database: Database,
    store: ArtifactStore,
    name: str,
    number: int | None = None,
    refit: str | None = None,
) -> Winner:
    """The study's best complete trial, or the one of that number; or the one that the study `refit`
    has trained on all images.

    Raises:
        StudyNotFound, ForeignStudy: there is no such study.
        ExportRefused: there is no such trial, or no file of it was kept; or the study follows
            another one up.
        ExportFailed: the refit came to no network.
        ArtifactsUnavailable, ArtifactDamaged: the file that was kept cannot be read.
    """
    stored = find_study(database, name)
    if stored.follow_up is not None:
        raise ExportRefused.follow_up(name, stored.follow_up.parent_name, stored.follow_up.kind)
    spec = stored_spec(stored)
    trials = [
        trial for trial in read_trials(database, stored.study_id) if trial.state == "complete"
    ]
    kept = _kept_models(database, stored)
    exportable = [trial.number for trial in trials if trial.number in kept]
    best = incumbent(trials, spec.direction)
    if refit is not None:
        return _refitted(database, store, stored, trials, refit)
    if best is None:
        raise ExportRefused.no_trial(name)
    chosen = best if number is None else next((t for t in trials if t.number == number), None)
    if chosen is None or chosen.value is None:
        raise ExportRefused.not_complete(name, number or 0, exportable)
    if chosen.number not in kept:
        raise ExportRefused.not_kept(name, chosen.number, exportable)
    run = KeptRun(chosen, read(store, kept[chosen.number]))
    return Winner(
        stored,
        spec,
        chosen,
        len(trials),
        chosen == best,
        run,
        confirmation=_judging(database, stored, chosen),
    )


def _refitted(
    database: Database,
    store: ArtifactStore,
    stored: StoredStudy,
    trials: Sequence[TrialRecord],
    name: str,
) -> Winner:
    refit_study = find_study(database, name)
    found = read_refitted(database, refit_study)
    number = found.plan.trial.trial
    if not found.is_whole or found.trial is None:
        raise ExportFailed.no_refit(name, found.state, found.has_diverged)
    chosen = next(each for each in trials if each.number == number)
    spec = stored_spec(stored)

    def run(study: StoredStudy, trial: TrialRecord) -> KeptRun:
        return KeptRun(trial, read(store, _kept_models(database, study)[trial.number]))

    return Winner(
        stored,
        spec,
        chosen,
        len(trials),
        chosen == incumbent(trials, spec.direction),
        run(stored, chosen) if found.held_out is None else run(refit_study, found.held_out),
        run(refit_study, found.trial),
        name,
        _judging(database, stored, chosen),
    )


def _judging(database: Database, stored: StoredStudy, trial: TrialRecord) -> Confirmation | None:
    """The last confirmation, where it has judged the trial's configuration."""
    found = last_confirmation(database, stored)
    return None if found is None or found.of_trial(trial.number) is None else found


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
