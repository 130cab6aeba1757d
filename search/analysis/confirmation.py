"""What a confirmation has found, as a frozen answer: the one source of what is printed, of --json
and of a notebook. Values are fractions; of a loss, nats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.analysis.arm_runs import difference_of, estimate_of, luck_of, visible_of
from search.analysis.choosing import ArmChoice, choose
from search.analysis.judged import Judged, read_judged, runs_of
from search.analysis.tuning import with_tuned_baseline
from search.spec.definition import stored_spec
from search.spec.follow_up import Candidate, ConfirmPlan, follow_up_name
from storage.artifact_names import MODEL_FILE, read_trial_artifacts
from storage.engine import Database
from storage.follow_ups import read_follow_ups
from storage.readings import Reading, read_reading
from storage.studies import StoredStudy

if TYPE_CHECKING:
    from search.analysis.inference.best_set import Visible
    from search.analysis.inference.differences import Difference
    from search.analysis.inference.intervals import Divergence, Estimate
    from search.analysis.inference.luck import Luck
    from search.analysis.inference.runs import Runs

# Fewer runs than this say nothing but their mean.
FEWEST_RUNS = 2


@dataclass(frozen=True)
class JudgedArm:
    """A configuration under fresh seeds, on the validation images."""

    candidate: Candidate
    # The values are of the runs that did not diverge, in the order of their seeds.
    values: tuple[float, ...]
    # The mean is None where no run has finished without diverging.
    mean: float | None
    # The estimate is None for fewer than two runs.
    estimate: "Estimate | None"
    # The divergence is None where no run has finished.
    divergence: "Divergence | None"
    may_be_best: bool
    is_choice: bool
    is_baseline: bool


@dataclass(frozen=True)
class TestScores:
    """What the test split says, read with seeds that took no part in the choice."""

    reading: Reading
    images: int
    choice: "Estimate"
    baseline: "Estimate | None"
    # The difference is the choice's mean less the baseline's.
    difference: "Difference | None"
    # The same networks are better by so much on the validation images than on these.
    split_luck: "Luck | None"


@dataclass(frozen=True)
class Confirmation:
    """The answer of NAME:confirm:N, as far as its trainings have come."""

    study: str
    parent: str
    metric: str
    direction: str
    state: str
    end_reason: str | None
    # Only trainings that have finished are counted.
    trainings: int
    # The whole takes so many trainings.
    planned: int
    plan: ConfirmPlan
    # The confirmation of fewer seeds whose trainings it has taken over; None: it has its own alone.
    goes_on_from: str | None
    # The validation split, or the folds that are in the place of it, have so many images.
    images: int
    # The arms keep the plan's order.
    arms: tuple[JudgedArm, ...]
    choice: str | None
    # The value is the smallest difference that so many seeds and images can show.
    visible: "Visible | None"
    # The luck is that of the search's best trial, where it was judged: so much of its value was a
    # lucky seed.
    seed_luck: "Luck | None"
    test: TestScores | None
    # The choice's mean less the pretrained baseline's, on the validation images; None: there is no
    # such baseline, or not everything is judged.
    to_pretrained: "Difference | None"
    # The file of the chosen trial's network was kept: the search keeps those of trials that were
    # the best when they ended.
    is_choice_kept: bool

    @property
    def chosen(self) -> JudgedArm | None:
        """The choice, once every candidate has all its seeds."""
        if not self.is_judged:
            return None
        return next((arm for arm in self.arms if arm.is_choice), None)

    def of_trial(self, number: int) -> JudgedArm | None:
        """The arm that has the configuration of the parent's trial."""
        return next((arm for arm in self.arms if arm.candidate.trial == number), None)

    @property
    def is_judged(self) -> bool:
        """Whether every candidate has been trained under every seed."""
        finished = sum(
            len(arm.values) + (0 if arm.divergence is None else arm.divergence.diverged)
            for arm in self.arms
        )
        return finished == self.plan.seeds * len(self.plan.candidates)


def read_confirmation(database: Database, stored: StoredStudy) -> Confirmation:
    """The answer of a study that is a confirmation, as it stands."""
    assert stored.follow_up is not None
    spec = stored_spec(stored)
    judged = read_judged(database, stored)
    plan = with_tuned_baseline(ConfirmPlan.from_json(stored.follow_up.plan), spec.metric, judged)
    chosen = choose(plan, spec.metric, judged)
    comparable = [
        chosen.runs[each.arm]
        for each in plan.searched
        if each.arm in chosen.runs
        and chosen.runs[each.arm].count >= FEWEST_RUNS
        and not chosen.diverged.get(each.arm)
    ]
    return Confirmation(
        stored.name,
        stored.follow_up.parent_name,
        spec.metric,
        spec.direction,
        stored.state,
        stored.end_reason,
        sum(each.trial is not None for each in judged),
        stored.budget.trials,
        plan,
        follow_up_name(stored.follow_up.parent_name, "confirm", plan.seeds_of)
        if plan.seeds_of not in (None, stored.follow_up.number)
        else None,
        _images(judged),
        tuple(_arm(plan, each, chosen) for each in plan.candidates),
        chosen.choice,
        visible_of(comparable, plan.folds) if len(comparable) > 1 else None,
        _seed_luck(plan, chosen),
        _test_scores(plan, spec.metric, judged, chosen, read_reading(database, stored)),
        _to_pretrained(plan, chosen),
        _is_kept(database, stored.follow_up.parent_id, plan, chosen.choice),
    )


