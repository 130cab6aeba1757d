"""A study names the files of its validation images whose label its good trials contradict."""

from pathlib import Path

import numpy as np

from objectives.data.image_file import read_pixels
from objectives.data.images import open_dataset
from search.export.lines import suspected_csv
from search.export.suspected import suspected_labels
from search.spec.definition import stored_spec
from search.worker.events import nobody
from storage.engine import open_database
from storage.predictions import read_predictions
from storage.studies import find_study
from tests.search.export.conftest import CLASSES, Study
from tests.search.export.test_exporting import machine_of


def test_the_files_are_those_whose_pixels_were_answered_wrongly(study: Study) -> None:
    with open_database(study.url) as database:
        stored = find_study(database, study.name)
        (recorded,) = read_predictions(database, stored.study_id, "validation").values()
        found = suspected_labels(database, study.name, machine_of(study), 100, nobody)
    dataset = open_dataset(
        stored_spec(stored).data,
        data_root=Path(),
        cache_root=study.cache / "hypersearch" / "decoded",
    )
    validation = dataset.split("validation")
    wrong = recorded.classes != recorded.labels
    assert (len(found.files), found.trials, found.images) == (wrong.sum(), (0,), 16)
    assert found.files[0].given_probability == recorded.true_probabilities[wrong].min()
    scales = {each.kind: each for each in dataset.facts.pixel_scales}
    for each in found.files:
        pixels = np.empty(dataset.image_shape, np.uint8)
        read_pixels(Path(each.path), pixels, scales)
        (place,) = np.flatnonzero((validation.images == pixels).all((1, 2, 3)))
        assert wrong[place]
        assert each.given == CLASSES[recorded.labels[place]] == Path(each.path).parent.name
        assert each.predicted == CLASSES[recorded.classes[place]]
    header, *rows = suspected_csv(found).splitlines()
    assert header == "path,given,probability_of_given,class"
    assert len(rows) == len(found.files)
