"""A small study of odd images, and the folder that is exported of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hypersearch
from search.spec.document import Document
from search.spec.reading import parse_spec
from tests.objectives.data.image_writers import COLOUR, GREY, png_16_bits
from tests.once import made_once

CLASSES = ("a b", "c|d", "꽃")
HEIGHT, WIDTH = 10, 12


@dataclass(frozen=True)
class Study:
    """A study with one complete trial."""

    name: str
    url: str
    images: Path
    cache: Path

    def export(self, folder: Path, **options: object) -> Path:
        """Exports its best trial there."""
        hypersearch.export(self.name, folder, storage=self.url, **options)  # type: ignore[arg-type]
        return folder


def make_images(folder: Path) -> None:
    """Of three classes, told apart by their brightness; some of 16 bits, of which 12 are used."""
    random = np.random.RandomState(0)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for row in range(16):
            noise = random.randint(0, 120, (HEIGHT, WIDTH, 3)) + 60 * label
            path = folder / name / f"{row}.png"
            if row % 4 == 0:
                path.write_bytes(png_16_bits((noise[..., 0] * 16).astype(np.uint16), GREY))
            elif row % 4 == 1:
                path.write_bytes(png_16_bits((noise * 16).astype(np.uint16), COLOUR))
            else:
                Image.fromarray(noise.astype(np.uint8)).save(path)


def spec_of(name: str, images: Path) -> Document:
    return {
        "study": {"name": name, "trials": 1, "sampler": "random", "pruner": "none"},
        "data": {"dataset": f"images:{images}", "validation_fraction": 0.4},
        "training": {"epochs": 2},
        "model": {"channels": [3, 4], "hidden_units": 6},
        "space": {
            "optimizer": "adam",
            "adam.learning_rate": 0.01,
            "batch_size": 16,
            "input_normalization": "standard",
            "augmentation": "none",
            "scheduler": "constant",
        },
    }


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Study:
    def search(folder: Path) -> None:
        make_images(folder / "images")
        spec = parse_spec(spec_of("odd", folder / "images"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache_home))
            hypersearch.run(spec, storage=f"sqlite:///{folder}/a.db", device="cpu", threads=1)

    folder = made_once(tmp_path_factory, "odd-study", search)
    return Study("odd", f"sqlite:///{folder}/a.db", folder / "images", cache_home)


@pytest.fixture(scope="session")
def exported(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all formats; not to be changed."""

    def export(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(study.cache))
            patch.setenv("SOURCE_DATE_EPOCH", "86400")
            study.export(folder / "model")

    return made_once(tmp_path_factory, "exported", export) / "model"
