"""Suspected labels of a study's own validation images, with the paths of their files; no torch."""

from dataclasses import dataclass

from objectives.data.cache import Searchable, open_searchable
from objectives.data.config import DataConfig
from objectives.names import folder_of
from search.analysis.suspects import good_trials, suspects
from search.export.errors import ExportRefused
from search.machine.folders import needed
from search.machine.this_machine import Machine
from search.spec.definition import stored_spec
from search.studies.data_location import find_data
from search.worker.events import Decoding, Tell
from storage.engine import Database
from storage.predictions import read_predictions
from storage.records import read_trials
from storage.studies import find_study


@dataclass(frozen=True)
class SuspectedFile:
    """A validation image whose label all good trials contradict."""

    # An image without a file of its own has the path DATASET[row].
    path: str
    given: str
    # The probability of the given label is a mean over the good trials.
    given_probability: float
    # Most of the good trials predict this class.
    predicted: str


@dataclass(frozen=True)
class SuspectedLabels:
    """What the good trials of a study suspect."""

    # The file with the least likely label comes first.
    files: tuple[SuspectedFile, ...]
    # The good trials are named by number, the best first.
    trials: tuple[int, ...]
    # The validation split has so many images.
    images: int

    def __str__(self) -> str:
        of = f"{len(self.files):,} of {self.images:,} validation images, whose label"
        if len(self.trials) == 1:
            return f"{of} the good trial ({self.trials[0]}) contradicts"
        numbers = ", ".join(map(str, self.trials))
        return f"{of} all {len(self.trials)} good trials ({numbers}) contradict"


def suspected_labels(
    database: Database, name: str, machine: Machine, most: int, tell: Tell
) -> SuspectedLabels:
    """At most so many, by what the study's trials have recorded of their validation images.

    Raises:
        StudyNotFound, ForeignStudy: there is no such study.
        ExportRefused: it has no complete trial with predictions, or they are of other images.
        DataError, DataUnavailable, OtherData: the images are not to be had.
    """
    stored = find_study(database, name)
    spec = stored_spec(stored)
    predictions = read_predictions(database, stored.study_id, "validation")
    trials = read_trials(database, stored.study_id)
    good = good_trials(trials, spec.direction, predictions)
    if not good:
        raise ExportRefused.no_predictions(name)
    answered = [predictions[number] for number in good]

    def show(done: int, total: int) -> None:
        tell(Decoding(done, total))

    def open_data(config: DataConfig) -> Searchable:
        return open_searchable(config, needed(machine.data_root), needed(machine.cache_root), show)

    config, opened = find_data(spec, stored, machine, open_data)
    rows = opened.validation
    if opened.arrays.labels[rows].tolist() != answered[0].labels.tolist():
        raise ExportRefused.other_data(name, good[0], spec.data.dataset)
    names, folder = opened.names(), folder_of(config.dataset)
    if names is None and folder is not None:
        raise ExportRefused.no_names(config.dataset, needed(machine.cache_root))

    def path(row: int) -> str:
        if names is None or folder is None:
            return f"{config.dataset}[{row}]"
        return str(folder / names[row])

    files = [
        SuspectedFile(
            path(int(rows[each.place])),
            opened.class_names[each.label],
            each.probability,
            opened.class_names[each.predicted],
        )
        for each in suspects(answered, most)
    ]
    return SuspectedLabels(tuple(files), tuple(good), len(rows))
