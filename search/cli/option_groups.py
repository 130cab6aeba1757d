"""Options that go together: a group is declared once, as a frozen dataclass, for all commands that
have it.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from functools import wraps

from search.cli.context import set_output
from search.cli.options import (
    AcceptDataOption,
    ArtifactRootOption,
    CpusPerWorkerOption,
    DataMapOption,
    DataRootOption,
    DebugOption,
    DeviceOption,
    EngineOption,
    GpusPerWorkerOption,
    QuietOption,
    RayAddressOption,
    ShipDataOption,
    StorageOption,
    ThreadsOption,
    VerboseOption,
    WorkersOption,
)


@dataclass(frozen=True)
class VerbosityOptions:
    """How much is told on standard error, beside errors."""

    quiet: QuietOption = False
    verbose: VerboseOption = False
    debug: DebugOption = False

    def take_effect(self) -> None:
        """Sets what the process tells."""
        set_output(self.quiet, self.verbose, self.debug)


@dataclass(frozen=True)
class WorkerOptions:
    """How many workers there are, and what each of them computes on."""

    workers: WorkersOption = "1"
    threads: ThreadsOption = "auto"
    device: DeviceOption = "auto"


@dataclass(frozen=True)
class DataOptions:
    """Where data sets and folders of images lie on this machine."""

    data_root: DataRootOption = None
    data_map: DataMapOption = None


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """Where a command that trains finds images, and leaves artifacts."""

    data: DataOptions
    accept_data: AcceptDataOption = False
    artifact_root: ArtifactRootOption = None


@dataclass(frozen=True, kw_only=True)
class KeptOptions:
    """Where a command that trains nothing finds a study, its images and its artifacts."""

    data: DataOptions
    artifact_root: ArtifactRootOption = None
    storage: StorageOption = None


@dataclass(frozen=True)
class ClusterOptions:
    """Who places the workers, and what of a cluster each of them takes."""

    engine: EngineOption = "local"
    ray_address: RayAddressOption = None
    cpus_per_worker: CpusPerWorkerOption = None
    gpus_per_worker: GpusPerWorkerOption = None
    ship_data: ShipDataOption = False


@dataclass(frozen=True, kw_only=True)
class WorkOptions:
    """The options of every command that works on studies, here or on a cluster."""

    workers: WorkerOptions
    cluster: ClusterOptions
    place: PlaceOptions
    storage: StorageOption = None
    verbosity: VerbosityOptions


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of each group, in place of its parameter that takes the group.

    A group may hold further groups.

    >>> @with_option_groups                                       # doctest: +SKIP
    ... def pause(name: NameArgument, *, verbosity: VerbosityOptions) -> None: ...
    """
    own = inspect.signature(command, eval_str=True)
    parameters = list(_options(own))

    @wraps(command)
    def with_options(**given: object) -> None:
        command(**_grouped(own, given))

    # typer reads the signature and the annotations of what it calls.
    vars(with_options)["__signature__"] = own.replace(parameters=parameters)
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


def _options(signature: inspect.Signature) -> Iterator[inspect.Parameter]:
    for each in signature.parameters.values():
        if (group := _group(each)) is None:
            yield each
            continue
        for option in _options(inspect.signature(group)):
            yield option.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _grouped(signature: inspect.Signature, given: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, each in signature.parameters.items():
        group = _group(each)
        found[name] = (
            given[name] if group is None else group(**_grouped(inspect.signature(group), given))
        )
    return found


def _group(parameter: inspect.Parameter) -> type | None:
    kind = parameter.annotation
    return kind if isinstance(kind, type) and is_dataclass(kind) else None
