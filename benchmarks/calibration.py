"""Whether what an exported model says of its own probabilities holds on test images: expected
calibration error before and after its temperature, and the share and accuracy that `--unsure`
promises.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.figures import machine
from benchmarks.small_searches import export, search
from objectives.data.config import DataConfig
from objectives.data.test_split import open_test_split
from objectives.model_file import read_model
from search.analysis.importance import Interval
from search.export.calibration import (
    Below,
    expected_calibration_error,
    probabilities_of,
)
from search.export.config import read_config
from search.export.formats import SAFETENSORS
from search.machine.folders import needed
from search.machine.settings import Settings

LIMITS = (0.6, 0.8, 0.9)


def holds(one: Below, other: Below) -> tuple[bool, bool]:
    """Whether shares, and accuracies of the rest, differ by no more than their 95 % intervals allow
    (Newcombe 1998, Statistics in Medicine 17, method 10).
    """
    shares = agree(one.share, one.share_interval, other.share, other.share_interval)
    if one.accuracy is None or other.accuracy is None:
        return shares, True
    assert one.accuracy_interval is not None
    assert other.accuracy_interval is not None
    return shares, agree(
        one.accuracy, one.accuracy_interval, other.accuracy, other.accuracy_interval
    )


def agree(one: float, of_one: Interval, other: float, of_other: Interval) -> bool:
    """Whether 0 is within the interval of the difference."""
    down = np.hypot(one - of_one.low, of_other.high - other)
    up = np.hypot(of_one.high - one, other - of_other.low)
    return bool(one - other - down <= 0 <= one - other + up)


def judge(model: Path, dataset: str) -> str:
    """A row of the table for each model, and one for each limit below it."""
    settings = Settings.from_environment(os.environ)
    size = 32 if dataset.startswith("images:") else None
    test = open_test_split(
        DataConfig(dataset, image_size=size),
        data_root=needed(settings.data_root),
        cache_root=needed(settings.cache_root),
    )
    promised = read_config(model).calibration
    trained = read_model((model / SAFETENSORS).read_bytes())
    logits = np.concatenate(
        [trained.logits(each).numpy() for each in torch.split(torch.from_numpy(test.images), 64)]
    )
    before, after = (
        expected_calibration_error(logits, test.labels, each)
        for each in (1.0, promised.temperature)
    )
    right = probabilities_of(logits, 1.0).argmax(1) == test.labels
    floor = of_a_calibrated_one(logits, promised.temperature)
    rows = [
        f"  {len(right):,} test images, accuracy {right.mean():.1%}, temperature"
        f" {promised.temperature:.3f}: error {before:.4f} before, {after:.4f} after"
        f" ({'smaller' if after < before else 'NOT SMALLER'}; on validation"
        f" {promised.error_before:.4f}, {promised.error_after:.4f}; a calibrated network shows"
        f" {floor:.4f} on so many images)"
    ]
    # The counts on the test images, at the temperature that was promised.
    of_test = counted(logits, test.labels, promised.temperature)
    for limit in LIMITS:
        said, found = promised.below(limit), of_test(limit)
        share, accuracy = holds(said, found)
        rows.append(
            f"    --unsure {limit}: said {text(said)}; test {text(found)}:"
            f" {'holds' if share and accuracy else 'DOES NOT HOLD'}"
        )
    return "\n".join(rows)


def of_a_calibrated_one(logits: NDArray[np.float32], temperature: float, draws: int = 20) -> float:
    """The mean error that is found where labels are drawn from the very probabilities: by chance
    alone, as bins hold few images.
    """
    random = np.random.RandomState(0)
    shares = probabilities_of(logits, temperature).astype(np.float64).cumsum(1)
    last = shares.shape[1] - 1
    return float(
        np.mean(
            [
                expected_calibration_error(
                    logits,
                    (shares < random.random_sample((len(shares), 1))).sum(1).clip(0, last),
                    temperature,
                )
                for _ in range(draws)
            ]
        )
    )


def counted(
    logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float
) -> Callable[[float], Below]:
    """As Calibration.below, of these images at that temperature."""
    shares = probabilities_of(logits, temperature)
    confident, right = shares.max(1), shares.argmax(1) == labels

    def below(limit: float) -> Below:
        rest = confident >= limit
        return Below(len(labels), int((~rest).sum()), int(right[rest].sum()))

    return below


def text(found: Below) -> str:
    """Share below and accuracy of the rest."""
    rest = "no rest" if found.accuracy is None else f"rest {found.accuracy:.1%} right"
    return f"{found.share:.1%} below, {rest}"


def main() -> None:
    """Prints the machine and what was found by data set and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=["mnist-5k"], help="or images:FOLDER")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    print(machine("torch", "numpy"))
    with tempfile.TemporaryDirectory() as root:
        for dataset in arguments.datasets:
            for seed in range(arguments.seeds):
                name = f"{Path(dataset.partition(':')[2] or dataset).name}-{seed}"
                url = search(Path(root), name, dataset, arguments.trials, arguments.epochs, seed)
                print(f"{dataset}, seed {seed}, {arguments.trials} trials x {arguments.epochs}")
                print(judge(export(Path(root), name, url), dataset), flush=True)


if __name__ == "__main__":
    main()
