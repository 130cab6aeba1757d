"""What the report page says of a study, as plain facts; read once, before anything is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search.analysis.comparison import Comparison, compare_study
from search.analysis.importance import Bounds
from search.machine.folders import FolderUnknown, Place
from search.report.page.by_image import ByImage, read_by_image
from storage.artifact_names import MODEL_FILE, read_trial_artifacts
from storage.engine import Database
from storage.errors import ArtifactDamaged, ArtifactRootError, ArtifactsUnavailable
from storage.versions import read_all_versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from objectives.data.cache import Searchable
    from objectives.examined import Examination

# So many images of a class are shown.
SAMPLES = 6
_MADE_UP = "synthetic"


@dataclass(frozen=True, eq=False)
class ClassShown:
    """One class: how many images of it a search sees, and the first few of them."""

    name: str
    train: int
    validation: int
    # The samples are of the training split, and have shape (N, C, H, W).
    samples: "NDArray[np.uint8]"


@dataclass(frozen=True, eq=False)
class Examined:
    """What the kept model of the best trial gets wrong on the validation split."""

    examination: "Examination"
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Missing:
    """Why something cannot be shown."""

    reason: str


# --- what follow-ups have found


@dataclass(frozen=True)
class ConfirmedTrial:
    """One configuration under fresh seeds; values of the study's metric on the validation split."""

    # The trial is None for a baseline that the search has not trained.
    trial: int | None
    is_baseline: bool
    # The value is None where the trial was stopped early.
    search_value: float | None
    by_seed: tuple[float, ...]
    # The interval is at 95 %, for the mean on these images; None: of two seeds.
    these_images: Bounds | None
    # The interval is at 95 %, for the mean on new images.
    new_images: Bounds | None
    diverged: int
    may_be_best: bool
    # The baseline is this where no trial has it: neutral or pretrained.
    made: str = "neutral"

    @property
    def label(self) -> str:
        """Beside its dots."""
        return self.made if self.trial is None else f"trial {self.trial}"

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return sum(self.by_seed) / len(self.by_seed)


@dataclass(frozen=True)
class SplitScore:
    """One configuration on the test split."""

    label: str
    score: float
    # The interval is at 95 %, on new images like these.
    interval: Bounds


@dataclass(frozen=True)
class ConfirmationFacts:
    """What `confirm` has found."""

    trials: tuple[ConfirmedTrial, ...]
    # The choice is the number of the trial that was chosen; None: the neutral baseline.
    choice: int | None
    # The choice's score comes first; there is none where the split was not read.
    test: tuple[SplitScore, ...]
    # The number says which reading of the test split that was.
    reading: int | None
    # The sentences are on the choice, luck, and what could not be seen.
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class TechniqueEffect:
    """What one technique is worth, by retraining without it, or with it."""

    technique: str
    value: str
    is_used: bool
    # The effect is in points.
    effect: float
    # The interval is at 95 %.
    interval: Bounds
    verdict: str
    seeds: int


@dataclass(frozen=True)
class AblationFacts:
    """What `ablate` has found."""

    trial: int
    effects: tuple[TechniqueEffect, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class StudyFacts:
    """All that a page says of one study."""

    comparison: Comparison
    data: tuple[ClassShown, ...] | Missing
    examined: Examined | Missing
    # The kept model's file has so many bytes.
    model_bytes: int | None
    # The trials were trained with these versions, by name: each combination once.
    versions: Sequence[Mapping[str, str]] = ()
    confirmation: ConfirmationFacts | None = None
    ablation: AblationFacts | None = None
    by_image: ByImage | Missing = Missing("no trial has recorded what it answers for each image")


def read_study_facts(
    database: Database, name: str, *, artifact_root: str | None, cache_root: Place
) -> StudyFacts:
    """Reads a study; what is not there, or not reachable, is missing with the reason.

    `artifact_root` is `None` where none is known. No image is decoded or downloaded: those are
    shown that this machine has decoded. Raises StudyNotFound, ForeignStudy.
    """
    comparison = compare_study(database, name)
    examined, model_bytes = _examined(database, comparison, artifact_root)
    decoded = _searchable(comparison, cache_root)
    names = None if isinstance(decoded, Missing) else decoded.class_names
    by_image = read_by_image(
        database,
        comparison,
        examined.examination if isinstance(examined, Examined) else None,
        examined.class_names if isinstance(examined, Examined) else names,
        None if isinstance(decoded, Missing) else decoded,
    )
    return StudyFacts(
        comparison,
        decoded if isinstance(decoded, Missing) else _classes(decoded),
        examined,
        model_bytes,
        read_all_versions(database, comparison.record.stored.study_id),
        by_image=Missing(by_image) if isinstance(by_image, str) else by_image,
    )


def _examined(
    database: Database, comparison: Comparison, artifact_root: str | None
) -> tuple[Examined | Missing, int | None]:
    from search.worker.pictures import EXAMINATION, read_examination
    from storage.artifacts import open_artifact_store, read

    if comparison.incumbent is None:
        return Missing("no trial has run all epochs, so no model is kept"), None
    stored = comparison.record.stored
    named = read_trial_artifacts(database, stored.study_id, comparison.incumbent.number)
    if EXAMINATION not in named:
        return Missing(f"trial {comparison.incumbent.number} has no kept model"), None
    if artifact_root is None:
        return Missing("it is not known here where artifacts are kept: --artifact-root"), None
    try:
        store = open_artifact_store(artifact_root)
        examination, class_names = read_examination(read(store, named[EXAMINATION]))
        model = read(store, named[MODEL_FILE]) if MODEL_FILE in named else None
    except (ArtifactDamaged, ArtifactRootError, ArtifactsUnavailable) as error:
        return Missing(str(error)), None
    return Examined(examination, class_names), None if model is None else len(model)


def _searchable(comparison: Comparison, cache_root: Place) -> "Searchable | Missing":
    stored, config = comparison.record.stored, comparison.spec.data
    if config.dataset == _MADE_UP:
        return Missing("its curves are made up: there are no images")
    if not stored.data_fingerprint:
        return Missing("no trial has recorded which images it was trained on")
    if isinstance(cache_root, FolderUnknown):
        return Missing(str(cache_root))
    return _decoded(comparison, cache_root, stored.data_fingerprint)


def _decoded(comparison: Comparison, cache_root: Path, fingerprint: str) -> "Searchable | Missing":
    from objectives.data.cache import find_decoded
    from objectives.errors import DataError

    try:
        found = find_decoded(comparison.spec.data, fingerprint, cache_root)
    except (DataError, OSError) as error:
        return Missing(str(error))
    if found is None:
        return Missing("this machine has not decoded the images that the study was trained on")
    return found


def _classes(found: "Searchable") -> tuple[ClassShown, ...]:
    labels = found.arrays.labels
    shown = []
    for place, name in enumerate(found.class_names):
        train, validation = (
            rows[labels[rows] == place] for rows in (found.train, found.validation)
        )
        samples = found.arrays.images[train[:SAMPLES]]
        shown.append(ClassShown(name, len(train), len(validation), samples))
    return tuple(shown)


def matrix_of(examined: Examined) -> Sequence[Sequence[int]]:
    """The confusion matrix: one row a true class, one column a predicted one."""
    matrix: list[list[int]] = examined.examination.confusion.tolist()
    return matrix
