"""The user's own folders, below a home that a container's user may not have."""

from pathlib import Path

import platformdirs

from objectives.errors import DataUnavailable
from storage.text import is_one_line

APPLICATION = "hypersearch"


class FolderUnknown(DataUnavailable):
    """A folder that is needed is not known: HOME is not set, and the user has no account, say."""

    @classmethod
    def cache(cls) -> "FolderUnknown":
        return cls(
            "no folder is known to keep data sets and decoded images in, as this user has no home: "
            "set XDG_CACHE_HOME, or HOME, to one that can be written to"
        )

    @classmethod
    def files(cls) -> "FolderUnknown":
        return cls(
            "no folder is known to keep checkpoints and artifacts in, as this user has no home: "
            "name one with HYPERSEARCH_ARTIFACTS or --artifact-root, or set XDG_DATA_HOME or HOME"
        )

    @classmethod
    def home_of(cls, name: str, text: str) -> "FolderUnknown":
        return cls(
            f"{name} {text!r}: nobody knows the home folder that '~' stands for: write the whole"
            " path"
        )


# A folder, or why nobody knows it: whoever does not need it need not care.
Place = Path | FolderUnknown


def needed(folder: Place) -> Path:
    """The folder. Raises FolderUnknown."""
    if isinstance(folder, FolderUnknown):
        raise folder
    return folder


def below(folder: Place, name: str) -> Place:
    """A folder in it, as unknown as it is."""
    return folder if isinstance(folder, FolderUnknown) else folder / name


def user_cache() -> Place:
    """The program's, in XDG_CACHE_HOME or what the system has instead."""
    try:
        return _usable(
            platformdirs.user_cache_dir(APPLICATION, appauthor=False), FolderUnknown.cache()
        )
    except RuntimeError:
        return FolderUnknown.cache()


def user_files() -> Place:
    """The program's, in XDG_DATA_HOME or what the system has instead."""
    try:
        return _usable(
            platformdirs.user_data_dir(APPLICATION, appauthor=False), FolderUnknown.files()
        )
    except RuntimeError:
        return FolderUnknown.files()


def _usable(text: str, otherwise: FolderUnknown) -> Place:
    # Older versions of platformdirs leave a '~' that they cannot resolve as it is.
    return Path(text) if Path(text).is_absolute() and is_one_line(text) else otherwise


def expanded(name: str, text: str) -> Path:
    """The folder that an option or variable of that name says, '~' as the home that it stands for.

    Raises FolderUnknown.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise FolderUnknown.home_of(name, text) from None
