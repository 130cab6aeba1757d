"""What the last confirmation and the last ablation of a study have found, as a page shows it."""

from collections.abc import Sequence

from search.analysis.ablation import read_ablation
from search.analysis.confirmation import JudgedArm, read_confirmation
from search.analysis.importance import Interval
from search.analysis.inference import components as inference
from search.report.ablation import verdict_lines
from search.report.confirmation import sentences
from search.report.page.facts import (
    Ablation,
    Confirmation,
    ConfirmedTrial,
    SplitScore,
    TechniqueEffect,
)
from search.report.scale import Scale
from storage.engine import Database
from storage.studies import StoredStudy


def last_confirmation(database: Database, follow_ups: Sequence[StoredStudy]) -> Confirmation | None:
    """Of those that have made their choice; `None` where there is none."""
    for each in reversed(follow_ups):
        if each.follow_up is None or each.follow_up.kind != "confirm":
            continue
        found = read_confirmation(database, each)
        chosen = next((arm for arm in found.arms if arm.is_choice), None)
        if not found.is_judged or chosen is None or chosen.candidate.trial is None:
            continue
        test = found.test
        scores = []
        if test is not None:
            for label, score in (
                (f"trial {chosen.candidate.trial}", test.choice),
                ("the baseline", test.baseline),
            ):
                if score is not None and score.new_images is not None:
                    interval = Interval(score.new_images.low, score.new_images.high)
                    scores.append(SplitScore(label, score.mean, interval))
        return Confirmation(
            tuple(trial for arm in found.arms if (trial := _confirmed(arm)) is not None),
            chosen.candidate.trial,
            tuple(scores),
            None if test is None else test.reading.number,
            tuple(sentences(found)),
        )
    return None


def _confirmed(arm: JudgedArm) -> ConfirmedTrial | None:
    # Where every run has diverged there is no mean to draw; a sentence says it.
    if not arm.values:
        return None
    found = arm.estimate
    assert arm.candidate.trial is not None
    return ConfirmedTrial(
        arm.candidate.trial,
        arm.is_baseline,
        arm.candidate.search_value,
        arm.values,
        None if found is None else _interval(found.these_images),
        None if found is None else _interval(found.new_images),
        0 if arm.divergence is None else arm.divergence.diverged,
        arm.may_be_best,
    )


def _interval(found: inference.Interval | None) -> Interval | None:
    return None if found is None else Interval(found.low, found.high)


def last_ablation(database: Database, follow_ups: Sequence[StoredStudy]) -> Ablation | None:
    """Of those that have come to a verdict; `None` where there is none."""
    for each in reversed(follow_ups):
        if each.follow_up is None or each.follow_up.kind != "ablate":
            continue
        found = read_ablation(database, each)
        if not found.looks or found.plan.reference.trial is None:
            continue
        times = 100 if Scale(found.metric).is_share else 1
        effects = [
            TechniqueEffect(
                one.arm.technique,
                one.arm.value,
                not one.arm.adds,
                times * one.effect.value,
                Interval(times * one.effect.interval.low, times * one.effect.interval.high),
                one.effect.verdict,
                one.effect.seeds,
            )
            for one in found.techniques
            if one.effect is not None
            and one.effect.value is not None
            and one.effect.interval is not None
        ]
        lines = tuple(verdict_lines(found))
        return Ablation(found.plan.reference.trial, tuple(effects), lines)
    return None
