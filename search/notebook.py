"""The commands as functions, for notebooks and scripts."""

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from search.analysis.comparison import Comparison, compare_study
from search.engines.borrowed import borrowed_process
from search.engines.launch import Team, run_study
from search.engines.processes import hire
from search.engines.turns import Turns
from search.machine.settings import Settings
from search.report.console import console_on, tell
from search.report.live import Screen
from search.report.streams import progress_stream
from search.spec.document import load_document
from search.spec.reading import parse_spec
from search.spec.request import Request
from search.spec.study_spec import StudySpec
from search.studies.data_location import read_data_map
from storage.backends import parse_url, shown
from storage.engine import open_database
from storage.hosts import this_host

WAITS = (
    "waiting: another run is under way in this process, and two at once would disturb each other"
)
_TURNS = Turns()


def load_spec(path: str | Path) -> StudySpec:
    """Reads a spec from a TOML file. Raises SpecError."""
    return parse_spec(load_document(Path(path)), str(path))


def run(
    spec: StudySpec,
    *,
    storage: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    data_map: Mapping[str, str] | None = None,
    accept_data: bool = False,
) -> Comparison:
    """Works on the study until it ends, as `hypersearch run` does, and returns its comparison.

    `data_map` says where folders of images lie on this machine, by the names that they have in
    specs or in the storage; `accept_data` lets the study go on with other images than those of its
    trials so far.

    Ctrl-C hands the running trial back and raises KeyboardInterrupt, as the caller's handler of
    SIGINT does; run again, the study goes on. The process is left as it was: its threads, its
    current GPU, levels of logging, random numbers, signals.

    Runs in several threads of a process take turns: a second one waits until the first returns, and
    says so.

    Once PyTorch has computed here, start processes with multiprocessing's "spawn": a fork would
    hang in OpenMP.

    Where a GPU answers this process no more, after an error in a kernel, the study goes on in a
    process of its own; restart this one to use the GPU here again.

    Raises RunInsideRun where the thread is inside another run, and what `run_study` raises.

    >>> spec = load_spec("examples/demo.toml")
    >>> run(spec, storage="sqlite:///hypersearch.db").incumbent   # doctest: +SKIP
    """
    settings = Settings.from_environment(os.environ)
    url = storage or settings.storage
    console = console_on(progress_stream(sys.stderr))

    def say_that_it_waits() -> None:
        tell(console, WAITS)

    try:
        with (
            _TURNS.taken(say_that_it_waits),
            borrowed_process() as work_begins,
            Screen(console) as screen,
        ):
            run_study(
                url,
                Request(spec.to_document(), {}, f"study {spec.name!r}"),
                settings.machine(
                    settings.files(url, None),
                    device=device,
                    threads=threads,
                    data_map=read_data_map(data_map or {}),
                    accept_data=accept_data,
                ),
                host=this_host(),
                tell=screen.tell,
                team=Team(1, partial(hire, url=url, artifact_root=None, quiet=True)),
                on_joined=work_begins,
            )
    except KeyboardInterrupt as interrupted:
        interrupted.args = interrupted.args or (_how_to_go_on(storage),)
        raise
    return compare(spec.name, storage=url)


def _how_to_go_on(storage: str | None) -> str:
    at = "" if storage is None else f", storage={shown(parse_url(storage))!r}"
    return (
        "interrupted; a trial that was running was handed back; go on with:"
        f" hypersearch.run(spec{at})"
    )


def compare(name: str, *, storage: str | None = None) -> Comparison:
    """The trials of a study in order of rank and what each technique did. Raises StudyNotFound."""
    with open_database(storage or Settings.from_environment(os.environ).storage) as database:
        return compare_study(database, name)


def report(
    *names: str, storage: str | None = None, output: str | Path = "hypersearch-report.html"
) -> Path:
    """Writes one HTML page on these studies, which needs no network, and returns its path.

    Raises StudyNotFound, and OSError where it cannot be written.

    >>> report("demo", storage="sqlite:///hypersearch.db")   # doctest: +SKIP
    PosixPath('hypersearch-report.html')
    """
    from search.machine.files import write_whole
    from search.report.page.written import read_page

    settings = Settings.from_environment(os.environ)
    url = storage or settings.storage
    with open_database(url) as database:
        page = read_page(database, list(dict.fromkeys(names)), settings, url)
    write_whole(Path(output), page.encode("utf-8", "backslashreplace"))
    return Path(output)
