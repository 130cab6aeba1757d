"""Predictions of any number of files: read and answered in batches, side by side, told in order."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Semaphore

import numpy as np
from numpy.typing import NDArray

from objectives.data.image_file import Unread, decode
from objectives.data.pixels import PixelScale
from objectives.processor import usable_cores
from search.export.config import Pixels
from search.export.model import Model
from search.export.walking import ImageToRead

# So many images are answered at a time.
BATCH = 32
# More threads than so many read no faster than one device answers.
MOST_READING = 16


@dataclass(frozen=True)
class Prediction:
    """What a file shows, by the model; or why it could not be read."""

    path: str
    # Each pair is a name and its probability, the likeliest first.
    classes: tuple[tuple[str, float], ...]
    # The likeliest class has less probability than was asked for.
    is_unsure: bool = False
    # The given class is the one that the file's folder says.
    given: str | None = None
    # The probability is that of the given class.
    given_probability: float | None = None
    error: str | None = None

    @property
    def predicted(self) -> str:
        """The likeliest class. Raises IndexError for a file that could not be read."""
        return self.classes[0][0]


def predictions(
    model: Model,
    images: Iterable[ImageToRead],
    *,
    top: int = 1,
    unsure: float = 0.0,
    batch: int = BATCH,
) -> Iterator[Prediction]:
    """One of each image, in their order, with the `top` likeliest classes; those with less
    probability than `unsure` are marked.

    Batches are read and answered side by side: one more than there are threads is held at a time,
    whatever the number of images.
    """
    asking = Semaphore(model.at_once)
    scales = {scale.kind: scale for scale in model.answering.pixels.scales}

    def of_batch(some: Sequence[ImageToRead]) -> list[Prediction]:
        found = [_read(image, model.answering.pixels, scales) for image in some]
        read = [each for each in found if not isinstance(each, str)]
        with asking:
            answers = model.answer(np.stack(read)) if read else np.empty((0, 0), np.float32)
        rows = iter(answers)
        return [
            Prediction(str(image.path), (), given=image.given, error=each)
            if isinstance(each, str)
            else _prediction(image, next(rows), model.answering.class_names, top, unsure)
            for image, each in zip(some, found, strict=True)
        ]

    threads = min(usable_cores(), max(model.at_once, MOST_READING))
    under_way: deque[Future[list[Prediction]]] = deque()
    pool = ThreadPoolExecutor(threads)
    todo = iter(images)
    try:
        while some := list(islice(todo, batch)):
            under_way.append(pool.submit(of_batch, some))
            if len(under_way) > threads:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prediction(
    image: ImageToRead,
    shares: NDArray[np.float32],
    names: Sequence[str],
    top: int,
    unsure: float,
) -> Prediction:
    order = np.argsort(-shares, kind="stable")[:top]
    return Prediction(
        str(image.path),
        tuple((names[each], float(shares[each])) for each in order),
        is_unsure=bool(shares[order[0]] < unsure),
        given=image.given,
        given_probability=(
            None if image.given is None else float(shares[names.index(image.given)])
        ),
    )


def _read(
    image: ImageToRead, pixels: Pixels, scales: dict[str, PixelScale]
) -> NDArray[np.uint8] | str:
    into = np.empty(pixels.shape, dtype=np.uint8)
    try:
        content = image.path.read_bytes()
    except OSError as error:
        return error.strerror or str(error)
    found = decode(content, into, scales, pixels.resize)
    return found.reason if isinstance(found, Unread) else into
