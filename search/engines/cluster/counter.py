"""Where a worker asks for images that its node has not, and gets them."""

import json
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from queue import SimpleQueue

from objectives.data.parcels import Split


@dataclass(frozen=True)
class Want:
    """Which images are asked for."""

    study: str
    split: Split


class Counter:
    """A socket in a folder of its own; one worker asks there, for one thing at a time.

    >>> counter = Counter()                                     # doctest: +SKIP
    >>> if (want := counter.want) is not None: counter.give(folder)
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hypersearch-"))
        self.socket = self.folder / "counter"
        # The want is one that nobody has answered yet.
        self.want: Want | None = None
        self._answers: SimpleQueue[Mapping[str, str | int]] = SimpleQueue()
        self._listener = Listener(str(self.socket), "AF_UNIX")
        threading.Thread(target=self._serve, daemon=True).start()

    def give(self, folder: Path) -> None:
        """What was wanted is there now."""
        self._answer({"folder": str(folder)})

    def refuse(self, why: str, exit_code: int) -> None:
        """What was wanted is not to be had."""
        self._answer({"refused": why, "exit_code": exit_code})

    def close(self) -> None:
        """Takes its folder away, with what was given there."""
        self._listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answer(self, answer: Mapping[str, str | int]) -> None:
        if self.want is not None:
            self.want = None
            self._answers.put(answer)

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            # The listener is closed.
            except OSError:
                return
            with connection:
                self._see_to(connection)

    def _see_to(self, connection: Connection) -> None:
        try:
            self.want = Want(**json.loads(connection.recv_bytes()))
            connection.send_bytes(json.dumps(self._answers.get()).encode())
        # Whoever asked has died.
        except (OSError, EOFError):
            self.want = None
