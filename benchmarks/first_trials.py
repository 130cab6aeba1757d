"""Whether the first trials of searches diverge: `python -m benchmarks.first_trials [DATASET]`.

The configurations that a default study of each seed begins with, which no result changes, are
trained for a few epochs each, and those whose loss is not finite are shown. DATASET is the name of
a data set, or images:FOLDER; with --images, so many of its training images are taken.

    python -m benchmarks.first_trials digits --seeds 20 --epochs 4
    python -m benchmarks.first_trials images:flowers --image-size 32 --images 800 --epochs 2
"""

import argparse
from dataclasses import replace

import optuna
import torch

from objectives.data.images import LabelledImages, ResidentData, hold, open_dataset
from objectives.device import keep_freed_memory
from objectives.measurement import Diverged
from objectives.run import Run
from objectives.training import train
from search.algorithms.samplers import Drawn, build_sampler, draw, trial_seed
from search.machine.folders import below, needed, user_cache
from search.spec.document import Document
from search.spec.reading import parse_spec
from search.spec.study_spec import StudySpec


def main() -> None:
    """Prints each divergence and how many there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", nargs="?", default="digits")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--images", type=int, help="of the training split; all by default")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    specs = [
        spec_of(options.dataset, options.image_size, options.epochs, seed)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
    ]
    data = data_of(specs[0], options.images)
    diverged, accuracies = 0, []
    for spec in specs:
        for number in range(options.trials):
            drawn = first_trial(spec, number)
            run = Run(
                drawn.hyperparameters(),
                data,
                spec.training.epochs,
                trial_seed(spec.seed, number, "trial"),
                spec.model,
            )
            try:
                accuracies.append([each.validation_accuracy for each in train(run)][-1])
            except Diverged as error:
                diverged += 1
                print(f"seed {spec.seed}, trial {number}: {error}: {drawn.active}", flush=True)
    count, ended = options.seeds * options.trials, torch.tensor(accuracies)
    near_chance = int((ended < 2 / len(data.class_names)).sum())
    print(
        f"{options.dataset}: {diverged} of {count} diverged; accuracy of the others: median"
        f" {float(ended.median()):.3f}, {near_chance} below twice chance"
    )


def spec_of(dataset: str, image_size: int | None, epochs: int, seed: int) -> StudySpec:
    """The default study of a data set."""
    data: Document = {"dataset": dataset}
    if image_size is not None:
        data["image_size"] = image_size
    return parse_spec({"study": {"seed": seed}, "data": data, "training": {"epochs": epochs}})


def first_trial(spec: StudySpec, number: int) -> Drawn:
    """What the study's trial of that number is, when none has ended."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=build_sampler(spec, number))
    trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
    trial.number = number
    return draw(spec.space, study, trial, {})


def data_of(spec: StudySpec, images: int | None) -> ResidentData:
    """The data set, or so many of its training images."""
    data_root, cache_root = (needed(below(user_cache(), name)) for name in ("data", "decoded"))
    dataset = open_dataset(spec.data, data_root=data_root, cache_root=cache_root)
    data = hold(dataset, torch.device("cpu"))
    if images is None:
        return data
    order = torch.randperm(len(data.train.labels), generator=torch.Generator().manual_seed(0))
    chosen = order[:images]
    return replace(data, train=LabelledImages(data.train.images[chosen], data.train.labels[chosen]))


if __name__ == "__main__":
    main()
