"""A whole run of predictions: written as they are made, counted, judged."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from search.export.errors import ImagesRefused, NothingRead
from search.export.judging import Judgement
from search.export.lines import Csv, JsonDocument, Lines, Summary, Suspects, Text, Unsure
from search.export.model import Model
from search.export.predicting import BATCH, Prediction, predictions
from search.export.walking import ImageToRead, count_images, find_images, find_labelled
from search.spec.durations import duration
from storage.text import on_one_line

# Lines of progress are so far apart.
SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class Asked:
    """What is asked of a run."""

    # So many of the likeliest classes are answered.
    top: int = 1
    # Answers with less than this probability are marked.
    unsure: float | None = None
    # Folders say the class of their files.
    labelled: bool = False
    # So many files with the least likely given class are listed in place of the answers.
    suspects: int = 0
    # So many images are answered at a time.
    batch: int = BATCH

    def lines(self, form: str) -> Lines:
        """How they are written: as text, csv or json."""
        if self.suspects:
            return Suspects()
        marks = self.unsure is not None
        if form == "csv":
            return Csv(self.top, marks=marks, labelled=self.labelled)
        return JsonDocument(marks=marks) if form == "json" else Text()


def find(model: Model, places: Sequence[Path], asked: Asked) -> Iterator[ImageToRead]:
    """The images of these places. Raises ImagesRefused where there is none, and what find_images
    and find_labelled raise.
    """
    found = (
        find_labelled(places, model.answering.class_names)
        if asked.labelled
        else find_images(places)
    )
    first = next(found, None)
    if first is None:
        names = [str(place) for place in places]
        raise ImagesRefused.none_labelled(names) if asked.labelled else ImagesRefused.none(names)
    yield first
    yield from found


def predict_all(
    model: Model,
    places: Sequence[Path],
    asked: Asked,
    lines: Lines,
    *,
    write: Callable[[str], object],
    say: Callable[[str], None],
    clock: Callable[[], float],
) -> Summary:
    """Predicts every image of these places, in memory that does not grow with their number.

    `write` is given the results, `say` what could not be read, how far it is, and what the limit of
    probability meant on the validation images.

    Raises NothingRead where no file could be read, and what `find` raises.
    """
    judgement = Judgement(model.answering.class_names, asked.suspects) if asked.labelled else None
    progress = _Progress(lambda: count_images(find(model, places, asked)), say, clock)
    read = unreadable = unsure = 0
    images = find(model, places, asked)
    # The first image is taken early: what is refused is refused before anything is written.
    first = next(images)
    write(lines.begin())
    for prediction in predict_some(model, chain([first], images), asked):
        if prediction.error is not None:
            unreadable += 1
            say(f"{on_one_line(prediction.path)}: not read: {prediction.error}")
        read += prediction.error is None
        unsure += prediction.is_unsure
        if judgement is not None:
            judgement.add(prediction)
        write(lines.one(prediction))
        progress.done(read + unreadable)
    met = None if asked.unsure is None else _unsure(model, asked.unsure, unsure)
    summary = Summary(read, unreadable, met, judgement)
    write(lines.end(summary))
    if met is not None:
        say(f"unsure: {met}")
    if unreadable:
        say(f"{unreadable:,} of {read + unreadable:,} files could not be read")
    if not read:
        raise NothingRead(unreadable)
    return summary


def predict_some(model: Model, images: Iterator[ImageToRead], asked: Asked) -> Iterator[Prediction]:
    """One after another: see predictions."""
    return predictions(model, images, top=asked.top, unsure=asked.unsure or 0.0, batch=asked.batch)


def _unsure(model: Model, below: float, images: int) -> Unsure:
    return Unsure(below, model.answering.calibration.below(below), images)


class _Progress:
    # Every few seconds a line says how far it is. How many there are is counted once there is
    # something to say.
    def __init__(
        self, count: Callable[[], int], say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._count, self._say, self._clock = count, say, clock
        self._total: int | None = None
        self._started = self._said = clock()

    def done(self, images: int) -> None:
        now = self._clock()
        if now - self._said < SECONDS_BETWEEN_LINES:
            return
        if self._total is None:
            self._total = self._count()
        left = (now - self._started) / images * (self._total - images)
        self._say(f"{images:,} of {self._total:,} images, {duration(left)} to go")
        self._said = self._clock()
