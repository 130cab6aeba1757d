"""What the environment and this machine's customs say; read once, at the command line's border."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

DEFAULT_STORAGE = "sqlite:///hypersearch.db"


@dataclass(frozen=True)
class Settings:
    """Where things are unless an option says otherwise."""

    storage: str
    data_root: Path  # downloaded data sets
    cache_root: Path  # decoded ones

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """HYPERSEARCH_STORAGE and HYPERSEARCH_DATA, else the working folder and the user's cache."""
        cache = Path(platformdirs.user_cache_dir("hypersearch", appauthor=False))
        return cls(
            storage=environment.get("HYPERSEARCH_STORAGE") or DEFAULT_STORAGE,
            data_root=Path(environment.get("HYPERSEARCH_DATA") or cache / "data"),
            cache_root=cache / "decoded",
        )
