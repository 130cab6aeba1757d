"""What each pruner saves, and what the configuration that a study then returns is truly worth:
curves replayed.

A made-up study takes so many of the recorded configurations in a random order, one worker, no
audits, and returns the complete one with the best last validation accuracy. Its regret is how much
lower its true score is (the mean of its retrainings on images that no search has seen) than that of
what the same study returns when nothing is pruned.
"""

import argparse
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from benchmarks.figures import machine, method_text
from benchmarks.recorded_curves import Curve, Recorded, read_true_scores
from search.algorithms.pruners import is_due
from search.spec.document import Toml
from search.spec.reading import parse_spec
from search.spec.study_spec import StudySpec

STUDIES, TRIALS = 100, 40

# Around each pruner's default, one option changed at a time.
PRUNERS: tuple[Mapping[str, Toml], ...] = (
    {"name": "none"},
    {"name": "asha"},
    {"name": "asha", "min_epochs": 2},
    {"name": "asha", "min_epochs": 3},
    {"name": "asha", "reduction_factor": 3},
    {"name": "asha", "reduction_factor": 4},
    {"name": "asha", "min_epochs": 2, "reduction_factor": 3},
    {"name": "asha", "like_with_like": False},
    {"name": "asha", "min_epochs": 2, "like_with_like": False},
    {"name": "asha", "min_epochs": 2, "reduction_factor": 3, "like_with_like": False},
    {"name": "hyperband"},
    {"name": "hyperband", "like_with_like": False},
    {"name": "median"},
    {"name": "median", "min_epochs": 1},
    {"name": "median", "like_with_like": False},
    {"name": "median", "min_epochs": 1, "like_with_like": False},
    {"name": "percentile"},
    {"name": "percentile", "min_epochs": 1},
    {"name": "percentile", "like_with_like": False},
    {"name": "patient"},
    {"name": "patient", "patience": 1},
)


@dataclass(frozen=True)
class Replayed:
    """One made-up study."""

    # The number is that of the configuration.
    returned: int
    # The value is the configuration's last validation accuracy.
    value: float
    stopped: int
    epochs: int
    seconds: float


def spec_of(pruner: Mapping[str, Toml], epochs: int) -> StudySpec:
    """The default study with that pruner."""
    return parse_spec({"study": {"pruner": {**pruner}}, "training": {"epochs": epochs}})


def replay(spec: StudySpec, curves: Sequence[Curve]) -> Replayed:
    """One worker takes the configurations one after another."""
    epochs = spec.training.epochs
    seen: list[FrozenTrial] = []
    stopped = trained = 0
    seconds = 0.0
    best: tuple[float, float, int] | None = None
    for place, curve in enumerate(curves):
        ran = len(curve.accuracy)
        for epoch in range(1, min(ran, epochs - 1) + 1):
            trial = _cut(curve, place, epoch, TrialState.RUNNING)
            if is_due(spec, trial, lambda: seen):
                ran = epoch
                stopped += 1
                break
        diverged = ran == len(curve.accuracy) < epochs
        state = TrialState.COMPLETE if ran == epochs else TrialState.PRUNED
        if ran > 0:
            seen.append(_cut(curve, place, ran, state))
        if ran == epochs:
            standing = (curve.accuracy[-1], -curve.loss[-1], curve.number)
            best = standing if best is None else max(best, standing)
        # The epoch in which it diverged was trained too.
        trained += ran + diverged
        seconds += sum(curve.seconds[:ran])
    # The first trial is never due.
    assert best is not None
    return Replayed(best[2], best[0], stopped, trained, seconds)


def _cut(curve: Curve, place: int, epochs: int, state: TrialState) -> FrozenTrial:
    return FrozenTrial(
        number=place,
        trial_id=place,
        state=state,
        value=None,
        datetime_start=None,
        datetime_complete=None,
        params=dict(curve.params),
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values=dict(enumerate(curve.accuracy[:epochs], start=1)),
    )


def studies(recorded: Recorded, count: int = STUDIES, trials: int = TRIALS) -> list[list[Curve]]:
    """The same for every pruner: one for each seed."""
    return [
        random.Random(seed).sample(recorded.curves, min(trials, len(recorded.curves)))
        for seed in range(count)
    ]


def returned(recorded: Recorded) -> set[int]:
    """Every configuration that some pruner's study returns."""
    return {
        replay(spec_of(pruner, recorded.epochs), curves).returned
        for pruner in PRUNERS
        for curves in studies(recorded)
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each pruner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each made-up study")
    given = parser.parse_args(arguments)
    recorded, true = Recorded.read(), read_true_scores()
    print(machine("hypersearch", "optuna"))
    print(f"{len(recorded.curves)} curves of {recorded.epochs} epochs ({recorded.machine})")
    print(
        f"{given.studies} studies of {given.trials} trials each; true scores of {len(true)}"
        " configurations"
    )
    made = studies(recorded, given.studies, given.trials)
    whole = [replay(spec_of(PRUNERS[0], recorded.epochs), curves) for curves in made]
    print(
        f"{'pruner':66}{'epochs saved':>13}{'time saved':>11}{'stopped':>9}{'best kept':>10}"
        f"{'validation':>11}{'true':>9}{'regret in points (95 %)':>26}"
    )
    for pruner in PRUNERS:
        spec = spec_of(pruner, recorded.epochs)
        started = time.perf_counter()
        found = [replay(spec, curves) for curves in made]
        took = time.perf_counter() - started
        pairs = list(zip(whole, found, strict=True))
        scores = [statistics.mean(true[each.returned]) for each in found if each.returned in true]
        regrets = [
            100 * (statistics.mean(true[best.returned]) - statistics.mean(true[each.returned]))
            for best, each in pairs
            if best.returned in true and each.returned in true
        ]
        print(
            f"{method_text(pruner):66}"
            f"{statistics.mean(1 - each.epochs / best.epochs for best, each in pairs):>13.1%}"
            f"{statistics.mean(1 - each.seconds / best.seconds for best, each in pairs):>11.1%}"
            f"{statistics.mean(each.stopped / given.trials for each in found):>9.1%}"
            f"{statistics.mean(best.returned == each.returned for best, each in pairs):>10.0%}"
            f"{statistics.mean(each.value for each in found):>11.4f}"
            f"{statistics.mean(scores) if scores else float('nan'):>9.4f}"
            f"{_interval(regrets):>26}   ({len(regrets)} studies, {took:.1f} s)"
        )


def _interval(values: Sequence[float]) -> str:
    # The interval is for the mean over the studies, by their normal approximation: the studies
    # share one pool of configurations.
    if len(values) < 2:
        return "unknown"
    mean, half = statistics.mean(values), 1.96 * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:+.3f} ({mean - half:+.3f}..{mean + half:+.3f})"


if __name__ == "__main__":
    main()
