"""What one epoch of a trial gave; no torch.

One more metric of a study is measured in `evaluation`, a field here and in `storage.schema.epoch`,
named in `names.METRIC_DIRECTIONS`, and has its intervals in `search.analysis.judged.runs_of`.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """The metrics of one epoch. Losses are cross-entropy without penalties, in nats an image.

    `train_loss` and `train_accuracy` are means over the epoch's batches as they were trained on
    (dropout and augmentation active, weights changing; images that mixup or cutmix have mixed count
    for both classes, by their shares). `train_eval_loss` is measured after the
    last epoch as validation is, on as many images of the training split as validation has; before
    that it is `None`.

    Raises Diverged for a loss that is not finite: there is no such measurement.
    """

    # The epoch is counted from 1.
    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_balanced_accuracy: float
    validation_macro_f1: float
    # The rate is that of the epoch's last optimizer step.
    learning_rate: float
    # The share is of conv and linear weights: |w| < NEAR_ZERO.
    near_zero_share: float
    # The wall time is that of the epoch, evaluation included.
    seconds: float
    # The images of training alone are counted.
    images_per_second: float
    train_eval_loss: float | None = None

    def __post_init__(self) -> None:
        losses = (self.train_loss, self.validation_loss, self.train_eval_loss)
        if not all(loss is None or math.isfinite(loss) for loss in losses):
            raise Diverged(self.epoch)

    def metric(self, name: str) -> float:
        """The validation metric called `name` in a spec (see names.METRIC_DIRECTIONS)."""
        return {
            "accuracy": self.validation_accuracy,
            "balanced_accuracy": self.validation_balanced_accuracy,
            "macro_f1": self.validation_macro_f1,
            "loss": self.validation_loss,
        }[name]


# A weight this small moves no logit: He's deviation of the widest layer here (fan-in 3136) is
# 0.025.
NEAR_ZERO = 1e-3


class Diverged(Exception):
    """A loss that is not finite ended the training."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the loss is not finite in epoch {epoch}")
        self.epoch = epoch
