"""The name of a study that was given none: that of its data set, or of the folder of its images."""

import hashlib
import re
import unicodedata

from objectives.names import IMAGES_PREFIX, folder_of
from search.spec.study_spec import NAME_LENGTH, NAME_PATTERN

_SUFFIX = "-default"
_DIGITS = 8
_UNNAMED = "images"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def default_name(dataset: str) -> str:
    """A valid name, the same each time. What a name cannot hold is left out, and a hash of the
    whole tells such apart.

    >>> default_name("images:pictures/flowers"), default_name("images:Grüne Äpfel")
    ('flowers-default', 'Grune-Apfel-6fb3aeeb-default')
    """
    name = _folder_name(dataset) if dataset.startswith(IMAGES_PREFIX) else dataset
    if NAME_PATTERN.fullmatch(f"{name}{_SUFFIX}"):
        return f"{name}{_SUFFIX}"
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    # The readable part fills what the digest, its dash and the suffix leave.
    readable = _in_ascii(name)[: NAME_LENGTH - _DIGITS - 1 - len(_SUFFIX)].rstrip("-._")
    return f"{readable or _UNNAMED}-{digest}{_SUFFIX}"


def _folder_name(dataset: str) -> str:
    """The last part of the path; where that says nothing, as '..', the name of the folder that it
    leads to.
    """
    path = dataset.removeprefix(IMAGES_PREFIX).rstrip("/")
    name = path.rpartition("/")[2]
    is_home = path.startswith("~") and "/" not in path
    folder = folder_of(dataset)
    if folder is None or not (is_home or name in ("", ".", "..")):
        return name
    try:
        return folder.resolve().name
    # Whoever opens the folder says what is wrong.
    except (OSError, RuntimeError, ValueError):
        return name


def _in_ascii(name: str) -> str:
    # Letters without their accents, else dashes; of a path of Windows the last part.
    letters = unicodedata.normalize("NFKD", name.rstrip("\\").rpartition("\\")[2])
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _NOT_IN_NAMES.sub("-", plain).strip("-._")
