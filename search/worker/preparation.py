"""Data made ready before anything depends on it: found, decoded, and enough for both splits; no
torch.
"""

from typing import TYPE_CHECKING

from objectives.data.config import DataConfig
from search.machine.folders import needed
from search.machine.this_machine import Machine
from search.spec.study_spec import StudySpec
from search.studies.data_location import find_data
from search.worker.events import Decoding, Said, Tell
from storage.studies import StoredStudy

if TYPE_CHECKING:
    from objectives.data.cache import Searchable
    from objectives.data.source import DataFacts


def prepare_data(
    spec: StudySpec, machine: Machine, tell: Tell, stored: StoredStudy | None = None
) -> "DataFacts | None":
    """Decodes the study's images unless this machine has them decoded already, and tells how far it
    is.

    `stored` is the study's row, where there is one. Returns what the images are known by; made-up
    curves have none.

    Raises:
        DataError, DataUnavailable: the data cannot be used, or is not to be had.
        OtherData: it is not what the study was trained on so far.
    """
    if spec.data.dataset == "synthetic":
        return None
    from objectives.data.cache import open_searchable

    def show(done: int, total: int) -> None:
        tell(Decoding(done, total))

    def open_data(config: DataConfig) -> "Searchable":
        return open_searchable(config, needed(machine.data_root), needed(machine.cache_root), show)

    config, opened = find_data(spec, stored, machine, open_data)
    if config != spec.data:
        tell(Said(f"data set {spec.data.dataset}: taken from {config.dataset}"))
    return opened.facts
