"""The style of Optuna's official PyTorch example: a DataLoader, TPE and the median pruner as they come, one process.

Its network is the tutorial's, in the tutorial's order of layers; as there, trials end after so many or so long.
"""

from collections.abc import Iterator

import optuna
import torch
from optuna.trial import TrialState
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.peers.contest import EPOCHS, Answer, cache_root, first_values, suggested
from benchmarks.trainer import TutorialImages
from models.cnn import CNN, CNNConfig
from objectives.augmentation import augment
from objectives.data import LabelledImages, hold, open_dataset, to_device
from objectives.data_config import DataConfig
from objectives.device import generator
from objectives.evaluation import normalizer
from objectives.hyperparameters import Hyperparameters
from objectives.optimizers import build_optimizer, l1_penalty, penalized
from objectives.schedulers import Plan, learning_rate_factor, warmup_factor
from search.space import to_hyperparameters


def epochs_of(options: Hyperparameters, seed: int) -> Iterator[float]:
    """Validation accuracy after each epoch. The techniques are hypersearch's; how images get there is the example's."""
    root, device = cache_root(), torch.device("cpu")
    dataset = open_dataset(DataConfig("mnist-5k"), data_root=root, cache_root=root)
    data = hold(dataset, device)
    torch.manual_seed(seed)
    config = CNNConfig(
        1,
        (28, 28),
        10,
        normalization=options.normalization,
        initializer=options.initializer,
        dropout=options.dropout,
    )
    model = as_the_tutorial_orders(CNN(config))
    optimizer = build_optimizer(options.optimizer, model, "weights")
    random = generator(seed, "augmentation", device)
    normalize = normalizer(options.input_normalization, data.mean, data.deviation)
    train_loader = DataLoader(TutorialImages(data.train), batch_size=options.batch_size, shuffle=True)
    validation = to_device(dataset.split("validation"), device)
    validation_loader = DataLoader(TutorialImages(validation), batch_size=options.batch_size)
    plan = Plan(EPOCHS, len(train_loader))
    step, losses = 0, []
    for _ in range(EPOCHS):
        model.train()
        for images, labels in train_loader:
            rate = options.optimizer.learning_rate * learning_rate_factor(options.scheduler, step, plan, losses)
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
        accuracy, loss = _validated(model, validation_loader, validation, normalize)
        losses.append(loss)
        yield accuracy


def as_the_tutorial_orders(model: CNN) -> CNN:
    """The same function with each pool at the end of its block, after ReLU and dropout."""
    for index, block in enumerate(list(model.blocks)):
        pools = [layer for layer in block if isinstance(layer, nn.MaxPool2d)]
        layers = [layer for layer in block if not isinstance(layer, nn.MaxPool2d)]
        model.blocks[index] = nn.Sequential(*layers, *pools)
    return model


def _validated(model: nn.Module, loader: DataLoader, split: LabelledImages, normalize) -> tuple[float, float]:
    model.eval()
    correct, loss = 0, 0.0
    with torch.no_grad():
        for images, labels in loader:
            logits = model(normalize(images))
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
    return correct / len(split.labels), loss / len(split.labels)


def search(seed: int, trials: int, seconds: float | None) -> Answer:
    """`study.optimize` for so many trials, or so long."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed), pruner=optuna.pruners.MedianPruner()
    )
    study.enqueue_trial(first_values())

    def objective(trial: optuna.Trial) -> float:
        accuracy = 0.0
        for epoch, accuracy in enumerate(epochs_of(to_hyperparameters(suggested(trial)), 1000 * seed + trial.number)):
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
