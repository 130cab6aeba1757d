"""How good a configuration truly is: trained again under fresh seeds, scored on MNIST images that
no search saw.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from objectives.data.cache import LabelledArrays
from objectives.data.config import DataConfig
from objectives.data.images import (
    LabelledImages,
    ResidentData,
    hold,
    open_dataset,
    to_device,
)
from objectives.data.test_split import open_test_split
from objectives.device import derived_seed, keep_freed_memory, set_threads
from objectives.evaluation import evaluate, normalizer
from objectives.hyperparameters import Hyperparameters
from objectives.measurement import Diverged
from objectives.run import Run
from objectives.training import train

RETRAININGS = 3


@dataclass(frozen=True, eq=False)
class Judge:
    """The images that a search on mnist-5k trains on, and those that it is judged by.

    >>> judge = Judge.open(data_root, cache_root)   # doctest: +SKIP
    >>> judge.scores(Hyperparameters(Adam(1e-3)), epochs=8, purpose="trial 7")
    (0.9712, 0.9698, 0.9731)
    """

    searched: ResidentData
    outside: LabelledImages

    @classmethod
    def open(cls, data_root: Path, cache_root: Path, threads: int | None = None) -> "Judge":
        """MNIST's test images must lie below `data_root`; those that are in mnist-5k too are left
        out.
        """
        set_threads(threads)
        keep_freed_memory()
        device = torch.device("cpu")
        small = DataConfig("mnist-5k")
        dataset = open_dataset(small, data_root=data_root, cache_root=cache_root)
        shipped = [
            dataset.searchable,
            open_test_split(small, data_root=data_root, cache_root=cache_root),
        ]
        known = {image.tobytes() for arrays in shipped for image in arrays.images}
        whole = open_test_split(DataConfig("mnist"), data_root=data_root, cache_root=cache_root)
        new = np.array([image.tobytes() not in known for image in whole.images])
        outside = LabelledArrays(whole.images[new], whole.labels[new])
        return cls(hold(dataset, device), to_device(outside, device))

    def scores(
        self, hyperparameters: Hyperparameters, epochs: int, purpose: str
    ) -> tuple[float, ...]:
        """The accuracy of each retraining after its last epoch; 0.0 where it diverged."""
        return tuple(
            self._score(hyperparameters, epochs, derived_seed(retraining, purpose))
            for retraining in range(RETRAININGS)
        )

    def _score(self, hyperparameters: Hyperparameters, epochs: int, seed: int) -> float:
        training = train(Run(hyperparameters, self.searched, epochs, seed))
        try:
            for _ in training:
                pass
        except Diverged:
            return 0.0
        data = self.searched
        normalize = normalizer(hyperparameters.input_normalization, data.mean, data.deviation)
        return evaluate(
            training.model, self.outside.images, self.outside.labels, normalize, 256
        ).accuracy
