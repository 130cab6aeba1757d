"""Artifacts in a folder, one file each."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import FileSystemArtifactStore

from storage.artifact_store import ARTIFACT_ID, OWNERS, Holdings
from storage.errors import ArtifactsUnavailable

# A mark and its folder are made in so many attempts, as others may remove the folder in between.
_MARK_ATTEMPTS = 20


class FolderStore(FileSystemArtifactStore):
    """Optuna's layout, one file an artifact; its own write may leave half a file."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root

    def holds(self, artifact_id: str) -> bool:
        with self._reaching():
            return (Path(self.root) / artifact_id).is_file()

    def open_reader(self, artifact_id: str) -> BinaryIO:
        with self._reaching():
            return super().open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        with self._reaching():
            folder = Path(self.root)
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".aside-") as aside:
                path = Path(aside) / artifact_id
                with path.open("wb") as file:
                    shutil.copyfileobj(content_body, file)
                    file.flush()
                    os.fsync(file.fileno())
                path.replace(folder / artifact_id)

    def remove(self, artifact_id: str) -> None:
        with self._reaching():
            super().remove(artifact_id)

    def mark(self, artifact_id: str, owner: str) -> None:
        marks = self._marks(artifact_id)
        with self._reaching():
            for _ in range(_MARK_ATTEMPTS):
                marks.mkdir(parents=True, exist_ok=True)
                # Another owner has just left, and removed the folder that was empty.
                with suppress(FileNotFoundError):
                    (marks / owner).touch()
                    return
        raise ArtifactsUnavailable(self.root, f"{marks.name} is removed again and again")

    def unmark(self, artifact_id: str, owner: str) -> None:
        marks = self._marks(artifact_id)
        with self._reaching():
            (marks / owner).unlink(missing_ok=True)
            # The folder stays where others' artifacts are in it, and may be gone already.
            with suppress(OSError):
                marks.rmdir()

    def owners(self, artifact_id: str) -> frozenset[str]:
        with self._reaching():
            try:
                return frozenset(path.name for path in self._marks(artifact_id).iterdir())
            except FileNotFoundError:
                return frozenset()

    def holdings(self) -> Holdings:
        with self._reaching():
            folder = Path(self.root)
            entries = folder.iterdir() if folder.exists() else ()
            sizes = [
                each.stat().st_size
                for each in entries
                if ARTIFACT_ID.fullmatch(each.name) and each.is_file()
            ]
            return Holdings(len(sizes), sum(sizes))

    def _marks(self, artifact_id: str) -> Path:
        return Path(self.root) / f"{artifact_id}{OWNERS}"

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactsUnavailable(self.root, error.strerror or str(error)) from error
