"""The actor that Ray places on a node: it keeps one worker process there."""

import os
import socket
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import ray
from ray import ObjectRef
from ray.exceptions import RayError

from objectives.data.cache import Opened, is_intact
from objectives.data.parcels import unpack
from search.engines.cluster.counter import Counter, Want
from search.engines.processes import Crew
from search.machine.folders import FolderUnknown
from search.machine.settings import PARCELS, Settings

# What Ray sets for processes of its own, the number of threads among it, is not the worker's.
NOT_THE_WORKERS = ("RAY_", "OMP_NUM_THREADS")
# So many lines are kept that the worker has written since somebody last asked.
LINES_KEPT = 1000


@dataclass(frozen=True)
class Report:
    """How one worker is."""

    host: str
    is_working: bool
    # The exit code is the worker's, where it works no more.
    exit_code: int
    last_words: str
    # The worker has written these lines since the last report.
    said: Sequence[str]
    # The worker asks for these images.
    want: Want | None = None


class Seat:
    """One worker on this node: started with the actor, started again where it dies, stopped with
    it.

    Where the actor is killed, Ray kills its process too, and what that held is taken over by its
    lease.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        studies: Sequence[str],
        *,
        has_data_sent: bool,
    ) -> None:
        self._host = socket.gethostname()
        self._said: deque[str] = deque(maxlen=LINES_KEPT)
        read, write = os.pipe()
        threading.Thread(target=self._listen, args=(read,), daemon=True).start()
        self._counter = Counter() if has_data_sent else None
        if self._counter is not None:
            environment = {**environment, PARCELS: str(self._counter.socket)}
        self._crew = Crew(1, arguments, environment, unwanted=NOT_THE_WORKERS, stderr=write)
        self._open = ExitStack()
        self._open.callback(os.close, write)
        if self._counter is not None:
            self._open.callback(self._counter.close)
        self._open.enter_context(self._crew.working(*studies))

    def look(self) -> Report:
        """How the worker is now."""
        is_working = self._crew.is_working()
        codes = self._crew.exit_codes
        said = [self._said.popleft() for _ in range(len(self._said))]
        return Report(
            self._host,
            is_working,
            codes[-1] if codes else 0,
            self._crew.last_words,
            said,
            None if self._counter is None else self._counter.want,
        )

    def take(self, want: Want, name: str, content: "list[ObjectRef[Opened]]") -> None:
        """Images that the worker has asked for: written once for all workers of this node, but for
        a test split, which is this worker's alone, as long as the actor is there.
        """
        assert self._counter is not None
        folder = self._counter.folder
        cache_root = Settings.from_environment(os.environ).cache_root
        if want.split == "train" and not isinstance(cache_root, FolderUnknown):
            folder = cache_root / "parcels"
        try:
            if not is_intact(folder / name):
                unpack(ray.get(content[0]), want.split, folder / name)
        except (OSError, RayError) as error:
            self._counter.refuse(f"{folder}: cannot keep images that were sent ({error})", 3)
            return
        self._counter.give(folder / name)

    def refuse(self, why: str, exit_code: int) -> None:
        """Images that the worker has asked for are not to be had."""
        assert self._counter is not None
        self._counter.refuse(why, exit_code)

    def end(self) -> Report:
        """Stops the worker, which hands its trial back."""
        self._open.close()
        return self.look()

    def _listen(self, read: int) -> None:
        with open(read, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                self._said.append(line.rstrip("\n"))
