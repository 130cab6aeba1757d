"""What this process and the one that speaks with Ray tell each other: one JSON object a line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Hello:
    """Which cluster is wanted, and for which storage."""

    address: str | None
    url: str
    # Ray may print what it likes under --debug.
    debug: bool = False


@dataclass(frozen=True)
class Orders:
    """Which workers are wanted there."""

    # The workers are None where there are to be as many as the cluster has room for.
    workers: int | None
    cpus: float
    gpus: float | None
    studies: Sequence[str]
    device: str
    # The arguments are those of `hypersearch worker`.
    arguments: Sequence[str]
    # The worker finds this in its environment; the storage's URL is in it.
    environment: Mapping[str, str]
    # The data is what is shipped; None: every node has it.
    data: "Where | None" = None


@dataclass(frozen=True)
class Where:
    """Where data that is shipped lies on the machine that ships it."""

    data_root: str | None
    data_map: Mapping[str, str]
    accepts_any: bool = False


@dataclass(frozen=True)
class Answer:
    """What comes back; each line says one thing."""

    # The cluster is described for people.
    ready: str | None = None
    refused: str | None = None
    # The exit code is that of what was refused.
    exit_code: int = 0
    said: str | None = None
    # No worker is left, and this says for people why.
    over: str | None = None
    # The exit codes are those of the workers, where it is over.
    exit_codes: Sequence[int] = ()


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
