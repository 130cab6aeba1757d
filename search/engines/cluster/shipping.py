"""Images that go from this machine to the nodes, through Ray's object store."""

import os
from dataclasses import dataclass
from pathlib import Path

import ray

from objectives.data.cache import Opened, open_split
from objectives.data.config import DataConfig
from objectives.data.parcels import packed, parcel_name
from search.engines.cluster.counter import Want
from search.engines.cluster.messages import Where
from search.machine.folders import needed
from search.machine.settings import Settings
from search.machine.this_machine import Machine
from search.spec.definition import stored_spec
from search.studies.data_location import find_data
from search.worker.readings import test_parcel
from storage.engine import open_database
from storage.studies import find_study


@dataclass(frozen=True)
class Parcel:
    """A split of a data set in the object store."""

    name: str
    content: "ray.ObjectRef[Opened]"


class Shipping:
    """What was sent is in the object store once, for all nodes.

    >>> Shipping(url, where).parcel(Want("mnist-5k", "train"))      # doctest: +SKIP
    """

    def __init__(self, url: str, where: Where) -> None:
        self._url = url
        settings = Settings.from_environment(os.environ)
        self._machine: Machine = settings.machine(
            settings.files(url, None),
            data_root=None if where.data_root is None else Path(where.data_root),
            data_map={stored: Path(here) for stored, here in where.data_map.items()},
            accept_data=where.accepts_any,
        )
        self._sent: dict[str, Parcel] = {}

    def parcel(self, want: Want) -> Parcel:
        """What is wanted, decoded here if need be.

        Raises:
            StudyNotFound, DataError, DataUnavailable, OtherData, StorageUnavailable: it is not to
                be had.
            TestSplitRefused: it is a test split, and the study no confirmation.
        """
        machine = self._machine

        def open_data(config: DataConfig) -> Opened:
            return open_split(
                config,
                "train",
                needed(machine.data_root),
                needed(machine.cache_root),
                lambda done, total: None,
            )

        with open_database(self._url) as database:
            stored = find_study(database, want.study)
        config, opened = find_data(stored_spec(stored), stored, machine, open_data)
        name = parcel_name(config, opened.facts.fingerprint, want.split)
        if name not in self._sent:
            content = opened if want.split == "train" else test_parcel(config, stored, machine)
            self._sent[name] = Parcel(name, ray.put(packed(content)))
        return self._sent[name]
