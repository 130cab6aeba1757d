"""Random combinations of every option there is, on noise: each trains to finite scores, or diverges
in one line.

    python -m lab.combinations --combinations 200

Images are grey and coloured, 32 x 32 and 17 x 40. What is drawn are all options of all techniques,
numbers that are off by default among them. More than one divergence in 20 is a fault, as is any
other error; the exit code is then 1.
"""

import argparse
import math
import random
import sys
from dataclasses import astuple

import torch

from objectives.architecture import ModelConfig
from objectives.data.images import LabelledImages, ResidentData
from objectives.measurement import Diverged
from objectives.run import Run
from objectives.training import train
from search.space.configuration import Configuration
from search.space.domains import Choice, Domain, Off, Range, Value
from search.space.parameters import PARAMETERS
from search.space.search_space import SearchSpace

CLASSES = 3
SHAPES = [(channels, *size) for channels in (1, 3) for size in ((32, 32), (17, 40))]
# What a user might write for what is off by default, by the last part of its name.
OPENED = {
    "alpha": (0.8, 0.999),
    "momentum": (0.0, 0.95),
    "beta1": (0.0, 0.99),
    "beta2": (0.8, 0.9999),
    "warmup": (0.05, 0.5),
    "gradient_clipping": (0.01, 10.0),
    "width": (0.1, 1.5),
    "depth": (1, 5),
    "balanced_sampling": (0.1, 1.0),
}


def main() -> int:
    """Trains them, and prints what did not end well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--combinations", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    diverged = faults = 0
    for seed in range(options.first_seed, options.first_seed + options.combinations):
        values = drawn(everything(), random.Random(seed))
        for shape in SHAPES:
            try:
                found = list(train(run_of(values, shape, seed)))
                numbers = [number for each in found for number in astuple(each)]
                if not all(number is None or math.isfinite(number) for number in numbers):
                    raise ValueError(f"a score is not finite: {found}")
            except Diverged as error:
                diverged += 1
                print(f"{seed} {shape}: {error}: {values}", flush=True)
            # Whatever else it raises is a fault of the combination, and the others go on.
            except Exception as error:
                faults += 1
                print(f"{seed} {shape}: {type(error).__name__}: {error}: {values}", flush=True)
    count = options.combinations * len(SHAPES)
    print(f"{count} trainings: {diverged} diverged, {faults} faults")
    return int(faults > 0 or diverged > count / 20)


def everything() -> SearchSpace:
    """All options there are, and every number that may be off or on; ranges as they come.

    Raises KeyError for a number that is off by default and that OPENED lacks.
    """
    changes: dict[str, Domain] = {"batch_size": Range(8, 40, whole=True)}
    for name, parameter in PARAMETERS.items():
        if parameter.kind == "choice":
            changes[name] = Choice(parameter.options)
        elif parameter.kind == "bool":
            changes[name] = Choice((False, True))
        elif parameter.default == Off():
            opened = OPENED[name.rpartition(".")[2]]
            changes[name] = Range(*opened, optional=True, whole=parameter.kind == "int")
    return SearchSpace.default(changes)


def drawn(space: SearchSpace, chance: random.Random) -> dict[str, Value]:
    """One of its configurations, as a spec names it."""

    def suggest(name: str, domain: Choice | Range) -> Value:
        return domain.at(chance.random())

    return Configuration(space.suggest(suggest)).active


def run_of(values: dict[str, Value], shape: tuple[int, int, int], seed: int) -> Run:
    """One epoch on noise of that shape."""
    made_up = torch.Generator().manual_seed(0)

    def noise(count: int) -> LabelledImages:
        images = torch.randint(256, (count, *shape), dtype=torch.uint8, generator=made_up)
        return LabelledImages(images, torch.arange(count) % CLASSES)

    train_split, validation = noise(45), noise(12)
    pixels = train_split.images / 255
    data = ResidentData(
        train_split,
        validation,
        tuple("abc"),
        pixels.mean((0, 2, 3)),
        pixels.std((0, 2, 3), correction=0),
    )
    hyperparameters = Configuration(values).hyperparameters()
    return Run(hyperparameters, data, 1, seed, ModelConfig((8, 16, 16), 20))


if __name__ == "__main__":
    sys.exit(main())
