"""What this process and the one that speaks with Ray tell each other: one JSON object a line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Hello:
    """Which cluster is wanted, and for which storage."""

    address: str | None
    url: str
    debug: bool = False  # Ray may print what it likes


@dataclass(frozen=True)
class Orders:
    """Which workers are wanted there."""

    workers: int | None  # None: as many as the cluster has room for
    cpus: float
    gpus: float | None
    studies: Sequence[str]
    device: str
    arguments: Sequence[str]  # of `hypersearch worker`
    environment: Mapping[str, str]  # that it finds there; the storage's URL is in it
    data: "Where | None" = None  # of what is shipped; None: every node has it


@dataclass(frozen=True)
class Where:
    """Where data that is shipped lies on the machine that ships it."""

    data_root: str | None
    data_map: Mapping[str, str]
    accepts_any: bool = False


@dataclass(frozen=True)
class Answer:
    """What comes back; each line says one thing."""

    ready: str | None = None  # the cluster, for people
    refused: str | None = None
    exit_code: int = 0  # of what was refused
    said: str | None = None
    over: str | None = None  # no worker is left, and why, for people
    exit_codes: Sequence[int] = ()  # of the workers, where it is over


def written(message: Hello | Orders | Answer) -> str:
    """The message as a line."""
    return json.dumps(asdict(message)) + "\n"


def read_hello(line: str) -> Hello:
    return Hello(**json.loads(line))


def read_orders(line: str) -> Orders:
    content = json.loads(line)
    data = content.pop("data")
    return Orders(**content, data=None if data is None else Where(**data))


def read_answer(line: str) -> Answer:
    return Answer(**json.loads(line))
