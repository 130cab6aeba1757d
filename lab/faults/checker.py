"""What must hold after any fault."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import select

from lab.faults.lab import Process
from storage.engine import open_database
from storage.records import TrialRecord, read_trials
from storage.schema import attempt, lease, optuna_trials
from storage.studies import StoredStudy, find_study


def violations(processes: Sequence[Process], may_lose: Collection[str] = ()) -> list[str]:
    """What is wrong with the study of these workers, which has come to its end; `may_lose` may have
    lost trials.
    """
    order = processes[0].order
    with open_database(order.url) as database:
        stored = find_study(database, order.study)
        trials = {trial.number: trial for trial in read_trials(database, stored.study_id)}
        of_study = optuna_trials.c.study_id == stored.study_id
        joined = select(optuna_trials.c.number, attempt).join(
            attempt, attempt.c.trial_id == optuna_trials.c.trial_id
        )
        with database.transactions.read() as connection:
            leased = connection.scalars(
                select(optuna_trials.c.number)
                .join(lease, lease.c.trial_id == optuna_trials.c.trial_id)
                .where(of_study)
            ).all()
            lost = connection.execute(joined.where(of_study, attempt.c.outcome == "lost")).all()
            unended = connection.execute(joined.where(of_study, attempt.c.outcome.is_(None))).all()
    wrong = [*_of_the_end(stored, trials)]
    wrong += [f"trial {number} is leased" for number in leased]
    wrong += [
        f"trial {number} is {trial.state}"
        for number, trial in trials.items()
        if trial.state != "complete"
    ]
    wrong += [f"attempt {row.attempt} at trial {row.number} has no end" for row in unended]
    wrong += [
        f"trial {row.number} was taken from a living worker: {row.reason}"
        for row in lost
        if row.owner not in may_lose
    ]
    wrong += _of_epochs(processes, trials)
    wrong += _of_values(processes, trials)
    wrong += [
        f"{process.order.name}: {line}"
        for process in processes
        for line in process.said()
        if "Traceback" in line
    ]
    return wrong


def _of_the_end(stored: StoredStudy, trials: Mapping[int, TrialRecord]) -> Iterator[str]:
    finished = sum(trial.state in ("complete", "pruned") for trial in trials.values())
    if (stored.state, stored.end_reason, finished) != ("ended", "trials", stored.budget.trials):
        yield (
            f"{stored.state} by {stored.end_reason} with {finished} of {stored.budget.trials}"
            " finished"
        )
    if sorted(trials) != list(range(len(trials))):
        yield f"numbers with gaps: {sorted(trials)}"


def _of_epochs(processes: Sequence[Process], trials: Mapping[int, TrialRecord]) -> Iterator[str]:
    """An epoch that a worker was told is recorded must be."""
    for process in processes:
        for fact in process.facts("epoch"):
            number = int(fact["number"] or 0)
            recorded = {each.epoch: each.validation_accuracy for each in trials[number].epochs}
            if recorded.get(int(fact["epoch"] or 0)) != fact["value"]:
                yield (
                    f"epoch {fact['epoch']} of trial {number} was acknowledged and is not recorded"
                )


def _of_values(processes: Sequence[Process], trials: Mapping[int, TrialRecord]) -> Iterator[str]:
    """A value that a worker was told is recorded must be, and was told once."""
    ends: Counter[int] = Counter()
    for fact in (fact for process in processes for fact in process.facts("end")):
        if fact["outcome"] == "complete":
            number = int(fact["number"] or 0)
            ends[number] += 1
            if trials[number].value != fact["value"]:
                yield f"the value of trial {number} was acknowledged and is not recorded"
    for number, times in ends.items():
        if times > 1:
            yield f"trial {number} was acknowledged {times} times"
