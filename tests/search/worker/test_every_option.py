"""Every option of every technique trains, alone and with all others, on grey and on colour
images.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace

import pytest
import torch

from lab.combinations import drawn, everything
from objectives.architecture import ModelConfig
from objectives.data.images import LabelledImages, ResidentData
from objectives.measurement import Diverged, Measurement
from objectives.names import AUGMENTATIONS
from objectives.run import Run
from objectives.training import train
from search.space.configuration import Configuration
from search.space.domains import Choice, Range, Value
from search.space.parameters import PARAMETERS

CLASSES = 3
COMBINATIONS = 200
Images = Callable[[int], LabelledImages]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(count: int, shape: tuple[int, int, int], classes: int = CLASSES) -> LabelledImages:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    return LabelledImages(images, torch.arange(count) % classes)


def data(
    shape: tuple[int, int, int], train_count: int = 17, classes: int = CLASSES
) -> ResidentData:
    images = noise(train_count, shape, classes)
    pixels = images.images / 255
    names = tuple(f"class {number}" for number in range(classes))
    deviation = pixels.std((0, 2, 3), correction=0)
    # The function `hold` does the same.
    deviation[deviation == 0] = 1.0
    return ResidentData(
        images, noise(2 * classes, shape, classes), names, pixels.mean((0, 2, 3)), deviation
    )


GREY, COLOUR = data((1, 28, 28)), data((3, 32, 32))


# Each operation alone, those that share a step, and all of them; random combinations have the rest.
AUGMENTED = ("none", *AUGMENTATIONS, "mixup+cutmix", "+".join(AUGMENTATIONS))


def alone() -> list[dict[str, Value]]:
    """A plain configuration, and each with one thing changed: every option, and both ends of every
    number.
    """
    plain: dict[str, Value] = {"optimizer": "sgd", "sgd.learning_rate": 0.01, "batch_size": 8}
    found = [plain]
    for name in PARAMETERS:
        domain = dict(everything().domains)[name]
        values: tuple[Value, ...] = domain.options if isinstance(domain, Choice) else ()
        if name == "augmentation":
            values = AUGMENTED
        if isinstance(domain, Range):
            values = (domain.low, domain.high)
        for value in values:
            changed = plain | with_parent(name) | {name: value}
            for needed in needed_beside(changed):
                changed |= {needed: middle(needed)}
            found.append(changed)
    return found


def with_parent(name: str) -> dict[str, Value]:
    parent = PARAMETERS[name].parent
    return {} if parent is None else {parent[0]: parent[1][0]}


def needed_beside(values: dict[str, Value]) -> Iterator[str]:
    """Parameters without a neutral value that these values bring."""
    for name, parameter in PARAMETERS.items():
        if parameter.parent is not None and parameter.off is None and name not in values:
            parent, bringing = parameter.parent
            if values.get(parent) in bringing:
                yield name


def middle(name: str) -> Value:
    domain = PARAMETERS[name].default
    if isinstance(domain, Choice):
        return domain.options[0]
    assert isinstance(domain, Range)
    return (domain.low + domain.high) / 2


def trained(values: dict[str, Value], images: ResidentData, epochs: int = 2) -> list[Measurement]:
    hyperparameters = Configuration(Configuration(values).active).hyperparameters()
    return list(
        train(
            Run(
                hyperparameters,
                images,
                epochs=epochs,
                seed=0,
                model=ModelConfig((8, 16, 16), 20),
            )
        )
    )


def assert_finite(measurements: list[Measurement], epochs: int) -> None:
    assert [measurement.epoch for measurement in measurements] == list(range(1, epochs + 1))
    for value in itertools.chain(*(astuple(measurement) for measurement in measurements)):
        assert value is None or math.isfinite(value)


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_option_trains_alone(images: ResidentData) -> None:
    configurations = alone()
    tried = {(name, value) for values in configurations for name, value in values.items()}
    for name, parameter in PARAMETERS.items():
        options = parameter.options or ((False, True) if parameter.kind == "bool" else ())
        options = AUGMENTED if name == "augmentation" else options
        assert {value for key, value in tried if key == name} >= set(options)
        assert any(key == name for key, _ in tried)
    for values in configurations:
        assert_finite(trained(values, images), 2)


@pytest.mark.long
@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_random_combinations_train(images: ResidentData) -> None:
    """A loss that is not finite is a recorded end, too; it is rare, or something is wrong."""
    diverged = 0
    for seed in range(COMBINATIONS):
        try:
            assert_finite(trained(drawn(everything(), random.Random(seed)), images, epochs=1), 1)
        except Diverged:
            diverged += 1
    assert diverged <= COMBINATIONS // 20


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "images",
    [
        data((1, 1, 1)),
        data((3, 1, 1), train_count=2, classes=2),
        data((1, 1, 28), train_count=9),
        data((1, 8, 8), train_count=8),
        data((1, 8, 8), train_count=200, classes=100),
    ],
    ids=[
        "one pixel",
        "one image a class",
        "one row, nine images",
        "one batch",
        "as many classes as there may be",
    ],
)
def test_the_smallest_of_everything_trains(images: ResidentData, seed: int) -> None:
    try:
        assert_finite(
            trained(drawn(everything(), random.Random(seed)) | {"batch_size": 8}, images), 2
        )
    except Diverged:
        # The first configuration, at least, does not diverge, as above.
        assert seed > 0


def test_a_blank_data_set_trains() -> None:
    """Constant images: nothing to normalize by, nothing to learn."""
    blank = replace(
        GREY, train=LabelledImages(torch.zeros_like(GREY.train.images), GREY.train.labels)
    )
    for seed in range(20):
        assert_finite(trained(drawn(everything(), random.Random(seed)), blank, epochs=1), 1)
