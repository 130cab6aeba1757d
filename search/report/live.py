"""What the terminal shows while a study works or is watched: a live view, or plain lines."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from search.report.console import tell
from search.report.tally import Tally, line, new_tally
from search.report.trainings import purpose_of, shown_value
from search.report.values import brief
from search.spec.durations import duration
from search.worker.events import (
    Decoding,
    EpochFinished,
    Event,
    FollowUpTraining,
    Running,
    Said,
    StudyLeft,
    StudyOpened,
    TrialFinished,
    TrialStarted,
    Waiting,
    WorkerEvent,
)

# Decoding takes so many lines in all, where no bar can be drawn.
DECODING_LINES = 4


class View(Protocol):
    """Shows the events of a worker."""

    def show(self, event: WorkerEvent) -> None: ...
    def __enter__(self) -> "View": ...
    def __exit__(self, *_: object) -> None: ...


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
            case TrialStarted() | Running() if self._tally is not None:
                self._tally.follow(event)
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
            TextColumn("trials" if tally.standings is None else "trainings"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=console,
        )
        self._task = self._progress.add_task("", total=tally.budget, completed=tally.finished)
        self._running = Text("")
        self._known = Text(tally.known)
        # The trial that runs in this process.
        self._started: TrialStarted | None = None
        self._live = Live(
            Group(self._progress, self._running, self._known), console=console, refresh_per_second=4
        )

    def __enter__(self) -> "LiveView":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, event: WorkerEvent) -> None:
        """Redraws what the event changes."""
        match event:
            case TrialStarted():
                self._follow(event)
                self._started = event
                self._running.plain = f"{_name(event.number, event.training)}{self._parameters()}"
            case EpochFinished():
                self._running.plain = self._epoch(event)
            case TrialFinished():
                self._tally.add(event)
                self._known.plain = self._tally.known
                togo = self._tally.seconds_to_go()
                self._progress.update(
                    self._task,
                    completed=self._tally.finished,
                    description="" if togo is None else f"{duration(togo)} to go",
                )
            case Waiting(reason):
                self._running.plain = f"waiting: {reason}"
            case Running():
                self._follow(event)
                self._running.plain = "\n".join(
                    f"{_name(trial.number, event.trainings.get(trial.number))}: epoch"
                    f" {trial.epoch}, worker {(trial.worker or 'none')[:8]} on {trial.host}"
                    for trial in event.trials
                )

    def _follow(self, event: TrialStarted | Running) -> None:
        self._tally.follow(event)
        self._progress.update(self._task, total=self._tally.budget)

    def _epoch(self, event: EpochFinished) -> str:
        training = None if self._started is None else self._started.training
        value = f"{event.value:.4f}" if training is None else shown_value(event.value, training)
        rate = f"{event.measurement.images_per_second:,.0f} images/s"
        name = _name(event.number, training)
        return f"{name}: epoch {event.measurement.epoch}, {value}, {rate}{self._parameters('; ')}"

    def _parameters(self, before: str = ": ") -> str:
        # What a training of a follow-up is for says more than they do.
        if self._started is None or self._started.training is not None:
            return ""
        return f"{before}{brief(self._started.parameters)}"


def _name(number: int, training: FollowUpTraining | None) -> str:
    return f"trial {number}" if training is None else purpose_of(training)


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
            case StudyOpened():
                view = choose_view(new_tally(event), self._console)
                self._view = self._open.enter_context(view)
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
