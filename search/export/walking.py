"""The images that are named for prediction, one after another, in memory that does not grow with
their number.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from objectives.data.listing import is_image_name, is_passed_over, unreachable
from search.export.errors import ImagesRefused

# Entries of a folder that are put in order, and held, at a time: a folder with more comes in so
# many orderly parts.
ORDERED = 10_000


@dataclass(frozen=True, slots=True)
class ImageToRead:
    """A file, and the class that its folder says it is of."""

    path: Path
    given: str | None = None


def find_images(places: Sequence[Path]) -> Iterator[ImageToRead]:
    """Files as they are named, folders with what is below them, as a folder of a data set is read:
    by name, what is hidden or litter passed over, links to folders not followed.

    Raises ImagesRefused for a place that is not there, DataUnavailable for a closed folder.
    """
    for place in places:
        if not os.path.lexists(place):
            raise ImagesRefused.not_there(place)
    for place in places:
        if place.is_dir():
            yield from map(ImageToRead, _below(place))
        else:
            yield ImageToRead(place)


def find_labelled(places: Sequence[Path], class_names: Sequence[str]) -> Iterator[ImageToRead]:
    """What is below folders with one sub-folder a class, some or all of `class_names`.

    Raises as find_images does, and ImagesRefused for a sub-folder of another name.
    """
    for place in places:
        if not place.is_dir():
            raise (
                ImagesRefused.no_class_folder(place)
                if os.path.lexists(place)
                else ImagesRefused.not_there(place)
            )
        for folder in _class_folders(place):
            if folder.name not in class_names:
                raise ImagesRefused.unknown_class(folder, class_names)
    for place in places:
        for folder in _class_folders(place):
            for path in _below(folder):
                yield ImageToRead(path, folder.name)


def count_images(images: Iterator[ImageToRead]) -> int:
    """How many there are; none is opened."""
    return sum(1 for _ in images)


def _class_folders(place: Path) -> list[Path]:
    return sorted(Path(each) for part in _parts(place) for each in part if each.is_dir())


def _below(folder: Path) -> Iterator[Path]:
    folders = [folder]
    while folders:
        at = folders.pop()
        inside: list[Path] = []
        for part in _parts(at):
            for entry in part:
                if entry.is_dir(follow_symlinks=False):
                    inside.append(Path(entry))
                elif is_image_name(entry.name) and not entry.is_dir():
                    yield Path(entry)
        folders.extend(sorted(inside, reverse=True))


def _parts(folder: Path) -> Iterator[list[os.DirEntry[str]]]:
    """What stands in a folder, so many entries at a time, each time by name."""
    try:
        with os.scandir(folder) as entries:
            seen = (each for each in entries if not is_passed_over(each.name))
            while part := sorted(islice(seen, ORDERED), key=lambda each: each.name):
                yield part
    except OSError as error:
        raise unreachable(error) from error
