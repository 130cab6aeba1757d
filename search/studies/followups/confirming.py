"""What `confirm` trains: the best configurations and the baseline under the same fresh seeds, then
the choice under further ones, with which the test split is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from objectives.data.config import Fold, fold_of_seed
from search.algorithms.samplers import trial_seed
from search.analysis.choosing import choose
from search.analysis.judged import Judged
from search.analysis.ranking import rank
from search.analysis.tuning import at_rate, with_tuned_baseline
from search.space.domains import Value
from search.spec.definition import stored_spec
from search.spec.follow_up import (
    BACKBONE,
    PRETRAINED,
    WEIGHTS,
    Candidate,
    ConfirmPlan,
    PlannedTraining,
    Stage,
    octaves_of,
)
from search.spec.study_spec import StudySpec
from search.studies.followups.neutral import neutral
from search.studies.followups.refused import FollowUpRefused
from storage.records import TrialRecord
from storage.studies import FollowUp, StoredStudy

DEFAULT_TOP, DEFAULT_SEEDS = 3, 5
FEWEST_SEEDS, MOST_SEEDS = 2, 1000
# One study has no more follow-ups, each of which has seeds of its own.
MOST_FOLLOW_UPS = 1_000_000
# The arm has the best trial's optimizer without any technique.
NEUTRAL = "neutral"
# So many runs find the neutral arm's learning rate.
RATES_OF_NEUTRAL = 5
# One fold was the search's; of one that is left every seed would have the same images.
FEWEST_TO_RESPLIT = 3


@dataclass(frozen=True)
class AskedToConfirm:
    """What a confirmation is asked for."""

    # Without a number it is as many as usual, or as there are.
    top: int | None = None
    # These trials are judged as well.
    trials: tuple[int, ...] = ()
    # The baseline is first, neutral, pretrained, none or a trial's number; None: first where there
    # is one.
    baseline: str | None = None
    seeds: int = DEFAULT_SEEDS
    reads_test: bool = True
    # A pretrained baseline is a name of objectives.names.BACKBONES, and the SHA-256 of the file of
    # its weights, None: the one that torchvision has.
    backbone: str | None = None
    weights: str | None = None
    # Whether each seed is judged on a fold of its own.
    resplit: bool = False

    def to_document(self) -> dict[str, Value | list[int] | None]:
        """As the plan holds it; equal for equal commands."""
        document = {**asdict(self), "trials": sorted(self.trials)}
        if self.baseline != PRETRAINED:
            # Plans from before there was such a baseline do not say what it would have been.
            document = {
                name: value for name, value in document.items() if name not in (BACKBONE, WEIGHTS)
            }
        # It came later: what was stored before is without it.
        if not self.resplit:
            del document["resplit"]
        return document


def plan_confirmation(
    parent: StoredStudy, trials: Sequence[TrialRecord], asked: AskedToConfirm
) -> ConfirmPlan:
    """Which configurations are judged.

    Raises FollowUpRefused where what is asked for is not there, or cannot be judged.
    """
    spec = stored_spec(parent)
    folds = spec.data.folds if asked.resplit else None
    if asked.resplit and (folds is None or folds < FEWEST_TO_RESPLIT):
        raise FollowUpRefused.no_folds(parent.name, folds, FEWEST_TO_RESPLIT)
    complete = rank((each for each in trials if each.state == "complete"), spec.direction)
    if not complete:
        raise FollowUpRefused.nothing_complete(parent.name)
    by_number = {trial.number: trial for trial in complete}
    if asked.top is not None and asked.top > len(complete):
        raise FollowUpRefused.too_many(parent.name, asked.top, len(complete))
    chosen = complete[: asked.top if asked.top is not None else DEFAULT_TOP]
    for number in asked.trials:
        if number not in by_number:
            raise FollowUpRefused.not_complete(parent.name, number)
        chosen += [by_number[number]] if by_number[number] not in chosen else []
    is_made = asked.baseline in (NEUTRAL, PRETRAINED)
    baseline = None if is_made else _baseline(parent, spec, trials, asked.baseline)
    if baseline is not None:
        chosen = [each for each in chosen if each.number != baseline.number] + [baseline]
    if len({each.data_fingerprint for each in chosen}) > 1:
        raise FollowUpRefused.mixed_data(parent.name, [each.number for each in chosen])
    if chosen[0].data_fingerprint != parent.data_fingerprint:
        raise FollowUpRefused.other_data(parent.name)
    candidates = [_candidate(each) for each in chosen]
    if asked.baseline == NEUTRAL:
        candidates.append(Candidate(NEUTRAL, None, None, neutral(_candidate(complete[0]).values)))
    if asked.baseline == PRETRAINED:
        values = _pretrained(parent, spec, asked)
        candidates.append(Candidate(PRETRAINED, None, None, values))
    return ConfirmPlan(
        asked.to_document(),
        asked.seeds,
        asked.reads_test,
        tuple(candidates),
        asked.baseline if is_made else None if baseline is None else _arm(baseline),
        len(complete),
        complete[0].number,
        tuple(_notes(parent, spec, trials, chosen)),
        octaves_of(RATES_OF_NEUTRAL) if asked.baseline == NEUTRAL else (),
        folds=folds,
    )


def first_stage(plan: ConfirmPlan, seed: int, number: int) -> list[PlannedTraining]:
    """Every candidate under each seed, seed by seed; of a neutral baseline the runs that find its
    learning rate. `number` is of the follow-up that has its seeds.
    """
    (*_, baseline) = plan.candidates
    tuned = [
        PlannedTraining(
            baseline.arm,
            "tune",
            place,
            trial_seed(seed, number, "confirm tune"),
            at_rate(baseline.values, 2**octaves),
        )
        for place, octaves in enumerate(plan.octaves)
    ]
    judged = [each for each in plan.candidates if not (plan.octaves and each == baseline)]
    return tuned + _judged(plan, judged, seed, number)


def _judged(
    plan: ConfirmPlan, candidates: Sequence[Candidate], seed: int, number: int
) -> list[PlannedTraining]:
    return [
        PlannedTraining(
            each.arm,
            "judge",
            index,
            fresh_seed(seed, number, index),
            each.values,
            keeps_model=plan.reads_test and each.arm == plan.baseline,
            fold=_fold(plan, index),
        )
        for index in range(plan.seeds)
        for each in candidates
    ]


def most_trainings(plan: ConfirmPlan) -> int:
    """How many trainings the whole takes."""
    return len(plan.octaves) + plan.seeds * (len(plan.candidates) + plan.reads_test)


def after_stage(follow_up: FollowUp, metric: str, seed: int, judged: Sequence[Judged]) -> Stage:
    """The neutral baseline, once its learning rate is found; then the choice under further seeds;
    nothing after that, or where the test split is not read, or nothing could be chosen.
    """
    plan = with_tuned_baseline(ConfirmPlan.from_json(follow_up.plan), metric, judged)
    number = follow_up.number if plan.seeds_of is None else plan.seeds_of
    arms = {each.training.arm for each in judged if each.training.purpose == "judge"}
    if plan.baseline is not None and plan.baseline not in arms:
        (baseline,) = [each for each in plan.candidates if each.arm == plan.baseline]
        trainings = _judged(plan, [baseline], seed, number)
        return Stage(tuple(trainings), plan.seeds * plan.reads_test)
    if not plan.reads_test or any(each.training.purpose == "test" for each in judged):
        return Stage()
    return _test_stage(plan, number, metric, seed, judged)


def _test_stage(
    plan: ConfirmPlan, number: int, metric: str, seed: int, judged: Sequence[Judged]
) -> Stage:
    chosen = choose(plan, metric, judged).choice
    if chosen is None:
        return Stage()
    values = next(each.values for each in plan.candidates if each.arm == chosen)
    baseline = {
        each.training.seed_index: each.slot
        for each in judged
        if each.training.purpose == "judge"
        and each.training.arm == plan.baseline != chosen
        and each.validation is not None
    }
    return Stage(
        tuple(
            PlannedTraining(
                chosen,
                "test",
                index,
                fresh_seed(seed, number, index),
                values,
                reads_with=tuple(
                    baseline[each] for each in [index - plan.seeds] if each in baseline
                ),
                fold=_fold(plan, index),
            )
            for index in range(plan.seeds, 2 * plan.seeds)
        )
    )


def _fold(plan: ConfirmPlan, index: int) -> Fold | None:
    return None if plan.folds is None else fold_of_seed(index, plan.folds)


def fresh_seed(seed: int, number: int, index: int) -> int:
    """The seed of that index in the study's confirmation of that number; no trial of a search has
    it but by chance.
    """
    return trial_seed(seed, number * MOST_SEEDS * 2 + index, "confirm")


def _baseline(
    parent: StoredStudy, spec: StudySpec, trials: Sequence[TrialRecord], asked: str | None
) -> TrialRecord | None:
    if asked == "none" or (asked is None and not spec.first_trials):
        return None
    if asked == "first" and not spec.first_trials:
        raise FollowUpRefused.no_first_trial(parent.name)
    number = 0 if asked is None or asked == "first" else int(asked)
    found = next((each for each in trials if each.number == number), None)
    if found is None or not found.parameters or found.state in ("running", "failed"):
        raise FollowUpRefused.no_baseline(parent.name, number)
    return found


def _pretrained(parent: StoredStudy, spec: StudySpec, asked: AskedToConfirm) -> Mapping[str, Value]:
    if spec.data.dataset == "synthetic":
        raise FollowUpRefused.no_images(parent.name)
    assert asked.backbone is not None
    return {BACKBONE: asked.backbone} | ({WEIGHTS: asked.weights} if asked.weights else {})


def with_weights(plan: ConfirmPlan, sha256: str) -> ConfirmPlan:
    """The plan, whose pretrained baseline has the weights of that file."""
    candidates = tuple(
        replace(each, values={**each.values, WEIGHTS: sha256}) if each.is_pretrained else each
        for each in plan.candidates
    )
    return replace(plan, candidates=candidates)


def _arm(trial: TrialRecord) -> str:
    return f"trial {trial.number}"


def _candidate(trial: TrialRecord) -> Candidate:
    value = trial.value if trial.state == "complete" else None
    values: dict[str, Value] = {
        name: value for name, value in trial.parameters.items() if value is not None
    }
    return Candidate(_arm(trial), trial.number, value, values)


def _notes(
    parent: StoredStudy,
    spec: StudySpec,
    trials: Sequence[TrialRecord],
    chosen: Sequence[TrialRecord],
) -> list[str]:
    """What of the search bears on the answer."""
    notes = []
    finished = sum(each.state in ("complete", "pruned") for each in trials)
    failed = sum(each.state == "failed" for each in trials)
    if spec.minimize:
        others = " and ".join(spec.minimize)
        notes.append(
            f"The search has also minimized {others}; the candidates are those of the best"
            f" {spec.metric} alone."
        )
    if parent.state != "ended":
        notes.append(f"The search has not ended: {finished} of {spec.planned_trials} trials.")
    elif parent.end_reason in ("stopped", "timeout", "failures"):
        notes.append(
            f"The search ended early ({parent.end_reason}), after {finished} of"
            f" {spec.planned_trials} trials."
        )
    if failed:
        notes.append(f"{failed} trials of the search failed; what they would have found is open.")
    audited = [each.number for each in chosen if each.due_epoch is not None]
    if audited:
        names = ", ".join(map(str, audited))
        notes.append(
            f"Trial {names} was found due to be stopped early and went on as an audit of the"
            " pruner."
        )
    return notes
