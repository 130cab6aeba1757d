"""Studies that nobody ran: their answers in milliseconds, the same every time."""

import math
import random
from collections.abc import Sequence
from dataclasses import asdict, replace

from objectives.synthetic import synthetic_curve
from search.analysis.comparison import Comparison, comparison_of
from search.space.configuration import Configuration
from search.space.domains import Choice, Domain, Range, Value
from search.spec.document import Document
from search.spec.reading import parse_spec
from search.spec.study_spec import StudySpec
from storage.records import EpochRecord, StudyRecord, TrialRecord
from storage.studies import StoredStudy

EPOCHS = 4
# A validation accuracy below this after the second epoch stops a trial.
STOPPED_BELOW = 0.6


def made_up(trials: int, seed: int = 0, **tables: Document) -> Comparison:
    """What `compare` finds in a study of so many trials drawn at random, the poor ones stopped
    after two epochs.
    """
    spec = parse_spec(
        {
            "study": {"name": "demo", "trials": max(1, trials), **tables.get("study", {})},
            "data": {"dataset": "synthetic", **tables.get("data", {})},
            "training": {"epochs": EPOCHS},
            "space": tables.get("space", {}),
        }
    )
    numbers = random.Random(seed)
    return compared(spec, [_trial(spec, number, numbers) for number in range(trials)])


def compared(spec: StudySpec, trials: Sequence[TrialRecord]) -> Comparison:
    """The comparison of these trials."""
    counts = [sum(each.state == state for each in trials) for state in ("complete", "pruned")]
    failed = sum(each.state == "failed" for each in trials)
    is_over = sum(counts) >= spec.budget.trials
    stored = StoredStudy(
        study_id=1,
        uid="0" * 32,
        name=spec.name,
        definition=spec.definition(),
        definition_hash=spec.definition_hash(),
        budget=spec.budget,
        state="ended" if is_over else "open",
        end_reason="trials" if is_over else None,
        started_ms=0,
        ended_ms=60_000 if is_over else None,
    )
    return comparison_of(StudyRecord(counts[0], counts[1], failed, stored), spec, trials)


def failed(trial: TrialRecord, reason: str) -> TrialRecord:
    """The same trial, had it failed in its first epoch."""
    return replace(trial, state="failed", value=None, epochs=(), reason=reason, cause="error")


def _trial(spec: StudySpec, number: int, numbers: random.Random) -> TrialRecord:
    values = spec.space.suggest(lambda name, domain: _drawn(name, domain, numbers))
    curve = [
        replace(EpochRecord(**asdict(each)), seconds=1.5, images_per_second=2000.0)
        for each in synthetic_curve(Configuration(values).hyperparameters(), EPOCHS, number)
    ]
    is_poor = curve[1].validation_accuracy < STOPPED_BELOW
    epochs = tuple(curve[:2] if is_poor else curve)
    return TrialRecord(
        number=number,
        state="pruned" if is_poor else "complete",
        value=epochs[-1].validation_accuracy,
        costs=(),
        parameters=dict(values),
        epochs=epochs,
        attempts=1,
        device="cpu",
        threads=2,
        reason="by asha" if is_poor else None,
        started_ms=number * 1000,
        ended_ms=number * 1000 + 900,
        due_epoch=2 if is_poor else None,
        piece=64,
        cause="pruner" if is_poor else None,
    )


def _drawn(name: str, domain: Domain, numbers: random.Random) -> Value:
    if isinstance(domain, Choice):
        return numbers.choice(domain.options)
    assert isinstance(domain, Range)
    low, high = domain.low, domain.high
    if domain.log:
        number = math.exp(numbers.uniform(math.log(low), math.log(high)))
        return min(max(number, low), high)
    return numbers.uniform(low, high)
