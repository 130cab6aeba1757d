"""What answers say of the built-in default study on mnist-5k, by seed: the search, its best three
under five fresh seeds, what each technique of the choice is worth; as a table for docs.

With MNIST below --data-root the choice is scored on its 10,000 test images too, of which mnist-5k
has none: whether that lies within the stated interval is what is to be seen. Resumable: run again
with the same --folder, it goes on where it stood.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import machine
from lab.checkout import ROOT, environment


@dataclass(frozen=True)
class Answers:
    """Of one study; values are fractions."""

    seed: int
    # The value is the best one of the search.
    searched: float
    # The document is that of `confirm --json`.
    confirmed: Mapping[str, Any]
    # The document is that of `ablate --json`.
    ablated: Mapping[str, Any]
    # The value is the mean of the choice's networks on images that nothing has seen.
    true: float | None


def answers(seed: int, given: argparse.Namespace) -> Answers:
    """Searches, confirms and ablates as a user would, to the end."""
    name, url = f"answers-{seed}", f"sqlite:///{given.folder.resolve()}/answers-{seed}.db"
    size = ("--trials", str(given.trials), "--epochs", str(given.epochs))
    how = ("--threads", str(given.threads))
    changes = [argument for change in given.set for argument in ("--set", change)]
    run = ("run", "--study", name, "--dataset", given.dataset, "--seed", str(seed), *size)
    _hypersearch(url, *run, *how, *changes)
    confirmed = json.loads(
        _hypersearch(
            url,
            *("confirm", name, "--json", "--yes", *how),
            *(
                "--baseline",
                "neutral",
                "--top",
                str(given.top),
                "--seeds",
                str(given.confirm_seeds),
            ),
        )
    )
    ablated = json.loads(
        _hypersearch(
            url,
            *("ablate", name, "--json", "--yes", *how),
            *("--seeds", given.ablate_seeds, "--retune", str(given.retune)),
        )
    )
    best = max(each["search_value"] or 0.0 for each in confirmed["configurations"])
    true = None if given.data_root is None else true_score(confirmed, given)
    return Answers(seed, best, confirmed, ablated, true)


def _hypersearch(url: str, *arguments: str) -> str:
    command = [sys.executable, "-P", "-m", "hypersearch", *arguments, "--storage", url, "-q"]
    return subprocess.run(
        command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def true_score(confirmed: Mapping[str, Any], given: argparse.Namespace) -> float:
    """The choice trained again, on MNIST's 10,000."""
    from benchmarks.peers.contest import cache_root
    from benchmarks.true_scores import Judge
    from search.space.configuration import Configuration

    (choice,) = [each for each in confirmed["configurations"] if each["is_choice"]]
    judge = Judge.open(given.data_root, cache_root())
    options = Configuration(choice["params"]).hyperparameters()
    scores = judge.scores(options, given.epochs, f"choice of {confirmed['study']}")
    return statistics.mean(scores)


def table(found: Sequence[Answers]) -> str:
    """Markdown, in %: what the search said, and what was left of it."""
    lines = [
        "| seed | search | choice | validation | test | lucky seed | above neutral | helps | hurts"
        " | true score |",
        "| --- " * 10 + "|",
    ]
    for each in found:
        said, test = each.confirmed, each.confirmed["test"]
        luck = said["seed_luck"]
        arms = [arm for arm in said["configurations"] if arm["is_choice"]]
        means = [f"{_percent(arm['mean'])} ({_ends(arm['new_images'])})" for arm in arms]
        verdicts = {
            verdict: [
                one["technique"] for one in each.ablated["techniques"] if one["verdict"] == verdict
            ]
            for verdict in ("helps", "hurts")
        }
        true = "-"
        if each.true is not None and test is not None and test["new_images"] is not None:
            low, high = test["new_images"]
            true = f"{_percent(each.true)}, {'in' if low <= each.true <= high else 'out'}"
        cells = (
            str(each.seed),
            _percent(each.searched),
            str(said["choice_arm"]),
            means[0] if means else "-",
            "-" if test is None else f"{_percent(test['mean'])} ({_ends(test['new_images'])})",
            "-" if luck is None else f"{100 * luck['value']:+.2f} ({_ends(luck['interval'])})",
            "-"
            if test is None or test["difference"] is None
            else f"{100 * test['difference']:+.2f} ({_ends(test['difference_new_images'])})",
            ", ".join(verdicts["helps"]) or "none told",
            ", ".join(verdicts["hurts"]) or "none told",
            true,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _ends(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else " .. ".join(f"{100 * each:.2f}" for each in interval)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, a study at a time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the databases lie; kept")
    parser.add_argument("--dataset", default="mnist-5k")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3, help="studies")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--top", type=int, default=3)
    parser.add_argument("--confirm-seeds", type=int, default=5)
    parser.add_argument("--ablate-seeds", default="5")
    parser.add_argument("--retune", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data-root", type=Path, help="with MNIST below it")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    print(machine("hypersearch", "torch", "optuna"))
    found = []
    for seed in range(given.seeds):
        found.append(answers(seed, given))
        print(table(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
