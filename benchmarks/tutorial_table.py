"""The four accuracies that the reference tutorial publishes, measured again: as published, mended,
and as hypersearch trains them, on the full MNIST.

    $ python -m benchmarks.tutorial_table --folder DIR --data-root DIR [--epochs 3] [--seeds 1]

Resumable: a training that is in DIR's `trainings.jsonl` is not run again. docs/tutorial-table.md
explains each column and each difference.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.figures import machine
from benchmarks.peers.contest import cache_root
from objectives.data.cache import LabelledArrays
from objectives.data.config import DataConfig
from objectives.data.images import LabelledImages, ResidentData, hold, open_dataset, to_device
from objectives.data.test_split import open_test_split
from objectives.device import keep_freed_memory, set_threads
from objectives.evaluation import evaluate, normalizer
from objectives.hyperparameters import SGD, Cosine, Hyperparameters
from objectives.measurement import Diverged
from objectives.run import Run
from objectives.training import train

# The tutorial prints neither batch size nor learning rate. Every accuracy that it prints is a whole
# number of 9,984 images, which is what `drop_last` leaves of the 10,000 at batches of 32, 64, 128
# or 256; the largest is taken. Its schedule prints this learning rate for the first epoch, and runs
# to epoch 9.
BATCH = 256
LEARNING_RATE = 0.00017323173233307898
MEAN, DEVIATION = 0.1307, 0.3081
# Plain SGD at this batch size trains in a few epochs at this rate.
USUAL_LEARNING_RATE = 0.1
LIMIT = 10**9


@dataclass(frozen=True)
class Row:
    """One of the tutorial's networks."""

    name: str
    # The published accuracy is in percent.
    published: float
    weight_decay: float = 0.0
    he: bool = False
    standardized: bool = False
    batch_normalized: bool = False


ROWS = (
    Row("weight decay 0.1", 12.600160598754883, weight_decay=0.1),
    Row("He initialization", 12.64022445678711, he=True),
    Row("input normalization", 34.0044059753418, standardized=True),
    Row("batch normalization", 91.85697174072266, batch_normalized=True),
)


@dataclass(frozen=True, eq=False)
class Images:
    """MNIST, on a device."""

    # These are all images outside the test split.
    searchable: LabelledImages
    test: LabelledImages
    # A study splits the same images so.
    split: ResidentData


@dataclass(frozen=True)
class Trained:
    """One training."""

    row: str
    column: str
    seed: int
    epochs: int
    # The network was trained on so many images.
    images: int
    # The accuracy is in percent of the test images that it was judged on.
    accuracy: float
    # The loss is that of the last batch.
    loss: float | None
    seconds: float


