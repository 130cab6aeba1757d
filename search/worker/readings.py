"""Reads test splits, and nobody else does: for trainings of a confirmation that come after its
choice.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection

from objectives.predicted import Predicted
from objectives.protocol import ResumableTraining
from search.analysis.judged import value_of
from search.spec.follow_up import PlannedTraining
from search.spec.study_spec import StudySpec
from search.worker.ending import recorded_answers
from storage.artifact_names import MODEL_FILE, REGRESSION_FILE, read_artifacts
from storage.engine import Database
from storage.leases.lease import Lease
from storage.predictions import SplitPredictions, insert_predictions, select_predictions
from storage.readings import begin_reading, complete_reading, split_id
from storage.slots import TakenSlot, read_slots
from storage.studies import StoredStudy

if TYPE_CHECKING:
    import torch

    from objectives.data.cache import LabelledArrays, Opened
    from objectives.data.config import DataConfig, Fold
    from objectives.pretrained import Reference
    from search.machine.this_machine import Machine


class TestSplitRefused(Exception):
    """Somebody asks for the test split who may not see it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"study {name!r}: the test split is read by the last stage of a confirmation alone"
        )


class TestReader(Protocol):
    """A test split that is open."""

    def of_training(self, training: ResumableTraining) -> Predicted:
        """What the network of a training that has finished answers."""

    def of_kept(self, planned: PlannedTraining, model: bytes | None) -> Predicted:
        """What a network that an earlier training kept answers; made-up ones keep none."""


def open_reader(
    config: "DataConfig",
    study: str,
    machine: "Machine",
    device: "torch.device",
    images_at_once: int,
    reference: "Callable[[Fold | None], Reference] | None" = None,
) -> TestReader:
    """The test split of a study's data set on the device; `reference` answers for a pretrained
    baseline. Raises DataError, DataUnavailable.
    """
    from objectives.data.images import split_sha256, to_device
    from objectives.device import full_float32
    from objectives.evaluation import normalizer
    from objectives.model_file import TrainedModel, read_model
    from objectives.prediction import predict
    from objectives.training import Training

    split = to_device(_test_arrays(config, study, machine), device)
    sha256 = split_sha256(split)

    def answers(model: TrainedModel) -> Predicted:
        import torch

        mean, deviation = (
            torch.tensor(values, device=device) for values in (model.mean, model.deviation)
        )
        normalize = normalizer(model.input_normalization, mean, deviation)
        with full_float32():
            return predict(model.network, split, sha256, normalize, images_at_once)

    class Reader:
        def of_training(self, training: ResumableTraining) -> Predicted:
            assert isinstance(training, Training)
            return answers(training.trained())

        def of_kept(self, planned: PlannedTraining, model: bytes | None) -> Predicted:
            assert model is not None
            if planned.is_pretrained:
                assert reference is not None
                return reference(planned.fold).answers(model, split, sha256)
            kept = read_model(model)
            kept.network.to(device)
            return answers(kept)

    return Reader()


def _test_arrays(config: "DataConfig", study: str, machine: "Machine") -> "LabelledArrays":
    from objectives.data.test_split import load_test_split, open_test_split
    from search.machine.folders import needed

    if machine.parcels is not None:
        from search.worker.parcels import ask

        return load_test_split(ask(machine.parcels, study, "test"))
    return open_test_split(
        config, data_root=needed(machine.data_root), cache_root=needed(machine.cache_root)
    )


def test_parcel(config: "DataConfig", stored: StoredStudy, machine: "Machine") -> "Opened":
    """The test split, to be sent to the worker of a confirmation that reads it.

    Raises:
        TestSplitRefused: the study is no confirmation.
        DataError, DataUnavailable: it is not to be had here.
    """
    from objectives.data.test_split import open_test_parcel
    from search.machine.folders import needed

    if stored.follow_up is None or stored.follow_up.kind != "confirm":
        raise TestSplitRefused(stored.name)
    return open_test_parcel(
        config, data_root=needed(machine.data_root), cache_root=needed(machine.cache_root)
    )


def read_test(
    database: Database,
    held: Lease,
    spec: StudySpec,
    planned: PlannedTraining,
    training: ResumableTraining,
    open_split: Callable[[], TestReader],
    load_artifact: Callable[[str], bytes],
) -> Callable[[Connection], None]:
    """Answers the test split with the network that was just trained, and with those that it is to
    be read with; returns what records it all in the transaction that ends the trial.

    The reading has its number before the split is opened.

    Raises:
        TestSplitRefused: the training is not of a confirmation's last stage.
        DataError, DataUnavailable, ArtifactsUnavailable, ArtifactDamaged: it cannot be read here.
    """
    if planned.purpose != "test" or held.stored.follow_up is None:
        raise TestSplitRefused(held.stored.name)
    begin_reading(
        database,
        held.stored,
        split_id(spec.data.dataset, held.stored.data_fingerprint),
        spec.data.dataset,
        json.dumps(dict(planned.values), sort_keys=True),
    )
    slots = read_slots(database, held.stored.study_id)
    reader = open_split()
    own = recorded_answers("test", reader.of_training(training))
    others = {
        kept.trial_id: recorded_answers(
            "test",
            reader.of_kept(
                PlannedTraining.from_json(kept.slot.content),
                _model_of(database, held.stored.study_id, kept, load_artifact),
            ),
        )
        for kept in slots
        if kept.slot.index in planned.reads_with and kept.trial_id is not None
    }

    return partial(_record, held.stored, spec.metric, slots, {held.trial_id: own, **others})


def _record(
    stored: StoredStudy,
    metric: str,
    slots: Sequence[TakenSlot],
    answered: Mapping[int, SplitPredictions],
    connection: Connection,
) -> None:
    """Records the answers by trial id, and the choice's score: the mean of the networks that were
    trained to read the split.
    """
    for trial_id, found in answered.items():
        insert_predictions(connection, stored.study_id, trial_id, found)
    judged = {
        each.trial
        for each in slots
        if PlannedTraining.from_json(each.slot.content).purpose != "test"
    }
    of_choice = [
        value_of(metric, found)
        for number, found in select_predictions(connection, stored.study_id, "test").items()
        if number not in judged
    ]
    complete_reading(connection, stored, sum(of_choice) / len(of_choice))


def _model_of(
    database: Database, study_id: int, kept: TakenSlot, load_artifact: Callable[[str], bytes]
) -> bytes | None:
    assert kept.trial_id is not None
    planned = PlannedTraining.from_json(kept.slot.content)
    file = REGRESSION_FILE if planned.is_pretrained else MODEL_FILE
    name = read_artifacts(database, study_id).get(kept.trial_id, {}).get(file)
    return None if name is None else load_artifact(name)
