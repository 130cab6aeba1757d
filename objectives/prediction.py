"""What a model answers for each image of a split."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from objectives.data.images import LabelledImages
from objectives.predicted import Predicted


@torch.inference_mode()
def predict(
    model: nn.Module,
    split: LabelledImages,
    split_sha256: str,
    normalize: Callable[[Tensor], Tensor],
    batch_size: int,
) -> Predicted:
    """The answers of `model` for every image of `split`, which is on its device, in evaluation
    mode; it is left in the mode it came in.

    `normalize` takes pixels in 0..1, float (B, C, H, W). In batches of the size of an evaluation
    the classes are those that the evaluation counted.
    """
    was_training = model.training
    model.eval()
    classes, probabilities = [], []
    for images, labels in zip(
        torch.split(split.images, batch_size), torch.split(split.labels, batch_size), strict=True
    ):
        logits = model(normalize(images.float() / 255))
        classes.append(logits.argmax(1))
        given = logits.float().softmax(1)
        probabilities.append(given.gather(1, labels.unsqueeze(1)).squeeze(1))
    model.train(was_training)
    return Predicted(
        split_sha256,
        split.labels.cpu().numpy().astype(np.uint16),
        torch.cat(classes).cpu().numpy().astype(np.uint16),
        torch.cat(probabilities).cpu().numpy().astype(np.float16),
    )
