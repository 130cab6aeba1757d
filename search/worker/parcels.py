"""Images that this worker has none of: whoever started it has them sent."""

import json
from multiprocessing.connection import Client
from pathlib import Path
from typing import Literal

from objectives.data.cache import divided, load_entry
from objectives.data.config import DataConfig
from objectives.data.images import ImageDataset, as_dataset
from objectives.errors import DataError, DataUnavailable


def open_parcel(config: DataConfig, study: str, counter: Path) -> ImageDataset:
    """The training and the validation split of a study, asked for at the socket `counter`.

    Raises DataError, DataUnavailable: as whoever sends it says.
    """
    return as_dataset(divided(config, load_entry(ask(counter, study, "train"), "train")))


def ask(counter: Path, study: str, split: Literal["train", "test"]) -> Path:
    """The folder that it was written to. Raises DataError, DataUnavailable."""
    try:
        with Client(str(counter), "AF_UNIX") as connection:
            connection.send_bytes(json.dumps({"study": study, "split": split}).encode())
            answer = json.loads(connection.recv_bytes())
    except (OSError, EOFError) as error:
        raise DataUnavailable(
            f"study {study!r}: its images were to be sent here, and nobody is there to send them:"
            " whoever started this worker is gone"
        ) from error
    if (refusal := answer.get("refused")) is not None:
        raise (DataError if answer["exit_code"] == 2 else DataUnavailable)(refusal)
    return Path(answer["folder"])
