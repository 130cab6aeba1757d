"""Images per second of train() beside the reference tutorial's loop and the rate of matrix
products, in turns.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.figures import machine, spread
from models.cnn import CNN, CNNConfig
from objectives.cost_measurement import measure_costs
from objectives.data.images import LabelledImages, ResidentData
from objectives.device import keep_freed_memory, pick_device, set_threads
from objectives.hyperparameters import SGD, Hyperparameters
from objectives.processor import processor_model
from objectives.run import Run
from objectives.training import train

LEARNING_RATE = 1e-3
CLASSES = 10


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    batch_size: int
    normalization: str

    def __str__(self) -> str:
        return f"batch {self.batch_size:3}, normalization {self.normalization:5}"


class TutorialImages(Dataset[tuple[Tensor, int]]):
    """What the tutorial's dset.MNIST(transform=ToTensor()) does for each image, each time."""

    def __init__(self, data: LabelledImages) -> None:
        # The images have shape (N, 28, 28) and are uint8.
        self.images = data.images.cpu().squeeze(1).numpy()
        self.labels = data.labels.tolist()
        self.transform = torchvision.transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


class TutorialCNN(nn.Module):
    """The tutorial's network, with its `view(batch_size, -1)`: it needs full batches."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.batch_size = case.batch_size
        batch = case.normalization == "batch"
        layers = [
            *(nn.Conv2d(1, 16, 3, padding=1), *[nn.BatchNorm2d(16)] * batch, nn.ReLU()),
            *(
                nn.Conv2d(16, 32, 3, padding=1),
                *[nn.BatchNorm2d(32)] * batch,
                nn.ReLU(),
                nn.MaxPool2d(2, 2),
            ),
            *(
                nn.Conv2d(32, 64, 3, padding=1),
                *[nn.BatchNorm2d(64)] * batch,
                nn.ReLU(),
                nn.MaxPool2d(2, 2),
            ),
        ]
        self.layer = nn.Sequential(*layers)
        self.fc_layer = nn.Sequential(
            nn.Linear(64 * 7 * 7, 100),
            *[nn.BatchNorm1d(100)] * batch,
            nn.ReLU(),
            nn.Linear(100, CLASSES),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc_layer(self.layer(x).view(self.batch_size, -1))
        return out


def tutorial(data: LabelledImages, case: Case, device: torch.device) -> Iterator[float]:
    """Images per second of each epoch of the tutorial's loop, as it stands there: two loader
    workers, started each epoch; drop_last, so that only images of full batches are trained on, and
    counted; a host sync only at the end. The images lie in the host's memory.
    """
    loader = DataLoader(
        TutorialImages(data),
        batch_size=case.batch_size,
        shuffle=True,
        num_workers=2,
        drop_last=True,
    )
    model = TutorialCNN(case).to(device)
    loss_func = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    while True:
        started = time.perf_counter()
        for image, label in loader:
            x = image.to(device)
            y_ = label.to(device)
            optimizer.zero_grad()
            loss = loss_func(model(x), y_)
            torch.autograd.backward(loss)
            optimizer.step()
        loss.item()
        yield len(loader) * case.batch_size / (time.perf_counter() - started)


def ours(
    data: LabelledImages, case: Case, epochs: int, piece: int | None = None
) -> Iterator[float]:
    """Images per second of the training part of each epoch of train(), with so many images at a
    time.
    """
    validation = LabelledImages(data.images[:100], data.labels[:100])
    moments = torch.zeros(1, device=data.images.device)
    resident = ResidentData(data, validation, tuple("0123456789"), moments, moments + 1)
    options = Hyperparameters(
        SGD(LEARNING_RATE), normalization=case.normalization, batch_size=case.batch_size
    )
    for measurement in train(Run(options, resident, epochs, seed=0, piece=piece)):
        yield measurement.images_per_second


def matrix_products(device: torch.device, side: int = 2048, times: int = 5) -> Iterator[float]:
    """Floating-point operations per second of float32 products of two square matrices, a round at a
    time.
    """
    left, right = torch.rand(2, side, side, device=device)
    while True:
        _wait_for(device)
        started = time.perf_counter()
        for _ in range(times):
            left @ right
        _wait_for(device)
        yield 2 * side**3 * times / (time.perf_counter() - started)


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def operations_an_image(size: int = 28) -> float:
    """Floating-point operations to train on an image: its forward pass, and the same again for the
    gradient of the weights and for that of each layer's input, which the first layer does not need.
    Matrix products alone are counted.
    """
    model = CNN(CNNConfig(1, (size, size), CLASSES))
    first = next(model.parameters()).numel() * size**2
    return 2.0 * (3 * measure_costs(model, torch.zeros(1, 1, size, size)).macs - first)


# A round gives images/s of the tutorial's loop and of train(), and operations/s of products.
Round = tuple[float, float, float]


def measure(data: LabelledImages, cases: list[Case], repeats: int) -> dict[Case, list[Round]]:
    """What each case gave in each round, after one round that warms up."""
    products = matrix_products(data.images.device)
    sides = {
        case: (tutorial(data, case, data.images.device), ours(data, case, repeats + 1))
        for case in cases
    }
    rounds = [
        {case: (next(theirs), next(own), next(products)) for case, (theirs, own) in sides.items()}
        for _ in range(repeats + 1)
    ]
    return {case: [found[case] for found in rounds[1:]] for case in cases}


def main() -> None:
    """Prints the machine and a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--device", default="cpu", help="as the command line of hypersearch takes it"
    )
    parser.add_argument("--threads", type=int, help="default: every core")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--keep-freed-memory",
        action="store_true",
        help="objectives.device.keep_freed_memory, for both loops",
    )
    parser.add_argument("--quick", action="store_true", help="512 images, 2 repeats")
    arguments = parser.parse_args()
    device, threads = pick_device(arguments.device), set_threads(arguments.threads)
    kept = arguments.keep_freed_memory and keep_freed_memory()
    count, repeats = (512, 2) if arguments.quick else (4000, arguments.repeats)
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)).to(
        device
    )
    data = LabelledImages(images, torch.from_numpy(random.integers(0, CLASSES, count)).to(device))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_model()
    print(machine("hypersearch", "torch", "torchvision"))
    print(f"{device} ({name}), {threads} threads, freed memory kept: {kept}")
    print(f"{count} images of 28 x 28, {repeats} repeats: images/s as median (min..max)")
    needed = operations_an_image()
    print(f"{needed / 1e6:.1f} million operations to train on an image")
    cases = [
        Case(batch_size, normalization)
        for batch_size in (256, 64)
        for normalization in ("none", "batch")
    ]
    for case, found in measure(data, cases, repeats).items():
        theirs, own, products = ([each[side] for each in found] for side in range(3))
        ratios = [own / theirs for theirs, own, _ in found]
        # The share is by the median of the products: a round of them takes too short a time to be
        # judged by alone.
        share = [100 * rate * needed / statistics.median(products) for rate in own]
        print(
            f"{case}: tutorial {spread(theirs, 0)}, train() {spread(own, 0)}, ratio"
            f" {spread(ratios, 2)}; products {spread([rate / 1e9 for rate in products], 0)}"
            f" GFLOP/s, train() at {spread(share, 0)} %"
        )


if __name__ == "__main__":
    main()
