"""Predictions of any number of files: decoded in parallel, answered in batches, told in order."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from objectives.data.image_file import Unread, read_pixels
from objectives.data.pixels import PixelScale
from objectives.processor import usable_cores
from search.export.config import Pixels
from search.export.model import Model
from search.export.walking import ImageToRead

# So many images are answered at a time.
BATCH = 64


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

    Two batches are held at a time, decoded or being decoded, whatever the number of images.
    """
    decoded = _decoded(iter(images), model.answering.pixels, ahead=2 * batch)
    while some := list(islice(decoded, batch)):
        yield from _of_batch(model, some, top, unsure)


_Decoded = tuple[ImageToRead, NDArray[np.uint8] | str]


def _of_batch(model: Model, some: list[_Decoded], top: int, unsure: float) -> Iterator[Prediction]:
    read = [found for _, found in some if not isinstance(found, str)]
    answers: Iterator[NDArray[np.float32]] = iter(model.answer(np.stack(read)) if read else ())
    names = model.answering.class_names
    for image, found in some:
        if isinstance(found, str):
            yield Prediction(str(image.path), (), given=image.given, error=found)
            continue
        shares = next(answers)
        order = np.argsort(-shares, kind="stable")[:top]
        yield Prediction(
            str(image.path),
            tuple((names[each], float(shares[each])) for each in order),
            is_unsure=bool(shares[order[0]] < unsure),
            given=image.given,
            given_probability=(
                None if image.given is None else float(shares[names.index(image.given)])
            ),
        )


def _decoded(images: Iterator[ImageToRead], pixels: Pixels, ahead: int) -> Iterator[_Decoded]:
    """Each image with its pixels (C, H, W), or why there are none."""
    scales = {scale.kind: scale for scale in pixels.scales}
    under_way: deque[tuple[ImageToRead, Future[NDArray[np.uint8] | str]]] = deque()
    pool = ThreadPoolExecutor(usable_cores())
    try:
        for image in images:
            under_way.append((image, pool.submit(_read, image, pixels, scales)))
            if len(under_way) >= ahead:
                first, future = under_way.popleft()
                yield first, future.result()
        while under_way:
            first, future = under_way.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(
    image: ImageToRead, pixels: Pixels, scales: dict[str, PixelScale]
) -> NDArray[np.uint8] | str:
    into = np.empty(pixels.shape, dtype=np.uint8)
    try:
        found = read_pixels(image.path, into, scales, pixels.resize)
    except OSError as error:
        return error.strerror or str(error)
    return found.reason if isinstance(found, Unread) else into
