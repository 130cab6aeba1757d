"""Where a study's data lies on this machine: looked for in one place after another, and known by
its fingerprint.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from objectives.data.config import DataConfig
from objectives.errors import DataError, DataUnavailable
from objectives.names import IMAGES_PREFIX, expanded, folder_of
from search.machine.folders import FolderUnknown, Place
from search.spec.study_spec import StudySpec
from storage.errors import OtherData
from storage.studies import StoredStudy

if TYPE_CHECKING:
    # The module's imports, NumPy and PIL among them, would cost every command.
    from objectives.data.source import DataFacts


class ImagesNotFound(DataUnavailable):
    """None of the places where a study's images may lie is there."""

    def __init__(self, dataset: str, places: Sequence[Path]) -> None:
        folder = dataset.removeprefix(IMAGES_PREFIX)
        super().__init__(
            f'dataset "{dataset}": found in none of {", ".join(map(str, places))}; place it in one'
            f" of them, or say where it lies with --data-map {folder}=HERE"
        )


class HasFacts(Protocol):
    """An opened data set."""

    @property
    def facts(self) -> "DataFacts": ...


class Whereabouts(Protocol):
    """What the user has said of the data on this machine: a part of
    search.machine.this_machine.Machine.
    """

    @property
    def data_root(self) -> Place: ...
    @property
    def data_map(self) -> Mapping[str, Path]: ...
    @property
    def accept_data(self) -> bool: ...


Data = TypeVar("Data", bound=HasFacts)


def split_data_map(text: str) -> tuple[str, str] | None:
    """STORED=HERE in two, so that HERE is a folder: either may hold further =. `None` where one of
    them is empty.

    >>> split_data_map("images:lr=0.1=/tmp")
    ('images:lr=0.1', '/tmp')
    """
    splits = [(text[:at], text[at + 1 :]) for at, each in enumerate(text) if each == "="]
    full = [(stored, here) for stored, here in splits if stored and here]
    return next(
        (split for split in full if _is_folder(expanded(split[1]))), full[0] if full else None
    )


def read_data_map(texts: Mapping[str, str]) -> dict[str, Path]:
    """Where the user says that folders lie on this machine, by their names in specs or in the
    storage.

    Raises DataError where that is no folder.
    """
    places = {}
    for stored, here in texts.items():
        place = expanded(here).resolve()
        if not here or not _is_folder(place):
            raise DataError(
                f"--data-map {stored}={here}: {here} is no folder; name the one that holds {stored}"
                " on this machine"
            )
        places[stored] = place
    return places


def find_data(
    spec: StudySpec,
    stored: StoredStudy | None,
    machine: Whereabouts,
    open_data: Callable[[DataConfig], Data],
) -> tuple[DataConfig, Data]:
    """Opens the first data set found that has the study's fingerprint, and says under which name.

    `stored` is the study's row; `None` where it is about to be created, with the folder that the
    user named just now. Where the study has no fingerprint yet, or the user accepts another, the
    first one found will do.

    Raises:
        DataError: the first one found cannot be used.
        OtherData: it has another fingerprint.
        DataUnavailable: it is not to be had.
    """
    wanted = None if stored is None or machine.accept_data else stored.data_fingerprint
    refused: list[Exception] = []
    for config in _candidates(spec.data, stored, machine):
        try:
            data = open_data(config)
        except (DataError, DataUnavailable) as error:
            if wanted is None:
                raise
            refused.append(error)
            continue
        if wanted in (None, data.facts.fingerprint):
            return config, data
        refused.append(OtherData(spec.name, wanted, config.dataset, data.facts.fingerprint))
    raise refused[0]


def _candidates(
    config: DataConfig, stored: StoredStudy | None, machine: Whereabouts
) -> list[DataConfig]:
    """The data set in every place where it is found; in the user's words where that is the place
    they mean.
    """
    written = folder_of(config.dataset)
    if written is None:
        return [config]
    places = _places(written, stored, machine)
    found = [place for place in places if _is_folder(place)]
    if not found and stored is not None:
        raise ImagesNotFound(config.dataset, places)
    here = written.absolute()
    return [
        config if place == here else replace(config, dataset=f"{IMAGES_PREFIX}{place}")
        for place in found or [here]
    ]


def _places(written: Path, stored: StoredStudy | None, machine: Whereabouts) -> list[Path]:
    """Where to look, the first place first.

    A relative path means another folder in every working folder: where a study knows the one in
    which it was created, it is looked up from here only if a fingerprint tells whether that is the
    same.
    """
    home = None if stored is None or stored.data_folder is None else Path(stored.data_folder)
    places = [
        here for name, here in machine.data_map.items() if _folder_in_map(name) in (written, home)
    ]
    if home is not None:
        places.append(home)
    if stored is None or home is None or stored.data_fingerprint is not None:
        places.append(written.absolute())
    if isinstance(machine.data_root, FolderUnknown):
        return list(dict.fromkeys(places))
    root = machine.data_root.absolute()
    if not written.is_absolute() and written.parts and ".." not in written.parts:
        places.append(root / written)
    if (name := (home or written.absolute()).name) not in ("", ".."):
        places.append(root / name)
    return list(dict.fromkeys(places))


def _folder_in_map(name: str) -> Path:
    return expanded(name.removeprefix(IMAGES_PREFIX))


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    # This user may not look there, or no folder can have that name.
    except OSError:
        return False
