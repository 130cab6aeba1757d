"""Data made ready before anything depends on it: found, decoded, and enough for both splits; no
torch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from objectives.data_config import DataConfig
from search.console import tell
from search.data_location import find_data
from search.folders import needed
from search.objective import Machine
from search.spec import StudySpec
from storage.studies import StoredStudy

if TYPE_CHECKING:
    from objectives.cache import Searchable
    from objectives.source import DataFacts

LINES = 4  # in all, where no bar can be drawn


def prepare_data(
    spec: StudySpec, machine: Machine, console: Console, stored: StoredStudy | None = None
) -> "DataFacts | None":
    """Decodes the study's images unless this machine has them decoded already; `console` shows how
    far it is.

    `stored` is the study's row, where there is one. Returns what the images are known by; made-up
    curves have none.

    Raises:
        DataError, DataUnavailable: the data cannot be used, or is not to be had.
        OtherData: it is not what the study was trained on so far.
    """
    if spec.data.dataset == "synthetic":
        return None
    from objectives.cache import open_searchable

    with decoding_shown(console) as show:

        def open_data(config: DataConfig) -> "Searchable":
            return open_searchable(
                config, needed(machine.data_root), needed(machine.cache_root), show
            )

        config, opened = find_data(spec, stored, machine, open_data)
    if config != spec.data:
        tell(console, f"data set {spec.data.dataset}: taken from {config.dataset}")
    return opened.facts


@contextmanager
def decoding_shown(console: Console) -> Iterator[Callable[[int, int], None]]:
    """`show(done, total)`: a bar on a terminal, a few lines elsewhere; nothing where it is not
    called.

    >>> with decoding_shown(Console()) as show:
    ...     show(500, 500)
    decoded 500 images, once for this machine
    """
    bar = Progress(
        TextColumn("decoding images"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task("")
    lines = 0

    def show(done: int, total: int) -> None:
        nonlocal lines
        if done == total:
            bar.live.stop()
            tell(console, f"decoded {total:,} images, once for this machine")
        elif console.is_terminal:
            bar.update(task, completed=done, total=total)
            bar.start()
        elif LINES * done // total > lines:
            lines = LINES * done // total
            tell(console, f"decoded {done:,} of {total:,} images")

    try:
        yield show
    finally:
        bar.live.stop()
