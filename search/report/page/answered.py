"""What the last confirmation and the last ablation of a study have found, as a page shows it."""

from collections.abc import Iterator, Sequence

from search.analysis import confirmation
from search.analysis.ablation import read_ablation
from search.analysis.confirmation import JudgedArm, last_confirmation
from search.analysis.importance import Bounds
from search.analysis.inference import components as inference
from search.report.ablation import verdict_lines
from search.report.confirmation import sentences
from search.report.page.facts import (
    AblationFacts,
    ConfirmationFacts,
    ConfirmedTrial,
    SplitScore,
    TechniqueEffect,
)
from search.report.scale import Scale
from storage.engine import Database
from storage.studies import StoredStudy


def confirmation_shown(database: Database, parent: StoredStudy) -> ConfirmationFacts | None:
    """The last one that has made its choice; `None` where there is none."""
    found = last_confirmation(database, parent)
    chosen = None if found is None else found.chosen
    if found is None or chosen is None:
        return None
    return ConfirmationFacts(
        tuple(trial for arm in found.arms if (trial := _confirmed(arm)) is not None),
        chosen.candidate.trial,
        tuple(_scores(found, chosen.candidate.name)),
        None if found.test is None else found.test.reading.number,
        tuple(sentences(found)),
    )


def _scores(found: confirmation.Confirmation, choice: str) -> Iterator[SplitScore]:
    if found.test is None:
        return
    of_both = ((choice, found.test.choice), ("the baseline", found.test.baseline))
    for label, score in of_both:
        if score is not None and (interval := _interval(score.new_images)) is not None:
            yield SplitScore(label, score.mean, interval)


def _confirmed(arm: JudgedArm) -> ConfirmedTrial | None:
    # Where every run has diverged there is no mean to draw; a sentence says it.
    if not arm.values:
        return None
    found = arm.estimate
    return ConfirmedTrial(
        arm.candidate.trial,
        arm.is_baseline,
        arm.candidate.search_value,
        arm.values,
        None if found is None else _interval(found.these_images),
        None if found is None else _interval(found.new_images),
        0 if arm.divergence is None else arm.divergence.diverged,
        arm.may_be_best,
        arm.candidate.arm,
    )


def _interval(found: inference.Interval | None) -> Bounds | None:
    return None if found is None else Bounds(found.low, found.high)


def last_ablation(database: Database, follow_ups: Sequence[StoredStudy]) -> AblationFacts | None:
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
                Bounds(times * one.effect.interval.low, times * one.effect.interval.high),
                one.effect.verdict,
                one.effect.seeds,
            )
            for one in found.techniques
            if one.effect is not None
            and one.effect.value is not None
            and one.effect.interval is not None
        ]
        lines = tuple(verdict_lines(found))
        return AblationFacts(found.plan.reference.trial, tuple(effects), lines)
    return None