def _images(judged: Sequence[Judged]) -> int:
    """So many different ones that the runs are judged on: later shuffles have none but these."""
    by_fold = {
        each.training.fold: len(each.validation.labels)
        for each in judged
        if each.training.purpose == "judge" and each.validation is not None
    }
    return sum(images for fold, images in by_fold.items() if fold is None or fold.shuffle == 0)


def last_confirmation(database: Database, parent: StoredStudy) -> Confirmation | None:
    """The study's last confirmation that has made its choice."""
    for each in reversed(read_follow_ups(database, parent)):
        if each.follow_up is not None and each.follow_up.kind == "confirm":
            found = read_confirmation(database, each)
            if found.chosen is not None:
                return found
    return None


def _is_kept(database: Database, parent_id: int, plan: ConfirmPlan, choice: str | None) -> bool:
    number = next((each.trial for each in plan.candidates if each.arm == choice), None)
    if choice is None or number is None:
        return False
    return MODEL_FILE in read_trial_artifacts(database, parent_id, number)


def _arm(plan: ConfirmPlan, candidate: Candidate, chosen: ArmChoice) -> JudgedArm:
    from search.analysis.inference.intervals import divergence

    runs = chosen.runs.get(candidate.arm)
    diverged = chosen.diverged.get(candidate.arm, 0)
    count = diverged + (0 if runs is None else runs.count)
    return JudgedArm(
        candidate,
        () if runs is None else tuple(map(float, runs.values)),
        None if runs is None else float(runs.values.mean()),
        estimate_of(runs) if runs is not None and runs.count >= FEWEST_RUNS else None,
        divergence(diverged, count) if count else None,
        candidate.arm in chosen.may_be_best,
        candidate.arm == chosen.choice,
        candidate.arm == plan.baseline,
    )


def _seed_luck(plan: ConfirmPlan, chosen: ArmChoice) -> "Luck | None":
    best = next((each for each in plan.candidates if each.trial == plan.searched_best), None)
    runs = None if best is None else chosen.runs.get(best.arm)
    if best is None or best.search_value is None or runs is None or runs.count < FEWEST_RUNS:
        return None
    return None if chosen.diverged.get(best.arm) else luck_of(best.search_value, runs)


def _to_pretrained(plan: ConfirmPlan, chosen: ArmChoice) -> "Difference | None":
    if plan.pretrained is None or chosen.choice is None:
        return None
    of_choice, of_other = (chosen.runs.get(arm) for arm in (chosen.choice, plan.pretrained.arm))
    if of_choice is None or of_other is None or of_other.count < FEWEST_RUNS:
        return None
    return difference_of(of_choice, of_other)


def _test_scores(
    plan: ConfirmPlan,
    metric: str,
    judged: Sequence[Judged],
    chosen: ArmChoice,
    reading: Reading | None,
) -> TestScores | None:
    from search.analysis.inference.differences import difference
    from search.analysis.inference.intervals import estimate
    from search.analysis.inference.luck import split_luck

    fresh = [each for each in judged if each.training.purpose == "test" and each.test is not None]
    test = _runs(metric, fresh)
    if reading is None or test is None or test.count < FEWEST_RUNS:
        return None
    base = _runs(
        metric,
        [
            each
            for each in judged
            if each.training.arm == plan.baseline != chosen.choice
            and each.training.purpose == "judge"
            and each.test is not None
        ],
    )
    baseline = base if base is not None and base.count >= FEWEST_RUNS else None
    # Where each run has validation images of its own, none of these are images that were chosen by.
    validation = (
        None
        if plan.folds is not None
        else runs_of(metric, [each.validation for each in fresh if each.validation is not None])
    )
    return TestScores(
        reading,
        test.images,
        estimate(test),
        None if baseline is None else estimate(baseline),
        None if baseline is None else difference(test, baseline),
        split_luck(validation, test)
        if validation is not None and validation.count == test.count
        else None,
    )


def _runs(metric: str, judged: Sequence[Judged]) -> "Runs | None":
    answered = [each.test for each in judged if each.test is not None]
    return runs_of(metric, answered) if answered else None
