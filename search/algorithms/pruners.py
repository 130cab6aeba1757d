"""Pruners by name: whether a trial is due to be stopped, as a pure function of what is recorded.

Optuna's own write to the trial and count failed ones (SuccessiveHalvingPruner), and none can be
given a part of the trials. So a trial that is taken over is judged as it would have been, and a
restart changes nothing.

One more is its dataclass in `search.spec.methods`, and its function here.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from search.algorithms.likeness import FIRST_JUDGED_LATER, Likeness, likeness
from search.space.domains import Value
from search.spec.methods import (
    ASHA,
    Comparing,
    Hyperband,
    Median,
    NoRule,
    Patient,
    Percentile,
    Rule,
    Threshold,
)
from search.spec.study_spec import StudySpec
from storage.direction import Direction
from storage.schema import DUE_KEY

# A curve has the value after each epoch, turned so that higher is better.
Curve = Mapping[int, float]


@dataclass(frozen=True)
class TrialCurve:
    """A trial as far as others are compared with it."""

    number: int
    curve: Curve
    is_complete: bool = False


# The others are read when a rule asks for them: at most epochs there is nothing to judge.
Others = Callable[[], Sequence[TrialCurve]]


@dataclass(frozen=True)
class JudgedStudy:
    """What a rule may know of the study."""

    seed: int
    epochs: int
    # The direction is that of the metric itself.
    direction: Direction = Direction.UP


def _none(rule: NoRule, own: TrialCurve, others: Others, study: JudgedStudy) -> bool:
    return False


def _percentile(
    rule: Percentile | Median, own: TrialCurve, others: Others, study: JudgedStudy
) -> bool:
    epoch = max(own.curve)
    if epoch < rule.min_epochs:
        return False
    complete = [other.curve[epoch] for other in others() if other.is_complete]
    if len(complete) < max(1, rule.startup_trials):
        return False
    return max(own.curve.values()) < float(np.percentile(complete, 100 - rule.percentile))


def _asha(rule: ASHA, own: TrialCurve, others: Others, study: JudgedStudy) -> bool:
    # The stopping variant of Li et al. 2020, "A System for Massively Parallel Hyperparameter
    # Tuning".
    epoch, rung = max(own.curve), rule.min_epochs
    while rung < epoch:
        rung *= rule.reduction_factor
    if rung != epoch:
        return False
    seen = [other.curve[epoch] for other in others() if epoch in other.curve]
    better = sum(value > own.curve[epoch] for value in seen)
    return better >= max(1, (len(seen) + 1) // rule.reduction_factor)


def _hyperband(rule: Hyperband, own: TrialCurve, others: Others, study: JudgedStudy) -> bool:
    bracket = hyperband_bracket(rule, own.number, study)

    def rivals() -> list[TrialCurve]:
        return [
            other for other in others() if hyperband_bracket(rule, other.number, study) == bracket
        ]

    rungs = ASHA(rule.min_epochs * rule.reduction_factor**bracket, rule.reduction_factor)
    return _asha(rungs, own, rivals, study)


def hyperband_bracket(rule: Hyperband, number: int, study: JudgedStudy) -> int:
    """Which bracket a trial belongs to: 0 has the first rung at min_epochs, each further one later
    by the factor.

    By a hash, in the shares of Li et al. 2018, "Hyperband", algorithm 1.
    """
    last = 0
    while rule.min_epochs * rule.reduction_factor ** (last + 1) <= study.epochs:
        last += 1
    weights = [
        math.ceil((last + 1) * rule.reduction_factor ** (last - bracket) / (last - bracket + 1))
        for bracket in range(last + 1)
    ]
    place = _share(study.seed, number, "bracket") * sum(weights)
    return next(bracket for bracket in range(last + 1) if place < sum(weights[: bracket + 1]))


def _threshold(rule: Threshold, own: TrialCurve, others: Others, study: JudgedStudy) -> bool:
    epoch = max(own.curve)
    bound = rule.lower if study.direction.is_up else rule.upper
    if bound is None or epoch < rule.min_epochs:
        return False
    return own.curve[epoch] < study.direction.raised(bound)


def _patient(rule: Patient, own: TrialCurve, others: Others, study: JudgedStudy) -> bool:
    values = [own.curve[epoch] for epoch in sorted(own.curve)]
    before, lately = values[: -rule.patience], values[-rule.patience :]
    return (
        bool(before)
        and max(lately) < max(before)
        and RULES[rule.of.name](rule.of, own, others, study)
    )


RULES: dict[str, Callable[..., bool]] = {
    "none": _none,
    "median": _percentile,
    "percentile": _percentile,
    "asha": _asha,
    "hyperband": _hyperband,
    "patient": _patient,
    "threshold": _threshold,
}


def is_due(
    spec: StudySpec, own: FrozenTrial, read_trials: Callable[[], Sequence[FrozenTrial]]
) -> bool:
    """Whether the pruner would stop `own` after the last epoch that it holds, by all trials of the
    study.
    """
    epoch, epochs, direction = own.last_step, spec.training.epochs, spec.direction
    assert epoch is not None
    rule, alike = spec.pruner.rule, spec.pruner.like_with_like
    kind = _likeness(own.params, epoch, epochs)

    def others() -> list[TrialCurve]:
        return [
            _trial_curve(other, direction)
            for other in read_trials()
            if other.number != own.number
            and other.state != TrialState.FAIL
            and epoch in other.intermediate_values
            and (not alike or _likeness(other.params, epoch, epochs) == kind)
        ]

    if alike and kind.regularized:
        rule = _later(rule)
    return RULES[rule.name](
        rule, _trial_curve(own, direction), others, JudgedStudy(spec.seed, epochs, direction)
    )


def _likeness(params: Mapping[str, Value], epoch: int, epochs: int) -> Likeness:
    return likeness(tuple(params.items()), epoch, epochs)


def _later(rule: Rule) -> Rule:
    """The rule with a later first judgement."""
    match rule:
        case Patient(of=of) if not isinstance(of, Threshold):
            return replace(rule, of=_compared_later(of))
        case Percentile() | Median() | ASHA() | Hyperband():
            return _compared_later(rule)
        case _:
            return rule


def _compared_later(rule: Comparing) -> Comparing:
    return replace(rule, min_epochs=math.ceil(rule.min_epochs * FIRST_JUDGED_LATER))


def _trial_curve(trial: FrozenTrial, direction: Direction) -> TrialCurve:
    # A trial that an audit let go on counts for others as if it had been stopped: an audit changes
    # no judgement.
    due = due_epoch(trial)
    curve = {
        epoch: direction.raised(value)
        for epoch, value in trial.intermediate_values.items()
        if due is None or epoch <= due
    }
    return TrialCurve(trial.number, curve, trial.state == TrialState.COMPLETE and due is None)


def due_epoch(trial: FrozenTrial) -> int | None:
    """After which epoch the trial was found due to be stopped."""
    found = trial.system_attrs.get(DUE_KEY)
    return None if found is None else int(found)


def due_attribute(epoch: int) -> dict[str, str]:
    """What is recorded of a trial that is due, beside the report of that epoch."""
    return {DUE_KEY: json.dumps(epoch)}


def is_audited(spec: StudySpec, number: int) -> bool:
    """Whether the trial runs all epochs even where it is due to be stopped."""
    return _share(spec.seed, number, "audit") < spec.pruner.audit


def _share(seed: int, number: int, purpose: str) -> float:
    # The number lies from 0 to below 1, and is the same on every worker.
    digest = hashlib.sha256(f"{seed}:{number}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
