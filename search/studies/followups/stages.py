"""From one stage of a follow-up to the next: what is trained is a function of the plan and of what
the finished stages have recorded.
"""

from collections.abc import Callable, Sequence

from search.analysis.judged import Judged, read_judged
from search.spec.definition import stored_spec
from search.spec.follow_up import Kind, Stage
from search.studies.followups.ablating import after_stage as after_stage_of_ablate
from search.studies.followups.confirming import after_stage as after_stage_of_confirm
from storage.engine import Database
from storage.slots import add_stage, read_slots
from storage.studies import FollowUp, StoredStudy

NextStage = Callable[[FollowUp, str, int, Sequence[Judged]], Stage]
NEXT_STAGES: dict[Kind, NextStage] = {
    "confirm": after_stage_of_confirm,
    "ablate": after_stage_of_ablate,
    "reproduce": lambda follow_up, metric, seed, judged: Stage(),
    "refit": lambda follow_up, metric, seed, judged: Stage(),
}


def advance(database: Database, stored: StoredStudy) -> bool:
    """Adds the next stage of a follow-up whose slots have all been trained, or ends it where there
    is none; `False` where a stage is not yet done.

    Raises StudyDeleted.
    """
    assert stored.follow_up is not None
    taken = read_slots(database, stored.study_id)
    if any(each.state in ("free", "running") for each in taken):
        return False
    spec = stored_spec(stored)
    judged = read_judged(database, stored)
    next_stage = NEXT_STAGES[stored.follow_up.kind]  # type: ignore[index]
    stage = next_stage(stored.follow_up, spec.metric, spec.seed, judged)
    contents = [each.to_json() for each in stage.trainings]
    most = len(taken) + len(contents) + stage.later
    add_stage(database, stored, len(taken), contents, most)
    return True
