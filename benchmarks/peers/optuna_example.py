"""The style of Optuna's official PyTorch example: a DataLoader, TPE and the median pruner as they
come, one process.

Its network is the tutorial's, in the tutorial's order of layers; as there, trials end after so many
or so long.
"""

from collections.abc import Callable, Iterator

import optuna
import torch
from optuna.trial import TrialState
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.peers.contest import EPOCHS, Answer, first_values, searched, suggested
from benchmarks.trainer import TutorialImages
from models.cnn import CNN, CNNConfig
from objectives.augmentation import augment
from objectives.data.images import ResidentData
from objectives.device import generator, pick_device
from objectives.evaluation import normalizer
from objectives.hyperparameters import Hyperparameters
from objectives.optimizers import build_optimizer, l1_penalty, penalized
from objectives.schedulers import Plan, learning_rate_factor, warmup_factor
from search.space.configuration import Configuration


def epochs_of(options: Hyperparameters, seed: int, data: ResidentData) -> Iterator[float]:
    """Validation accuracy after each epoch, on the device of `data`.

    The techniques are hypersearch's; how images get to the device, one by one from the host, is the
    example's.
    """
    device = data.mean.device
    torch.manual_seed(seed)
    _, channels, height, width = data.train.images.shape
    config = CNNConfig(
        channels,
        (height, width),
        len(data.class_names),
        normalization=options.normalization,
        initializer=options.initializer,
        dropout=options.dropout,
    )
    model = as_the_tutorial_orders(CNN(config)).to(device)
    optimizer = build_optimizer(options.optimizer, model, "weights")
    random = generator(seed, "augmentation", device)
    normalize = normalizer(options.input_normalization, data.mean, data.deviation)
    train_loader = DataLoader(
        TutorialImages(data.train), batch_size=options.batch_size, shuffle=True
    )
    validation_loader = DataLoader(TutorialImages(data.validation), batch_size=options.batch_size)
    plan = Plan(EPOCHS, len(train_loader))
    step = 0
    validation_losses: list[float] = []
    for _ in range(EPOCHS):
        model.train()
        for batch in train_loader:
            images, labels = (part.to(device) for part in batch)
            rate = options.optimizer.learning_rate * learning_rate_factor(
                options.scheduler, step, plan, validation_losses
            )
            for group in optimizer.param_groups:
                group["lr"] = rate * warmup_factor(options.warmup, step, plan)
            if options.augmentation is not None:
                images = augment(images, options.augmentation, random)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(
                model(normalize(images)), labels, label_smoothing=options.label_smoothing
            )
            if options.l1 > 0:
                loss = loss + l1_penalty(penalized(model, "weights"), options.l1)
            torch.autograd.backward(loss)
            optimizer.step()
            step += 1
        accuracy, validation_loss = _validated(model, validation_loader, normalize, device)
        validation_losses.append(validation_loss)
        yield accuracy


def as_the_tutorial_orders(model: CNN) -> CNN:
    """The same function with each pool at the end of its block, after ReLU and dropout."""
    for index, block in enumerate(list(model.blocks)):
        pools = [layer for layer in block.children() if isinstance(layer, nn.MaxPool2d)]
        layers = [layer for layer in block.children() if not isinstance(layer, nn.MaxPool2d)]
        model.blocks[index] = nn.Sequential(*layers, *pools)
    return model


def _validated(
    model: nn.Module,
    loader: DataLoader[tuple[Tensor, int]],
    normalize: Callable[[Tensor], Tensor],
    device: torch.device,
) -> tuple[float, float]:
    model.eval()
    correct, loss, count = 0, 0.0, 0
    with torch.no_grad():
        for batch in loader:
            images, labels = (part.to(device) for part in batch)
            count += len(labels)
            logits = model(normalize(images))
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
    return correct / count, loss / count


def search(
    seed: int, trials: int, seconds: float | None, device: str, data: ResidentData | None = None
) -> Answer:
    """`study.optimize` for so many trials, or so long; on mnist-5k unless `data` is given, which
    lies on `device`.
    """
    data = data or searched(pick_device(device))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.enqueue_trial(first_values())

    def objective(trial: optuna.Trial) -> float:
        accuracy = 0.0
        options = Configuration(suggested(trial)).hyperparameters()
        for epoch, accuracy in enumerate(epochs_of(options, 1000 * seed + trial.number, data)):
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    study.optimize(objective, n_trials=trials, timeout=seconds)
    states = [trial.state for trial in study.trials]
    return Answer(
        dict(study.best_params),
        study.best_value,
        states.count(TrialState.COMPLETE),
        states.count(TrialState.PRUNED),
        sum(len(trial.intermediate_values) for trial in study.trials),
        f"1 of {torch.get_num_threads()} threads",
    )
