"""What a confirmation has found, for scripts."""

from search.analysis.confirmation import Confirmation, JudgedArm, TestScores
from search.report.confirmation import choice_number
from search.report.documents import Json
from search.spec.follow_up import BACKBONE, WEIGHTS


def confirmation_document(found: Confirmation) -> dict[str, Json]:
    """`confirm --json`: fractions, of a loss nats."""
    luck = found.seed_luck
    return {
        "study": found.study,
        "parent": found.parent,
        "metric": found.metric,
        "direction": found.direction,
        "state": found.state,
        "end_reason": found.end_reason,
        "trainings": found.trainings,
        "planned": found.planned,
        "goes_on_from": found.goes_on_from,
        "seeds": found.plan.seeds,
        "images": found.images,
        "folds": found.plan.folds,
        "notes": list(found.plan.notes),
        "configurations": [_configuration(arm, found.is_judged) for arm in found.arms],
        "choice": choice_number(found),
        "choice_arm": found.choice if found.is_judged else None,
        "pretrained": None
        if found.plan.pretrained is None
        else {
            "backbone": found.plan.pretrained.values[BACKBONE],
            "weights_sha256": found.plan.pretrained.values[WEIGHTS],
            "difference": None if found.to_pretrained is None else found.to_pretrained.value,
            "new_images": None
            if found.to_pretrained is None
            else _ends(found.to_pretrained.new_images),
        },
        "visible_difference": None
        if found.visible is None
        else {"now": found.visible.now, "more_seeds": found.visible.more_seeds},
        "seed_luck": None
        if luck is None
        else {
            "trial": found.plan.searched_best,
            "value": luck.value,
            "interval": _ends(luck.interval),
        },
        "test": None if found.test is None else _test(found.test),
    }


def _configuration(arm: JudgedArm, is_judged: bool) -> Json:
    return {
        "arm": arm.candidate.arm,
        "trial": arm.candidate.trial,
        "search_value": arm.candidate.search_value,
        "values": list(arm.values),
        "mean": arm.mean,
        "these_images": None if arm.estimate is None else _ends(arm.estimate.these_images),
        "new_images": None if arm.estimate is None else _ends(arm.estimate.new_images),
        "diverged": 0 if arm.divergence is None else arm.divergence.diverged,
        "may_be_best": arm.may_be_best and is_judged,
        "is_choice": arm.is_choice and is_judged,
        "is_baseline": arm.is_baseline,
        "params": {
            name: value for name, value in arm.candidate.values.items() if not name.endswith(".on")
        },
    }


def _test(scores: TestScores) -> Json:
    baseline, difference, luck = scores.baseline, scores.difference, scores.split_luck
    return {
        "reading": scores.reading.number,
        "images": scores.images,
        "mean": scores.choice.mean,
        "new_images": _ends(scores.choice.new_images),
        "baseline_mean": None if baseline is None else baseline.mean,
        "difference": None if difference is None else difference.value,
        "difference_new_images": None if difference is None else _ends(difference.new_images),
        "split_luck": None if luck is None else luck.value,
        "split_luck_interval": None if luck is None else _ends(luck.interval),
    }


def _ends(interval: object) -> Json:
    from search.analysis.inference.components import Interval

    return [interval.low, interval.high] if isinstance(interval, Interval) else None
