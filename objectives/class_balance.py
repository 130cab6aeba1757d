"""What makes up for classes of unequal size: weights in the loss, small classes drawn oftener."""

import torch
from torch import Tensor

from objectives.hyperparameters import ClassWeights


def weights_of_classes(options: ClassWeights, counts: Tensor) -> Tensor:
    """The weight (K,) float32 of each class in the loss, by its training images `counts` (K,).

    Their mean over the training images is 1, so that a learning rate means what it did without:
    `inverse` 1 / n; `square_root` 1 / sqrt(n); `effective_number` (1 - beta) / (1 - beta^n), the
    inverse of how many different images n count for (Cui et al. 2019, "Class-Balanced Loss Based on
    Effective Number of Samples", CVPR, equation 2; there the weights' mean over the classes is 1).

    >>> weights_of_classes(ClassWeights("inverse"), torch.tensor([1, 3]))
    tensor([2.0000, 0.6667])
    """
    images = counts.double().clamp(min=1)
    match options.method:
        case "inverse":
            weights = 1 / images
        case "square_root":
            weights = images**-0.5
        case _:
            # Exact where beta^n is near 1 too.
            log_beta = torch.log(torch.tensor(options.beta, dtype=torch.float64))
            weights = (1 - options.beta) / -torch.expm1(images * log_beta)
    return (weights * counts.sum() / (weights * counts).sum()).float()


def balanced_order(labels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """As many numbers (N,) of images as there are, small classes oftener than once: see Kang et al.
    2020, "Decoupling Representation and Classifier for Long-Tailed Recognition", equation 1.

    A class of n images stands there in proportion to n^(1 - strength): 1 draws all classes alike,
    0.5 is their square-root sampling (q = 1/2), 0 every image once. Their images are drawn with
    replacement; here each of a class comes equally often, or once more, drawn anew each epoch.
    `labels` (N,) lie on the CPU, as the generator does.
    """
    counts = torch.bincount(labels)
    shares = torch.where(counts > 0, counts.double() ** (1 - strength), 0.0)
    quotas = _whole(shares / shares.sum() * len(labels))
    chosen = []
    for label, quota in enumerate(quotas):
        members = torch.nonzero(labels == label).flatten()
        if len(members):
            times, rest = divmod(quota, len(members))
            some = torch.randperm(len(members), generator=generator)[:rest]
            chosen += [members.repeat(times), members[some]]
    order = torch.cat(chosen)
    return order[torch.randperm(len(order), generator=generator)]


def _whole(quotas: Tensor) -> list[int]:
    """Whole numbers of the same sum, by largest remainder."""
    whole = quotas.floor()
    missing = round(float((quotas - whole).sum()))
    whole[torch.argsort(quotas - whole, descending=True, stable=True)[:missing]] += 1
    return [int(each) for each in whole]
