"""What a model gets wrong on a split: which classes it confuses, and the images that it is most
wrong about.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from objectives.data.images import LabelledImages
from objectives.examined import Examination, WrongImage

# A person looks through eight rows of eight.
WRONG_SHOWN = 64


@torch.inference_mode()
def examine(
    model: nn.Module, split: LabelledImages, normalize: Callable[[Tensor], Tensor], batch_size: int
) -> Examination:
    """Classifies every image of `split`, which is on the model's device; leaves the model in the
    mode it came in.

    `normalize` takes pixels in 0..1, float (B, C, H, W). Of equally confident mistakes the earlier
    image comes first.

    >>> normalize = normalizer("standard", data.mean, data.deviation)
    >>> examine(model, data.validation, normalize, 64).wrong[0].true
    7
    """
    was_training = model.training
    model.eval()
    batches = [
        model(normalize(images.float() / 255)).softmax(1)
        for images in torch.split(split.images, batch_size)
    ]
    model.train(was_training)
    probabilities = torch.cat(batches).cpu()
    confidences, predicted = probabilities.max(1)
    truth = split.labels.cpu()
    classes = probabilities.shape[1]
    confusion = torch.bincount(truth * classes + predicted, minlength=classes**2).view(
        classes, classes
    )
    missed = (predicted != truth).nonzero().flatten()
    worst = missed[confidences[missed].argsort(descending=True, stable=True)][:WRONG_SHOWN]
    pixels = split.images[worst.to(split.images.device)].cpu().numpy()
    return Examination(
        confusion.numpy(),
        tuple(
            WrongImage(
                index, image, int(truth[index]), int(predicted[index]), float(confidences[index])
            )
            for index, image in zip(worst.tolist(), pixels, strict=True)
        ),
    )
