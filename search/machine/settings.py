"""What the environment and this machine's customs say; read once, at the command line's border."""

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from objectives.checkpoint import CHECKPOINT_SECONDS
from search.machine.folders import Place, below, expanded, needed, user_cache, user_files
from search.machine.this_machine import Files, Machine
from storage.errors import ArtifactRootError
from storage.text import is_one_line
from storage.urls import parse_url, sqlite_path

# The module search.engines.processes sets it for the processes that it starts.
PROCESS = "HYPERSEARCH_PROCESS"
# The same module says how many processes those are, where nobody asked for their threads.
CREW = "HYPERSEARCH_CREW"
# Steps are not captured where it is 0; search.engines.processes sets that where the process before
# could not.
CAPTURES = "HYPERSEARCH_CAPTURES"
# So many images go through the network at a time.
PIECE = "HYPERSEARCH_PIECE"
# The variable names this machine: processes that have the same one look at each other's ids.
IDENTITY = "HYPERSEARCH_MACHINE"
# The variable names the socket where a worker asks for images that its machine has not;
# search.engines.cluster.seat sets it.
PARCELS = "HYPERSEARCH_PARCELS"
# What is made has this date, where the same is to be the same bytes:
# https://reproducible-builds.org/specs/source-date-epoch/
DATE = "SOURCE_DATE_EPOCH"
SYNTHETIC_SECONDS = "HYPERSEARCH_SYNTHETIC_SECONDS"
BETWEEN_CHECKPOINTS = "HYPERSEARCH_CHECKPOINT_SECONDS"
DEFAULT_STORAGE = "sqlite:///hypersearch.db"

_WHOLE = re.compile(r"[0-9]{1,9}")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")
_DATE = re.compile(r"[0-9]{1,11}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]*)?|\.[0-9]+")
# The variable OMP_NUM_THREADS holds a number, or one a level of nesting.
_OPENMP = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")


class SettingsError(Exception):
    """A variable of the environment, or an option that stands for one, says what cannot be used.
    Exit code 2.
    """

    @classmethod
    def empty(cls, name: str) -> "SettingsError":
        return cls(f"{name} is empty: name a folder, or leave it out")

    @classmethod
    def unprintable(cls, name: str, text: str) -> "SettingsError":
        return cls(
            f"{name} {text!r} holds a control character, or bytes that are no UTF-8: leave them out"
        )

    @classmethod
    def too_long(cls, name: str) -> "SettingsError":
        return cls(f"{name} is longer than this system allows for a folder: name another")

    @classmethod
    def no_number(cls, name: str, text: str) -> "SettingsError":
        return cls(f"{name} {text!r}: give a number, 0 or more, or leave it out")

    @classmethod
    def no_count(cls, name: str, text: str) -> "SettingsError":
        return cls(f"{name} {text!r}: give a whole number of 1 or more, or leave it out")


def _read_number(name: str, text: str, pattern: re.Pattern[str]) -> float:
    if pattern.fullmatch(text.strip()) is None:
        raise SettingsError.no_number(name, text)
    return float(text)


