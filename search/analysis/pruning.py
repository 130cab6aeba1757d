"""What stopping trials early saved, and what it may have cost, from the trials that were
audited.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from storage.direction import Direction
from storage.records import TrialRecord

# Fewer audits say next to nothing: with none better, the bound is still above 13 %.
FEW_AUDITS = 20
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PruningRecord:
    """What the pruner of a study did.

    `audited` trials were due to be stopped and ran all epochs all the same (or diverged); `better`
    of these ended above the best trial that was never due. Which trials are audited is by chance,
    so what holds of them holds of the stopped ones: the share that would have ended better is below
    `bound`, with 95 % confidence.
    """

    pruner: str
    stopped: int
    # The finished trials took so many epochs.
    epochs: int
    epochs_saved: int
    # The seconds are counted at each stopped trial's own pace.
    seconds_saved: float
    audited: int
    better: int

    @property
    def share_saved(self) -> float:
        """Of the epochs that all finished trials would have taken."""
        return self.epochs_saved / max(1, self.epochs + self.epochs_saved)

    @property
    def bound(self) -> float:
        """Clopper-Pearson, one-sided."""
        return upper_bound(self.better, self.audited)

    @property
    def has_few_audits(self) -> bool:
        """Whether the bound says next to nothing."""
        return self.audited < FEW_AUDITS


def pruning_record(
    trials: Sequence[TrialRecord], pruner: str, epochs: int, direction: Direction
) -> PruningRecord:
    """Of the trials of a study whose pruner has that name, of so many planned epochs each."""
    finished = [trial for trial in trials if trial.state in ("complete", "pruned")]
    stopped = [trial for trial in finished if trial.cause == "pruner"]
    never_due = [
        trial.value
        for trial in finished
        if trial.state == "complete" and trial.due_epoch is None and trial.value is not None
    ]
    best = direction.best(never_due)
    # One that the study's end or a time limit cut short says nothing; one that diverged says that
    # it was no loss.
    audited = [
        trial
        for trial in finished
        if trial.due_epoch is not None and (trial.state == "complete" or trial.value is None)
    ]
    return PruningRecord(
        pruner=pruner,
        stopped=len(stopped),
        epochs=sum(len(trial.epochs) for trial in finished),
        epochs_saved=sum(epochs - len(trial.epochs) for trial in stopped),
        seconds_saved=sum(_seconds_saved(trial, epochs) for trial in stopped),
        audited=len(audited),
        better=sum(
            trial.value is not None and (best is None or direction.is_better(trial.value, best))
            for trial in audited
        ),
    )


def _seconds_saved(trial: TrialRecord, epochs: int) -> float:
    taken = sum(epoch.seconds for epoch in trial.epochs)
    return taken / len(trial.epochs) * (epochs - len(trial.epochs))


def upper_bound(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The largest share under which so few successes are not too unlikely (Clopper & Pearson 1934,
    one-sided).
    """
    if successes >= trials:
        return 1.0
    low, high = successes / trials, 1.0
    # Each round halves the interval, so 60 of them reach the last bit.
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if _at_most(successes, trials, middle) > 1 - confidence
            else (low, middle)
        )
    return high


def _at_most(successes: int, trials: int, share: float) -> float:
    # The binomial distribution function; by logarithms, as a factorial of some hundreds is no
    # float.
    return math.fsum(
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(count + 1)
            - math.lgamma(trials - count + 1)
            + count * math.log(share)
            + (trials - count) * math.log1p(-share)
        )
        for count in range(successes + 1)
    )