class TutorialCNN(nn.Module):
    """The tutorial's network, letter for letter but for the batch size that `forward` needs."""

    def __init__(self, row: Row) -> None:
        super().__init__()

        def block(before: int, after: int, pools: bool) -> list[nn.Module]:
            normalization = [nn.BatchNorm2d(after)] if row.batch_normalized else []
            pooling = [nn.MaxPool2d(2, 2)] if pools else []
            convolution = nn.Conv2d(before, after, 3, padding=1)
            return [convolution, *normalization, nn.ReLU(), *pooling]

        self.layer = nn.Sequential(*block(1, 16, False), *block(16, 32, True), *block(32, 64, True))
        hidden = [nn.BatchNorm1d(100)] if row.batch_normalized else []
        self.fc_layer = nn.Sequential(
            nn.Linear(64 * 7 * 7, 100), *hidden, nn.ReLU(), nn.Linear(100, 10)
        )
        if row.he:
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(module.weight.data)
                    assert module.bias is not None
                    module.bias.data.fill_(0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 10) of (B, 1, 28, 28)."""
        out = self.layer(images)
        logits: Tensor = self.fc_layer(out.view(len(out), -1))
        return logits


def tutorial(
    row: Row,
    images: Images,
    epochs: int,
    seed: int,
    *,
    learning_rate: float = LEARNING_RATE,
    is_mended: bool = False,
) -> tuple[float, float]:
    """Accuracy in percent, and the loss of the last batch.

    As published: the last images of each pass are dropped, of the test images too; evaluation
    without `eval()` but where the tutorial has it; weight decay on biases as well. Mended: none of
    that. The batches come from a tensor rather than a DataLoader, shuffled as one shuffles.
    """
    torch.manual_seed(seed)
    device = images.test.images.device
    network = TutorialCNN(row).to(device)
    decayed = [each for each in network.parameters() if each.ndim > 1 or not is_mended]
    others = [each for each in network.parameters() if each.ndim == 1 and is_mended]
    optimizer = torch.optim.SGD(decayed, lr=learning_rate, weight_decay=row.weight_decay)
    if others:
        optimizer.add_param_group({"params": others, "weight_decay": 0.0})
    loss_of = nn.CrossEntropyLoss()
    pixels, labels = images.searchable.images, images.searchable.labels
    loss = torch.zeros(())
    for _ in range(epochs):
        order = torch.randperm(len(labels)).to(device)
        for rows in torch.split(order, BATCH):
            if len(rows) < BATCH and not is_mended:
                continue
            optimizer.zero_grad()
            loss = loss_of(network(_input(row, pixels[rows])), labels[rows])
            loss.backward()
            optimizer.step()
    if is_mended or row.batch_normalized:
        network.eval()
    return _judge(row, network, images.test, drops_last=not is_mended), float(loss.detach())


def _input(row: Row, pixels: Tensor) -> Tensor:
    scaled = pixels.float() / 255
    return (scaled - MEAN) / DEVIATION if row.standardized else scaled


@torch.no_grad()
def _judge(row: Row, network: nn.Module, test: LabelledImages, *, drops_last: bool) -> float:
    right = total = 0
    batches = torch.split(test.images, BATCH), torch.split(test.labels, BATCH)
    for pixels, labels in zip(*batches, strict=True):
        if len(labels) < BATCH and drops_last:
            continue
        total += len(labels)
        right += int((network(_input(row, pixels)).argmax(1) == labels).sum())
    return 100 * right / total if total else float("nan")


def own(row: Row, images: Images, epochs: int, seed: int) -> tuple[float, None]:
    """As hypersearch trains that technique: on a study's training split, judged on all test
    images.
    """
    # 0.1 is no strength that anybody uses beside momentum.
    hyperparameters = Hyperparameters(
        SGD(0.05, momentum=0.9, weight_decay=5e-4 if row.weight_decay else 0.0),
        Cosine(),
        batch_size=64,
        initializer="he_normal" if row.he else "default",
        input_normalization="standard" if row.standardized else "none",
        normalization="batch" if row.batch_normalized else "none",
    )
    training = train(Run(hyperparameters, images.split, epochs, seed))
    try:
        for _ in training:
            pass
    except Diverged:
        return 0.0, None
    data = images.split
    normalize = normalizer(hyperparameters.input_normalization, data.mean, data.deviation)
    test = images.test
    found = evaluate(training.model, test.images, test.labels, normalize, BATCH)
    return 100 * found.accuracy, None


Column = Callable[[Row, Images, int, int], tuple[float, float | None]]
COLUMNS: dict[str, Column] = {
    "as published": tutorial,
    "mended": lambda *given: tutorial(*given, is_mended=True),
    "mended, learning rate 0.1": lambda *given: tutorial(
        *given, is_mended=True, learning_rate=USUAL_LEARNING_RATE
    ),
    "hypersearch": own,
}


def open_images(data_root: Path, device: torch.device, most: int) -> Images:
    """MNIST below `data_root`, or the first `most` images of each split."""
    config = DataConfig("mnist")
    dataset = open_dataset(config, data_root=data_root, cache_root=cache_root())
    if most < len(dataset.searchable.labels):
        positions = {name: rows[:most] for name, rows in dataset.positions.items()}
        dataset = replace(dataset, positions=positions)
    test = open_test_split(config, data_root=data_root, cache_root=cache_root())
    return Images(
        to_device(_first(dataset.searchable, most), device),
        to_device(_first(test, most), device),
        hold(dataset, device),
    )


def _first(arrays: LabelledArrays, most: int) -> LabelledArrays:
    return LabelledArrays(np.array(arrays.images[:most]), np.array(arrays.labels[:most]))


def run(folder: Path, images: Images, epochs: int, seeds: int) -> list[Trained]:
    """Trains what is missing in the folder, and says each as it ends."""
    file = folder / "trainings.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    kept = [Trained(**json.loads(line)) for line in lines]
    size = len(images.searchable.labels)
    found = []
    for seed in range(seeds):
        for row in ROWS:
            for column, trains in COLUMNS.items():
                asked = (row.name, column, seed, epochs, size)
                same = [
                    each
                    for each in kept
                    if (each.row, each.column, each.seed, each.epochs, each.images) == asked
                ]
                if same:
                    found.append(same[0])
                    continue
                started = time.perf_counter()
                accuracy, loss = trains(row, images, epochs, seed)
                seconds = time.perf_counter() - started
                one = Trained(*asked, accuracy, loss, seconds)
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(asdict(one)) + "\n")
                print(f"{row.name}, {column}: {accuracy:.2f} % in {seconds:.0f} s", flush=True)
                found.append(one)
    return found


def table(found: Sequence[Trained]) -> str:
    """In Markdown: percent, the mean over seeds."""
    lines = [
        "| | published | " + " | ".join(COLUMNS) + " |",
        "| --- | --- | " + " | ".join("---" for _ in COLUMNS) + " |",
    ]
    for row in ROWS:
        cells = [
            statistics.mean(
                each.accuracy for each in found if (each.row, each.column) == (row.name, column)
            )
            for column in COLUMNS
        ]
        shown = " | ".join(f"{each:.2f}" for each in cells)
        lines.append(f"| {row.name} | {row.published:.2f} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Prints the machine, each training, and the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="of what was trained already")
    parser.add_argument("--data-root", type=Path, required=True, help="where MNIST lies")
    parser.add_argument("--epochs", type=int, default=3, help="the tutorial has 10")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--images", type=int, default=LIMIT, help="of each split, to try it out")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    set_threads(None)
    keep_freed_memory()
    given.folder.mkdir(parents=True, exist_ok=True)
    print(machine("torch"))
    images = open_images(given.data_root, torch.device(given.device), given.images)
    print(table(run(given.folder, images, given.epochs, given.seeds)))


if __name__ == "__main__":
    main()