def _read_count(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if _COUNT.fullmatch(text.strip()) is None:
        raise SettingsError.no_count(name, text)
    return int(text)


def date_of_making(environment: Mapping[str, str], now: float) -> float:
    """What files that are made now say of when: seconds since 1970, UTC. Raises SettingsError."""
    text = environment.get(DATE, "").strip()
    return now if not text else _read_number(DATE, text, _DATE)


def check_openmp(environment: Mapping[str, str]) -> None:
    """Before PyTorch is loaded, whose OpenMP would complain in its own words, and go on. Raises
    SettingsError.
    """
    text = environment.get("OMP_NUM_THREADS", "").strip()
    if text and _OPENMP.fullmatch(text.replace(" ", "")) is None:
        raise SettingsError.no_number("OMP_NUM_THREADS", text)


def read_folder(name: str, text: str) -> Path:
    """The folder that an option or variable of that name says; blanks around it are no part of it.

    Raises SettingsError, and FolderUnknown for the home of nobody.
    """
    text = text.strip()
    if not text:
        raise SettingsError.empty(name)
    if not is_one_line(text):
        raise SettingsError.unprintable(name, text)
    folder = expanded(name, text)
    try:
        folder.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise SettingsError.too_long(name) from None
    return folder


def read_artifact_root(name: str, text: str) -> str:
    """A folder, or the URL of a bucket. Raises as read_folder does, and ArtifactRootError."""
    if "://" not in text:
        return str(read_folder(name, text))
    if not is_one_line(text.strip()):
        raise ArtifactRootError.unreadable()
    return text.strip()


@dataclass(frozen=True)
class Settings:
    """Where things are unless an option says otherwise."""

    storage: str
    # Downloaded data sets lie here.
    data_root: Place
    # Decoded data sets lie here.
    cache_root: Place
    # What this machine was measured to train best with is kept here.
    division_root: Place
    # The root is a folder or s3://bucket/prefix.
    artifact_root: str | None
    # The user's own data folder is here.
    user_files: Place
    # The process has this number among several that one command started.
    process: int
    # An epoch of the made-up objective takes so long: tests of many workers ask for it.
    synthetic_seconds: float
    # Between two checkpoints that are written lie so many seconds of training at least.
    checkpoint_seconds: float
    # The command has started so many processes, where nobody asked for their threads.
    crew: int = 0
    # Optimizer steps are captured where the device records them.
    captures: bool = True
    # So many images go through the network at a time; None: as many as train best.
    piece: int | None = None
    # Images that this machine has not are asked for at this socket.
    parcels: Path | None = None
    # The name tells this machine from others where the system's own name does not.
    identity: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """HYPERSEARCH_STORAGE, _DATA and _ARTIFACTS, else the working folder, the user's cache and
        data folder.

        Raises SettingsError, ArtifactRootError, and FolderUnknown for the home of nobody.
        """
        given = {name: text for name, text in environment.items() if text.strip()}
        data, artifacts = given.get("HYPERSEARCH_DATA"), given.get("HYPERSEARCH_ARTIFACTS")
        cache = user_cache()
        return cls(
            storage=given.get("HYPERSEARCH_STORAGE", DEFAULT_STORAGE),
            data_root=(
                below(cache, "data") if data is None else read_folder("HYPERSEARCH_DATA", data)
            ),
            cache_root=below(cache, "decoded"),
            division_root=below(cache, "division"),
            artifact_root=(
                None
                if artifacts is None
                else read_artifact_root("HYPERSEARCH_ARTIFACTS", artifacts)
            ),
            user_files=user_files(),
            process=int(_read_number(PROCESS, given.get(PROCESS, "0"), _WHOLE)),
            synthetic_seconds=_read_number(
                SYNTHETIC_SECONDS, given.get(SYNTHETIC_SECONDS, "0"), _SECONDS
            ),
            captures=_read_number(CAPTURES, given.get(CAPTURES, "1"), _WHOLE) > 0,
            checkpoint_seconds=_read_number(
                BETWEEN_CHECKPOINTS,
                given.get(BETWEEN_CHECKPOINTS, str(CHECKPOINT_SECONDS)),
                _SECONDS,
            ),
            crew=_read_count(CREW, given.get(CREW)) or 0,
            piece=_read_count(PIECE, given.get(PIECE)),
            parcels=Path(given[PARCELS]) if PARCELS in given else None,
            identity=given.get(IDENTITY, ""),
        )

    def files(self, storage_url: str, artifact_root: str | None) -> Files:
        """Where the files of a storage's studies lie: beside a SQLite file, else in the user's data
        folder.

        A local `artifact_root` that workers of several machines share holds their checkpoints too,
        so that a trial that is taken over goes on from its last one.

        Raises StorageURLError, and FolderUnknown where the user's data folder is needed.
        """
        url = parse_url(storage_url)
        asked = artifact_root or self.artifact_root
        if asked is not None and "://" not in asked:
            return Files(asked, Path(asked) / "checkpoints")
        is_file = url.get_backend_name() == "sqlite"
        base = sqlite_path(url).with_suffix(".files") if is_file else needed(self.user_files)
        return Files(asked or str(base / "artifacts"), base / "checkpoints")

    def machine(
        self,
        files: Files,
        *,
        data_root: Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        data_map: Mapping[str, Path] | None = None,
        accept_data: bool = False,
    ) -> Machine:
        """How to work on this machine."""
        return Machine(
            data_root=data_root or self.data_root,
            cache_root=self.cache_root,
            division_root=self.division_root,
            files=files,
            device=device,
            threads=threads,
            crew=self.crew,
            piece=self.piece,
            process=self.process,
            synthetic_seconds=self.synthetic_seconds,
            captures=self.captures,
            checkpoint_seconds=self.checkpoint_seconds,
            data_map=data_map or {},
            accept_data=accept_data,
            parcels=self.parcels,
        )
