"""Which data the trials of a study are trained on: recorded with the first of them, and the same
for all others.

A table that ranks trials of different images means nothing. So the transaction that takes a trial,
in which the study's row is locked, compares what the worker would train on with what the study has.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, select, update

from storage.errors import OtherData
from storage.schema import optuna_trials, study
from storage.studies import StoredStudy


@dataclass(frozen=True)
class TrainingData:
    """What a worker would train the trials of a study on."""

    # The user knows the data by this name.
    name: str
    fingerprint: str
    # The scales are JSON; see objectives.data.pixels.
    pixel_scales: str
    # The user has given this fingerprint up for the other one.
    instead_of: str | None = None

    @property
    def has_pixel_scales(self) -> bool:
        """Whether some pixels are not 8 bits, and were made so."""
        return self.pixel_scales != "[]"


@dataclass(frozen=True)
class DataChange:
    """A study that had trials has another fingerprint since this one was taken."""

    # Trials from before fingerprints were recorded have none.
    before: str | None


def settle_data(
    connection: Connection,
    stored: StoredStudy,
    row: Row[tuple[object, ...]],
    data: TrainingData | None,
) -> DataChange | None:
    """Records the data with the study whose locked row this is, if it has none yet, or if the user
    lets it change.

    What the user has given up is one fingerprint: of two workers that bring different data in its
    place, the second is refused, and none takes the study back from the other. Without data
    (`None`) nothing is compared.

    Raises:
        OtherData: the study is on another fingerprint.
    """
    if data is None or row.data_fingerprint == data.fingerprint:
        return None
    if row.data_fingerprint is not None and row.data_fingerprint != data.instead_of:
        raise OtherData(stored.name, row.data_fingerprint, data.name, data.fingerprint)
    connection.execute(
        update(study)
        .where(study.c.study_id == stored.study_id)
        .values(data_fingerprint=data.fingerprint, pixel_scales=data.pixel_scales)
    )
    trials = select(func.count()).where(optuna_trials.c.study_id == stored.study_id)
    return DataChange(row.data_fingerprint) if connection.scalar(trials) else None
