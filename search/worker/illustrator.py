"""A worker's hand on the process that draws pictures beside it (search.worker.drawing)."""

import json
import logging
import os
import subprocess
import sys
from contextlib import suppress
from types import TracebackType

from storage.engine import Database

# A worker that ends waits so long for what is still to be drawn.
LONGEST_SECONDS = 120.0
# One that was told to end waits so long: the next one draws the rest.
LONGEST_SECONDS_ON_LEAVING = 3.0

log = logging.getLogger(__name__)


class Illustrator:
    """Has pictures drawn; inside its `with`. Leaving waits for them.

    >>> with Illustrator(database, "hypersearch.files/artifacts") as illustrator:   # doctest: +SKIP
    ...     illustrator.draw("mnist-5k")
    """

    def __init__(self, database: Database, artifact_root: str) -> None:
        # The option -P keeps the working folder from being searched for modules, whatever it holds.
        self._command = [sys.executable, "-P", "-m", "search.worker.drawing", artifact_root]
        self._url = database.url.render_as_string(hide_password=False)
        self.process: subprocess.Popen[bytes] | None = None

    def draw(self, study: str) -> None:
        """Has the process, started by the first call, draw what that study's incumbents lack."""
        try:
            if self.process is None or self.process.poll() is not None:
                self._close()
                environment = {**os.environ, "HYPERSEARCH_STORAGE": self._url}
                # Ctrl-C comes to its worker, which ends it.
                self.process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, env=environment, process_group=0
                )
            assert self.process.stdin is not None
            self.process.stdin.write(f"{json.dumps(study)}\n".encode())
            self.process.stdin.flush()
        except OSError as error:
            log.warning(
                "no pictures are drawn now (%s): they are when the study is next worked on", error
            )

    def __enter__(self) -> "Illustrator":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is None:
            return
        try:
            self._close()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(LONGEST_SECONDS if kind is None else LONGEST_SECONDS_ON_LEAVING)
        finally:
            self.process.kill()
            self.process.wait()

    def _close(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            # Where it has died, what it was told last is still in the buffer.
            with suppress(OSError):
                self.process.stdin.close()
