"""What trials answer for each image of a split, as it is stored; numpy is loaded where it is read
or written.
"""

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, select

from storage.engine import Database, persistent
from storage.schema import optuna_trials, prediction, split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SplitName = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """What one network answers for the M images of a split, after its last epoch."""

    split: SplitName
    # The digest is of the images' pixels in their order, and of their labels.
    split_sha256: str
    # (M,): each image is of this class.
    labels: "NDArray[np.uint16]"
    # (M,): each image is taken for this class.
    classes: "NDArray[np.uint16]"
    # The probabilities have shape (M,): what each image is given of being what it is.
    true_probabilities: "NDArray[np.float16]"

    @property
    def right(self) -> "NDArray[np.bool_]":
        """Which images are classified rightly, (M,)."""
        right: NDArray[np.bool_] = self.classes == self.labels
        return right


def insert_predictions(
    connection: Connection, study_id: int, trial_id: int, found: SplitPredictions
) -> None:
    """Records them; the caller has locked the study, so that the labels of a split are written
    once.
    """
    of_split = (split.c.study_id == study_id) & (split.c.split_sha256 == found.split_sha256)
    if connection.execute(select(split.c.study_id).where(of_split)).first() is None:
        connection.execute(
            split.insert().values(
                study_id=study_id,
                split_sha256=found.split_sha256,
                labels=zlib.compress(found.labels.astype("<u2").tobytes()),
            )
        )
    narrow = "u1" if int(found.labels.max(initial=0)) < 256 > int(found.classes.max()) else "<u2"
    connection.execute(
        prediction.insert().values(
            trial_id=trial_id,
            split=found.split,
            split_sha256=found.split_sha256,
            classes=zlib.compress(found.classes.astype(narrow).tobytes()),
            true_probabilities=zlib.compress(found.true_probabilities.astype("<f2").tobytes()),
        )
    )


@persistent
def read_predictions(
    database: Database, study_id: int, name: SplitName, numbers: Collection[int] | None = None
) -> dict[int, SplitPredictions]:
    """What the study's trials, or those of `numbers`, answer on a split, by trial number; those
    that recorded nothing are left out.
    """
    with database.transactions.read() as connection:
        return select_predictions(connection, study_id, name, numbers)


def select_predictions(
    connection: Connection,
    study_id: int,
    name: SplitName,
    numbers: Collection[int] | None = None,
) -> dict[int, SplitPredictions]:
    """As `read_predictions`, within a transaction."""
    import numpy as np

    query = (
        select(optuna_trials.c.number, prediction, split.c.labels)
        .join(prediction, prediction.c.trial_id == optuna_trials.c.trial_id)
        .join(
            split,
            (split.c.study_id == optuna_trials.c.study_id)
            & (split.c.split_sha256 == prediction.c.split_sha256),
        )
        .where(optuna_trials.c.study_id == study_id, prediction.c.split == name)
        .order_by(optuna_trials.c.number)
    )
    if numbers is not None:
        query = query.where(optuna_trials.c.number.in_(numbers))
    found: dict[int, SplitPredictions] = {}
    for row in connection.execute(query):
        labels = np.frombuffer(zlib.decompress(row.labels), "<u2")
        packed = zlib.decompress(row.classes)
        kind = "u1" if len(packed) == len(labels) else "<u2"
        found[row.number] = SplitPredictions(
            name,
            row.split_sha256,
            labels,
            np.frombuffer(packed, kind).astype(np.uint16),
            np.frombuffer(zlib.decompress(row.true_probabilities), "<f2"),
        )
    return found
