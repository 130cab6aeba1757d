"""How many wrong labels, put in on purpose, stand in the first tenth of what `--suspects` lists:
of a study's validation images by what its good trials have recorded, and of all images by its
winner.
"""

import argparse
import os
import random
import tempfile
from pathlib import Path

import hypersearch
from benchmarks.figures import machine
from benchmarks.small_searches import export, search
from objectives.data.listing import list_images
from search.export.suspected import suspected_labels
from search.machine.settings import Settings
from search.worker.events import nobody
from storage.engine import open_database


def with_wrong_labels(folder: Path, into: Path, share: float, seed: int) -> set[str]:
    """Links to the images of `folder`, a share of which stand in the folder of another class; the
    names of these.
    """
    listing = list_images(folder)
    draw = random.Random(seed)
    wrong = set(draw.sample(range(len(listing.files)), round(share * len(listing.files))))
    names = set()
    for number, file in enumerate(listing.files):
        label = file.label
        if number in wrong:
            label = draw.choice([each for each in range(len(listing.class_names)) if each != label])
        place = into / listing.class_names[label] / f"{number:06}{Path(file.name).suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to((folder / file.name).resolve())
        if number in wrong:
            names.add(place.name)
    return names


def found(listed: list[str], wrong: set[str], of: set[str]) -> str:
    """The share of the wrong labels among `of` that are in the first tenth of so many images."""
    first = listed[: round(len(of) / 10)]
    there = wrong & of
    hits = len(there & set(first))
    return (
        f"{hits} of {len(there)} wrong labels ({hits / len(there):.0%}) in the first tenth of"
        f" {len(of):,} images ({len(first)} listed)"
    )


def judge(root: Path, folder: Path, arguments: argparse.Namespace, seed: int) -> None:
    """Prints what was found for one seed."""
    images = root / f"images-{seed}"
    wrong = with_wrong_labels(folder, images, arguments.share, seed)
    name, dataset = f"wrong-{seed}", f"images:{images}"
    url = search(root, name, dataset, arguments.trials, arguments.epochs, seed)
    settings = Settings.from_environment(os.environ)
    with open_database(url) as database:
        machine = settings.machine(settings.files(url, None))
        suspected = suspected_labels(database, name, machine, 10**6, nobody)
        validation = of_validation(dataset)
    listed = [Path(each.path).name for each in suspected.files]
    print(f"seed {seed}, {len(wrong)} wrong labels, {arguments.trials} trials x {arguments.epochs}")
    print(
        f"  validation, {len(suspected.trials)} good trials, {len(listed)} that all contradict:"
        f" {found(listed, wrong, validation)}"
    )
    judged = [
        each
        for each in hypersearch.predict(export(root, name, url), [images], labelled=True)
        if each.error is None
    ]
    judged.sort(key=lambda each: each.given_probability or 0.0)
    listed = [Path(each.path).name for each in judged]
    print(f"  all images, by the winner: {found(listed, wrong, set(listed))}", flush=True)


def of_validation(dataset: str) -> set[str]:
    """The names of the validation images of a search of such a study."""
    from objectives.data.cache import open_searchable
    from objectives.data.config import DataConfig
    from search.machine.folders import needed

    settings = Settings.from_environment(os.environ)
    opened = open_searchable(
        DataConfig(dataset, image_size=32, split_version=2),
        needed(settings.data_root),
        needed(settings.cache_root),
        lambda done, total: None,
    )
    names = opened.names()
    assert names is not None
    return {Path(names[row]).name for row in opened.validation}


def main() -> None:
    """Prints the machine and what was found by seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="images, one sub-folder a class")
    parser.add_argument("--share", type=float, default=0.05, help="of labels that are made wrong")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    print(machine("torch", "numpy", "pillow"))
    with tempfile.TemporaryDirectory() as root:
        for seed in range(arguments.seeds):
            judge(Path(root), arguments.folder, arguments, seed)


if __name__ == "__main__":
    main()
