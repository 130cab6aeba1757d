"""What the terminal shows while a study works or is watched: a live view, or plain lines."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from search.report.console import tell
from search.report.values import brief
from search.spec.durations import duration
from search.worker.events import (
    Decoding,
    EpochFinished,
    Event,
    Running,
    Said,
    StudyLeft,
    StudyOpened,
    TrialFinished,
    TrialStarted,
    Waiting,
    WorkerEvent,
)
from storage.direction import Direction

# Decoding takes so many lines in all, where no bar can be drawn.
DECODING_LINES = 4


class View(Protocol):
    """Shows the events of a worker."""

    def show(self, event: WorkerEvent) -> None: ...
    def __enter__(self) -> "View": ...
    def __exit__(self, *_: object) -> None: ...


class Tally:
    """What has happened so far: counted from events, starting where the study stood."""

    def __init__(
        self,
        finished: int,
        budget: int,
        best: float | None,
        direction: Direction,
        clock: Callable[[], float],
    ):
        self.finished = finished
        self.budget = budget
        self.best = best
        self.best_number: int | None = None
        self._direction = direction
        self._clock = clock
        self._started = clock()
        self._finished_before = finished

    def add(self, event: TrialFinished) -> None:
        """Counts a finished trial."""
        if event.outcome in ("complete", "pruned"):
            self.finished += 1
        if event.outcome != "complete" or event.value is None:
            return
        if self.best is None or self._direction.is_better(event.value, than=self.best):
            self.best, self.best_number = event.value, event.number

    def seconds_to_go(self) -> float | None:
        """By this worker's pace so far; unknown before its first trial."""
        done = self.finished - self._finished_before
        if done == 0:
            return None
        return (self._clock() - self._started) / done * max(0, self.budget - self.finished)


class PlainView:
    """One line a finished trial, for logs; without a tally (a worker of many studies) each names
    its study.
    """

    def __init__(self, tally: Tally | None, console: Console) -> None:
        self._tally = tally
        self._console = console
        self._said = ""

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: WorkerEvent) -> None:
        """Prints the line of a finished trial, or why there is none."""
        match event:
            case TrialFinished():
                if self._tally is not None:
                    self._tally.add(event)
                tell(self._console, line(event, self._tally))
            case Waiting(reason) if reason != self._said:
                self._said = reason
                tell(self._console, f"waiting: {reason}")
            case StudyLeft(study, error):
                tell(self._console, f"study {study} is left: {error}")


class LiveView:
    """Progress with time to go, the running trial and the best one, drawn over and over."""

    def __init__(self, tally: Tally, console: Console) -> None:
        self._tally = tally
        self._progress = Progress(
            TextColumn("trials"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=console,
        )
        self._task = self._progress.add_task("", total=tally.budget, completed=tally.finished)
        self._running = Text("")
        self._best = Text(_best(tally))
        self._parameters = ""
        self._live = Live(
            Group(self._progress, self._running, self._best), console=console, refresh_per_second=4
        )

    def __enter__(self) -> "LiveView":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, event: WorkerEvent) -> None:
        """Redraws what the event changes."""
        match event:
            case TrialStarted(_, number, _, parameters):
                self._parameters = brief(parameters)
                self._running.plain = f"trial {number}: {self._parameters}"
            case EpochFinished(number, measurement, value):
                self._running.plain = (
                    f"trial {number}: epoch {measurement.epoch}, {value:.4f}, "
                    f"{measurement.images_per_second:,.0f} images/s; {self._parameters}"
                )
            case TrialFinished():
                self._tally.add(event)
                self._best.plain = _best(self._tally)
                togo = self._tally.seconds_to_go()
                self._progress.update(
                    self._task,
                    completed=self._tally.finished,
                    description="" if togo is None else f"{duration(togo)} to go",
                )
            case Waiting(reason):
                self._running.plain = f"waiting: {reason}"
            case Running(trials):
                self._running.plain = "\n".join(
                    f"trial {trial.number}: epoch {trial.epoch}, worker"
                    f" {(trial.worker or 'none')[:8]} on {trial.host}"
                    for trial in trials
                )


