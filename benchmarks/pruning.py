"""What each pruner would have saved and lost on recorded learning curves: studies of some trials, in any order."""

import argparse
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.document import Toml
from search.likeness import likeness
from search.pruners import is_due
from search.spec import StudySpec, parse_spec
from search.study import merge, stored_spec
from storage.engine import open_for_work
from storage.studies import find_study

PRUNERS: dict[str, Toml] = {
    "asha": {"name": "asha"},
    "asha, all with all": {"name": "asha", "like_with_like": False},
    "hyperband": {"name": "hyperband"},
    "hyperband, all with all": {"name": "hyperband", "like_with_like": False},
    "median": {"name": "median"},
    "median, all with all": {"name": "median", "like_with_like": False},
    "patient (median)": {"name": "patient"},
}


@dataclass(frozen=True)
class Result:
    """Of one made-up study."""

    stopped: dict[bool, tuple[int, int]]  # by whether the trial annealed late: (stopped, of so many)
    epochs_share: float  # saved
    best_kept: bool
    regret: float  # how far the best that was kept is below the best


def replay(spec: StudySpec, trials: Sequence[FrozenTrial]) -> Result:
    """One worker takes the trials one after another."""
    epochs = spec.training.epochs
    seen: list[FrozenTrial] = []
    counts = {True: [0, 0], False: [0, 0]}
    saved = 0
    for number, whole in enumerate(trials):
        own = _cut(whole, number, 1, TrialState.RUNNING)
        kind = likeness(tuple(whole.params.items()), 1, epochs).anneals
        counts[kind][1] += 1
        for epoch in range(1, epochs):
            own = _cut(whole, number, epoch, TrialState.RUNNING)
            if is_due(spec, own, lambda: seen):
                counts[kind][0] += 1
                saved += epochs - epoch
                own.state = TrialState.PRUNED
                break
        else:
            own = _cut(whole, number, epochs, TrialState.COMPLETE)
        seen.append(own)
    final = [trial.intermediate_values[epochs] for trial in trials]
    kept = [trial.intermediate_values[epochs] for trial in seen if trial.state == TrialState.COMPLETE]
    regret = max(final) - max(kept)
    return Result(
        {kind: (stopped, of) for kind, (stopped, of) in counts.items()},
        saved / (epochs * len(trials)),
        regret == 0,
        regret,
    )


def _cut(trial: FrozenTrial, number: int, epochs: int, state: TrialState) -> FrozenTrial:
    return optuna.trial.FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        datetime_start=None,
        datetime_complete=None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={epoch: trial.intermediate_values[epoch] for epoch in range(1, epochs + 1)},
    )


def main() -> None:
    """Prints a row for each pruner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="one that ran with pruner none and sampler random, maximizing")
    parser.add_argument("--storage", default=os.environ.get("HYPERSEARCH_STORAGE", "sqlite:///hypersearch.db"))
    parser.add_argument("--trials", type=int, default=40, help="of each made-up study")
    parser.add_argument("--studies", type=int, default=200)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database, rdb = open_for_work(arguments.storage)
    with database:
        stored = find_study(database, arguments.study)
        spec = stored_spec(stored)
        recorded = [
            trial for trial in rdb.get_all_trials(stored.study_id, deepcopy=False) if trial.state == TrialState.COMPLETE
        ]
    count = min(arguments.trials, len(recorded))
    print(f"{arguments.study}: {len(recorded)} whole curves; {arguments.studies} studies of {count} of them each")
    print(
        f"{'pruner':26}{'epochs saved':>14}{'stopped: annealing':>20}{'others':>10}{'best kept':>11}{'mean regret':>13}"
    )
    for name, pruner in PRUNERS.items():
        judged = replace(spec, pruner=parse_spec(merge(spec.to_document(), {"study": {"pruner": pruner}})).pruner)
        order = random.Random(0)
        results = [replay(judged, order.sample(recorded, count)) for _ in range(arguments.studies)]
        stopped = {
            kind: sum(result.stopped[kind][0] for result in results)
            / max(1, sum(result.stopped[kind][1] for result in results))
            for kind in (True, False)
        }
        print(
            f"{name:26}{_mean([result.epochs_share for result in results]):>14.1%}{stopped[True]:>20.1%}"
            f"{stopped[False]:>10.1%}{_mean([float(result.best_kept) for result in results]):>11.1%}"
            f"{_mean([result.regret for result in results]):>13.5f}"
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
