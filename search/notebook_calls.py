"""How a call from a notebook works: on which storage, with what of this machine, and in a process
that is left as it was.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from search.engines.answers import Commission
from search.engines.borrowed import borrowed_process
from search.engines.launch import run_study
from search.engines.processes import hire
from search.engines.teams import Team
from search.engines.turns import Turns
from search.machine.settings import Settings
from search.machine.this_machine import Machine
from search.report.console import console_on, tell
from search.report.live import Screen
from search.report.streams import progress_stream
from search.spec.request import Request
from search.studies.data_location import read_data_map
from storage.hosts import this_host
from storage.urls import parse_url, shown_url

WAITS = (
    "waiting: another run is under way in this process, and two at once would disturb each other"
)
_TURNS = Turns()


@dataclass(frozen=True)
class Call:
    """What is the same in all calls: the storage, and what of this machine is used how."""

    settings: Settings
    # The storage is as it was given; None: the environment says it.
    storage: str | None
    device: str = "auto"
    threads: int | None = None
    data_map: Mapping[str, str] | None = None
    accept_data: bool = False

    @classmethod
    def made(
        cls,
        storage: str | None,
        device: str = "auto",
        threads: int | None = None,
        data_map: Mapping[str, str] | None = None,
        accept_data: bool = False,
    ) -> "Call":
        """With the settings of the environment as it is now."""
        settings = Settings.from_environment(os.environ)
        return cls(settings, storage, device, threads, data_map, accept_data)

    @property
    def url(self) -> str:
        """The storage's URL."""
        return self.storage or self.settings.storage

    def machine(self) -> Machine:
        """How this machine is to work."""
        return self.settings.machine(
            self.settings.files(self.url, None),
            device=self.device,
            threads=self.threads,
            data_map=read_data_map(self.data_map or {}),
            accept_data=self.accept_data,
        )

    def studies(self) -> tuple[str, Machine]:
        """Where studies are, and how to work on them."""
        return self.url, self.machine()

    def screen(self) -> Screen:
        """Where progress is shown."""
        return Screen(console_on(progress_stream(sys.stderr)))

    def commission(self, name: str, *, again: bool) -> Commission:
        """On which terms a follow-up of the study is to be there."""
        machine = self.machine()
        root = machine.files.artifact_root
        return Commission(self.url, name, again=again, machine=machine, artifact_root=root)

    def train(self, follow_up: str) -> None:
        """Trains what is left of a follow-up."""
        request = Request(None, {"study": {"name": follow_up}}, follow_up)
        self.work(request, lambda: "interrupted; the same call goes on")

    def work(self, request: Request, how_to_go_on: Callable[[], str]) -> None:
        """Works on a study until it ends, and leaves the process as it was.

        Raises KeyboardInterrupt, which says how to go on, and as `run_study` does.
        """
        url, console = self.url, console_on(progress_stream(sys.stderr))

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
                    request,
                    self.machine(),
                    host=this_host(),
                    tell=screen.tell,
                    team=Team(1, partial(hire, url=url, artifact_root=None, quiet=True)),
                    on_joined=work_begins,
                )
        except KeyboardInterrupt as interrupted:
            interrupted.args = interrupted.args or (how_to_go_on(),)
            raise

    def run_again(self) -> str:
        """How an interrupted run goes on."""
        at = "" if self.storage is None else f", storage={shown_url(parse_url(self.storage))!r}"
        return (
            "interrupted; a trial that was running was handed back; go on with:"
            f" hypersearch.run(spec{at})"
        )
