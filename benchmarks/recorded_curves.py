"""Learning curves recorded once, as files, and how good their configurations truly are."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.checkout import ROOT
from search.space.domains import Value

CURVES = ROOT / "benchmarks" / "data" / "curves-mnist-5k.json.gz"
WIDER_CURVES = ROOT / "benchmarks" / "data" / "curves-mnist-5k-wide.json.gz"
TRUE_SCORES = ROOT / "benchmarks" / "data" / "true-scores-mnist-5k.json"


@dataclass(frozen=True)
class Curve:
    """One configuration and what each of its epochs gave; a diverged one has fewer than
    `epochs`.
    """

    number: int
    # The parameters include the switches.
    params: Mapping[str, Value]
    # The accuracy is that of validation, after each epoch.
    accuracy: tuple[float, ...]
    loss: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Recorded:
    """A whole study of curves."""

    machine: str
    epochs: int
    curves: tuple[Curve, ...]

    @classmethod
    def read(cls, file: Path = CURVES) -> "Recorded":
        """From a file that `write` has written."""
        found = json.loads(gzip.decompress(file.read_bytes()))
        lists = ("accuracy", "loss", "seconds")
        curves = (
            Curve(**each | {name: tuple(each[name]) for name in lists}) for each in found["curves"]
        )
        return cls(found["machine"], found["epochs"], tuple(curves))

    def write(self, file: Path = CURVES) -> None:
        """Equal studies give equal files."""
        content = {
            "machine": self.machine,
            "epochs": self.epochs,
            "curves": [vars(curve) for curve in self.curves],
        }
        file.write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))


def read_true_scores(file: Path = TRUE_SCORES) -> dict[int, tuple[float, ...]]:
    """The retrainings' scores by number of the configuration."""
    found = json.loads(file.read_text()) if file.exists() else {}
    return {int(number): tuple(scores) for number, scores in found.items()}
