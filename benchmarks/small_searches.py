"""A small search and its export, for benchmarks of what is taken away."""

import os
from pathlib import Path

import hypersearch
from search.spec.document import Document
from search.spec.reading import parse_spec


def search(folder: Path, name: str, dataset: str, trials: int, epochs: int, seed: int) -> str:
    """The storage of a search that has ended; begun before, it goes on."""
    document: Document = {
        "study": {"name": name, "trials": trials, "seed": seed, "pruner": "none"},
        "data": {
            "dataset": dataset,
            **({"image_size": 32} if dataset.startswith("images:") else {}),
        },
        "training": {"epochs": epochs},
    }
    url = f"sqlite:///{folder}/a.db"
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    hypersearch.run(parse_spec(document), storage=url, device="cpu", threads=threads)
    return url


def export(folder: Path, name: str, url: str) -> Path:
    """The folder of the search's winner, with safetensors alone."""
    made = folder / f"{name}-model"
    hypersearch.export(name, made, storage=url, formats=["safetensors"], force=True)
    return made
