"""What a training of a follow-up has that a search's has not: what it is trained by, what is kept
of it, and the test split that is read with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from objectives.predicted import Predicted
from objectives.protocol import Pulse, ResumableTraining
from search.space.configuration import Configuration
from search.spec.follow_up import PlannedTraining
from search.spec.study_spec import StudySpec
from search.worker.ending import Ending
from search.worker.objective import Objective
from search.worker.readings import read_test
from search.worker.workplace import Workplace
from storage.artifact_names import MODEL_FILE, REGRESSION_FILE
from storage.computing import Computing
from storage.leases.lease import Lease


@dataclass(frozen=True, eq=False)
class PlannedDone:
    """A training of a follow-up that has run all its epochs, with its answers on the validation
    split and its value there.
    """

    planned: PlannedTraining
    training: ResumableTraining
    answered: Predicted
    value: float


def how_to_train(
    objective: Objective,
    planned: PlannedTraining | None,
    configuration: Configuration,
    seed: int,
    computing: Computing,
) -> Callable[[bytes | None, Pulse], ResumableTraining]:
    """What trains, given the checkpoint to go on from and the pulse; `planned` is `None` for a
    trial of a search.
    """
    if planned is not None and planned.is_pretrained:
        assert objective.reference is not None
        return partial(objective.reference(planned.fold).train, seed, computing.threads)
    train = objective.train
    if planned is not None and planned.purpose == "refit":
        assert objective.refit is not None
        train = objective.refit
    if planned is not None and planned.fold is not None:
        assert objective.on_fold is not None
        train = objective.on_fold(planned.fold)
    return partial(train, configuration.hyperparameters(), seed, computing)


def end_as_planned(
    place: Workplace, held: Lease, spec: StudySpec, objective: Objective, done: PlannedDone
) -> Ending:
    """What a follow-up needs of a training beside its curve: its model, or the test split read with
    it. Raises what keeping a file and read_test raise.
    """
    planned = done.planned
    kept = _kept(place, objective, done)
    if planned.purpose == "refit":
        # It has seen the validation images: its answers for them judge nothing.
        return Ending("complete", done.value, attributes=kept)
    if planned.purpose != "test":
        return Ending("complete", done.value, attributes=kept, predictions=done.answered)
    assert objective.open_test is not None
    also = read_test(
        place.database,
        held,
        spec,
        planned,
        done.training,
        objective.open_test,
        place.artifacts.load,
    )
    return Ending("complete", done.value, attributes=kept, predictions=done.answered, also=also)


def _kept(place: Workplace, objective: Objective, done: PlannedDone) -> Mapping[str, str]:
    if not done.planned.keeps_model:
        return {}
    keep = place.artifacts.keep_file
    if done.planned.is_pretrained:
        assert objective.reference is not None
        reference = objective.reference(done.planned.fold)
        return keep(REGRESSION_FILE, reference.model_of(done.training))
    return {} if objective.model_of is None else keep(MODEL_FILE, objective.model_of(done.training))
