"""How this machine is to work, as the options say."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from search.cli.context import data_folder, files_of, settings, storage_url
from search.cli.option_groups import KeptOptions, PlaceOptions, WorkerOptions
from search.cli.reading import parse_data_map, read_count

if TYPE_CHECKING:
    from search.machine.this_machine import Machine


def training_machine(workers: WorkerOptions, place: PlaceOptions, url: str) -> "Machine":
    """The machine that trains the studies of this storage. Raises CommandLineError, DeviceError."""
    from objectives.device_name import check_device_name
    from search.machine.settings import check_openmp

    check_device_name(workers.device)
    check_openmp(os.environ)
    machine = settings().machine(
        files_of(url, place.artifact_root),
        data_root=data_folder(place.data.data_root),
        device=workers.device,
        threads=read_count("--threads", workers.threads),
        data_map=parse_data_map(place.data.data_map),
        accept_data=place.accept_data,
    )
    return replace(machine, own_process=True)


def looking_machine(kept: KeptOptions) -> "Machine":
    """The machine that looks at a study's images and at the files of its trials. Raises
    CommandLineError.
    """
    return settings().machine(
        files_of(storage_url(kept.storage), kept.artifact_root),
        data_root=data_folder(kept.data.data_root),
        device="cpu",
        data_map=parse_data_map(kept.data.data_map),
    )
