"""The options that several commands have, each declared once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from search.cli.completion import study_names
from search.cli.reading import CommandLineError

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A study.", autocompletion=study_names)
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Database [HYPERSEARCH_STORAGE, else sqlite:///hypersearch.db].",
    ),
]
QuietOption = Annotated[
    bool, typer.Option("-q", "--quiet", help="Say nothing but results and errors.")
]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Log what is done.")]
DebugOption = Annotated[
    bool, typer.Option("--debug", help="Log everything; errors with their traceback.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")]
ArtifactRootOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help=(
            "Where artifacts are kept, or s3://BUCKET [HYPERSEARCH_ARTIFACTS, else by the"
            " database]."
        ),
    ),
]
DataRootOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Where data sets lie [HYPERSEARCH_DATA, else the user's cache]."
    ),
]
DataMapOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STORED=HERE",
        help=(
            "Where a folder of images lies on this machine, by its name in the spec or the storage;"
            " repeatable."
        ),
    ),
]
WorkersOption = Annotated[
    str, typer.Option(metavar="N|auto", help="Worker processes; auto: what trains best here.")
]
ThreadsOption = Annotated[
    str, typer.Option(metavar="N|auto", help="Threads of each worker; auto: what trains best here.")
]
DeviceOption = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")]
AcceptDataOption = Annotated[
    bool,
    typer.Option(
        "--accept-data",
        help="Go on with the data that is here, though earlier trials had other data.",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="local|ray", help="Where workers are: on this machine, or where Ray puts them."
    ),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="The Ray cluster [the one that runs here, else this machine]; auto or local: one of"
        " the two.",
    ),
]
CpusPerWorkerOption = Annotated[
    str | None,
    typer.Option(metavar="N", help="CPUs of the cluster that each worker takes [1]."),
]
GpusPerWorkerOption = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="GPUs of the cluster that each worker takes, or a share of one, as 0.25 [1 where it"
        " has any].",
    ),
]
ShipDataOption = Annotated[
    bool,
    typer.Option(
        "--ship-data",
        help="Send the decoded images to the nodes: they need no folder of them.",
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there instead.")
]


def refuse_together(given: Mapping[str, bool]) -> None:
    """Raises CommandLineError where more than one of these options is given."""
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise CommandLineError(f"{' and '.join(names)} do not go together: leave one out")