def choose_view(tally: Tally | None, console: Console) -> View:
    """The live view of one study on a terminal, plain lines elsewhere."""
    if console.is_terminal and tally is not None:
        return LiveView(tally, console)
    return PlainView(tally, console)


class DecodingBar:
    """How far decoding is: a bar on a terminal, a few lines elsewhere, and a line when it is done.

    >>> DecodingBar(Console()).show(500, 500)
    decoded 500 images, once for this machine
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._lines = 0

    def show(self, done: int, total: int) -> None:
        """So many of all images have been decoded."""
        if done == total:
            self.stop()
            tell(self._console, f"decoded {total:,} images, once for this machine")
        elif self._console.is_terminal:
            self._bar = self._bar or self._new_bar()
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)
            self._bar.start()
        elif DECODING_LINES * done // total > self._lines:
            self._lines = DECODING_LINES * done // total
            tell(self._console, f"decoded {done:,} of {total:,} images")

    def stop(self) -> None:
        """Leaves no bar behind."""
        if self._bar is not None:
            self._bar.live.stop()
        self._bar, self._lines = None, 0

    def _new_bar(self) -> Progress:
        bar = Progress(
            TextColumn("decoding images"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        bar.add_task("")
        return bar


class Screen:
    """Shows on a console what those who work tell: decoding, lines, and the progress of studies.

    >>> with Screen(Console()) as screen:   # doctest: +SKIP
    ...     run_study(url, request, machine, host=host, tell=screen.tell)
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._decoding = DecodingBar(self._console)
        self._view: View = PlainView(None, self._console)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoding.stop()
        self._open.close()

    def tell(self, event: Event) -> None:
        """Shows what happens; of one study, from when it is opened, all of it in one view."""
        if isinstance(event, Decoding):
            self._decoding.show(event.done, event.total)
            return
        self._decoding.stop()
        match event:
            case Said(said):
                tell(self._console, said)
            case StudyOpened(finished, budget, best, direction):
                tally = new_tally(finished, budget, best, direction)
                self._view = self._open.enter_context(choose_view(tally, self._console))
            case _:
                self._view.show(event)


@dataclass(frozen=True)
class Page:
    """What one look of many has found: all of it for a terminal, and in lines for a log."""

    text: str
    lines: tuple[str, ...]


def show_pages(pages: Iterable[Page], console: Console) -> None:
    """On a terminal each page in the place of the one before; elsewhere the lines that the one
    before has not.
    """
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for page in pages:
                live.update(Text(page.text), refresh=True)
        return
    said: tuple[str, ...] = ()
    for page in pages:
        for each in page.lines:
            if each not in said:
                tell(console, each)
        said = page.lines


def new_tally(finished: int, budget: int, best: float | None, direction: Direction) -> Tally:
    """A tally on the process's monotonic clock."""
    return Tally(finished, budget, best, direction, time.monotonic)


def line(event: TrialFinished, tally: Tally | None) -> str:
    """One line for a finished trial."""
    value = "-" if event.value is None else f"{event.value:.4f}"
    reason = "" if event.reason is None else f" ({event.reason})"
    which = (
        f"trial {event.number}"
        if tally is not None
        else f"study {event.study} trial {event.number}"
    )
    return (
        f"{which} {event.outcome}{reason} {value} after {event.epochs} epochs: "
        f"{brief(event.parameters)}{'' if tally is None else _standing(tally)}"
    )


def _standing(tally: Tally) -> str:
    best = "" if tally.best is None else f", best {tally.best:.4f}"
    togo = tally.seconds_to_go()
    left = "" if togo is None or tally.finished >= tally.budget else f", {duration(togo)} to go"
    return f" [{tally.finished}/{tally.budget}{best}{left}]"


def _best(tally: Tally) -> str:
    if tally.best is None:
        return "best trial: none yet"
    which = "" if tally.best_number is None else f"{tally.best_number}, "
    return f"best trial: {which}{tally.best:.4f}"
