"""Which trials were trained on which data, where that changed while a study ran."""

from collections.abc import Iterable, Sequence

from storage.records import TrialRecord

# Each pair is a fingerprint, None where none was recorded, and the numbers of its trials.
DataSets = Sequence[tuple[str | None, Sequence[int]]]


def data_sets(trials: Iterable[TrialRecord]) -> DataSets:
    """The fingerprints with the numbers of their trials, in the order of the first of these."""
    found: dict[str | None, list[int]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        # A trial without an attempt has been taken by nobody so far, and so has no data.
        if trial.attempts:
            found.setdefault(trial.data_fingerprint, []).append(trial.number)
    return list(found.items())


def ranges(numbers: Sequence[int]) -> str:
    """Ascending whole numbers for a person.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
