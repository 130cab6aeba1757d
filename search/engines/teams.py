"""Who works on a study: processes of this machine, or workers elsewhere.

One more scheduler that places workers is a class with the methods of `Hired`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from search.machine.division import Share
from search.machine.division_file import divide
from search.machine.this_machine import Machine
from search.studies.joining import JoinedStudy
from search.worker.events import Said, Tell


class WorkFailed(Exception):
    """The work itself failed."""

    @classmethod
    def trials(cls, name: str, failed: int, reason: str | None) -> "WorkFailed":
        """The study ended because trials failed."""
        return cls(
            f"study {name!r} ended after {failed} failed trials; the first:"
            f" {reason or 'no reason recorded'}; mend that and run it under another name with"
            " --study"
        )

    @classmethod
    def follow_up(cls, name: str, reason: str | None) -> "WorkFailed":
        """A training of a follow-up failed as often as it was given out."""
        return cls(
            f"study {name!r} ended, as a training of it failed again and again; the first:"
            f" {reason or 'no reason recorded'}; mend that and ask anew, with --new"
        )

    @classmethod
    def workers(cls, reason: str) -> "WorkFailed":
        """The worker processes cannot work."""
        return cls(f"the worker processes have ended with work left to do: {reason}")


class Hired(Protocol):
    """Workers that others run: processes of this machine, or of a cluster."""

    @property
    def last_words(self) -> str:
        """Why none is left."""

    def working(self, *studies: str) -> AbstractContextManager[None]:
        """Inside, they work on these studies."""

    def is_working(self) -> bool:
        """Whether any is alive, or is to be."""


@dataclass(frozen=True)
class Team:
    """Worker processes, as they are asked for; one works in this process, and in another where this
    one is spent.
    """

    # The workers are None where they are as many as train best.
    workers: int | None
    hire: Callable[[int, Machine], Hired]


@dataclass(frozen=True)
class Away:
    """Workers on other machines: what this one has, or trains best with, is none of theirs."""

    # It is called before anything is created; it raises where nobody can be hired.
    get_ready: Callable[[], None]
    crew: Hired


def share_of(
    machine: Machine, workers: int | None, studies: Sequence[JoinedStudy] | None, tell: Tell
) -> Share:
    """How many workers with how many threads each work on these studies, or on any that may come
    (`None`).
    """
    return divide(
        workers,
        machine.threads,
        device=machine.device,
        folder=machine.division_root,
        say=lambda line: tell(Said(line)),
        trains=studies is None
        or any(joined.spec.data.dataset != "synthetic" for joined in studies),
    )
