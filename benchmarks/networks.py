"""What the options of [model] are worth by image size: accuracy, seconds an epoch, memory.

    python -m benchmarks.networks FOLDER [--sizes 32,64,128] [--seeds 2] [--epochs 10]

FOLDER holds a sub-folder of images a class. Each network is trained under the same hyperparameters,
alike for all, in a process of its own: what is printed is the mean of its seeds' validation
accuracies after the last epoch with their deviation, the median of an epoch's seconds, and the most
memory that the process had, its data included.
"""

import argparse
import json
import resource
import subprocess
import sys
from dataclasses import asdict
from statistics import mean, median, stdev

import torch

from objectives.architecture import ModelConfig
from objectives.data.config import DataConfig
from objectives.data.images import hold, open_dataset
from objectives.device import keep_freed_memory
from objectives.hyperparameters import AdamW, Augmentation, Hyperparameters, OneCycle
from objectives.run import Run, network_of
from objectives.training import train
from search.machine.folders import below, needed, user_cache

TUTORIAL = ModelConfig((16, 32, 64), head="flatten")
# These options are usual for photographs: docs/decisions/0021.
OPTIONS = Hyperparameters(
    AdamW(3e-3, weight_decay=0.05),
    scheduler=OneCycle(),
    augmentation=Augmentation(("random_resized_crop", "flip"), 0.5),
    initializer="he_normal",
    input_normalization="standard",
    normalization="batch",
    batch_size=64,
)


def networks() -> dict[str, ModelConfig]:
    """By name, those that are compared."""
    found = {}
    for name, channels in (
        ("3", (16, 32, 64)),
        ("4", (16, 32, 64, 128)),
        ("5", (16, 32, 64, 128, 256)),
    ):
        for head in ("flatten", "average"):
            for block in ("plain", "residual"):
                found[f"{name} {head} {block}"] = ModelConfig(channels, head=head, block=block)
    return found


def measured(
    folder: str, size: int, network: ModelConfig, epochs: int, seed: int
) -> dict[str, float]:
    """One training."""
    config = DataConfig(f"images:{folder}", image_size=size, split_version=2)
    data_root, cache_root = (needed(below(user_cache(), name)) for name in ("data", "decoded"))
    dataset = open_dataset(config, data_root=data_root, cache_root=cache_root)
    data = hold(dataset, torch.device("cpu"))
    run = Run(OPTIONS, data, epochs, seed, network)
    measurements = list(train(run))
    return {
        "accuracy": measurements[-1].validation_accuracy,
        "seconds": median(each.seconds for each in measurements),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "channels": len(network_of(run).channels),
    }


def main() -> None:
    """Prints a line for each network and size."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder")
    arguments.add_argument("--sizes", default="32,64,128")
    arguments.add_argument("--seeds", type=int, default=2)
    arguments.add_argument("--epochs", type=int, default=10)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--only", default="", help="names of networks, comma-separated")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one:
        case = json.loads(options.one)
        torch.set_num_threads(options.threads)
        keep_freed_memory()
        case["network"]["channels"] = tuple(case["network"]["channels"])
        network = ModelConfig(**case.pop("network"))
        print(json.dumps(measured(options.folder, network=network, epochs=options.epochs, **case)))
        return
    chosen = options.only.split(",") if options.only else list(networks())
    for size in map(int, options.sizes.split(",")):
        for name in chosen:
            found = [_apart(options, size, networks()[name], seed) for seed in range(options.seeds)]
            print(_line(size, name, found), flush=True)


def _apart(
    options: argparse.Namespace, size: int, network: ModelConfig, seed: int
) -> dict[str, float]:
    case = json.dumps({"size": size, "seed": seed, "network": asdict(network)})
    command = [sys.executable, "-m", "benchmarks.networks", options.folder, "--one", case]
    command += ["--epochs", str(options.epochs), "--threads", str(options.threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _line(size: int, name: str, found: list[dict[str, float]]) -> str:
    accuracies = [100 * each["accuracy"] for each in found]
    spread = f" +- {stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return (
        f"{size:4} px  {name:20}  {mean(accuracies):5.1f}{spread} %"
        f"  {median(each['seconds'] for each in found):6.1f} s an epoch"
        f"  {max(each['megabytes'] for each in found):6.0f} MB"
    )


if __name__ == "__main__":
    main()
