"""Is this machine ready to work: what is here and how much of it, each part good or with its mend.
Creates nothing.

One more check is a function that returns a Finding, and its line in `examine`.
"""

from collections.abc import Iterator, Mapping

from search.machine.devices import accelerator_finding, division_finding, processor_finding
from search.machine.findings import Finding
from search.machine.folders import Place
from search.machine.photographs import photographs_finding
from search.machine.places import artifacts_finding, folder_finding
from search.machine.reachable_storage import storage_finding
from search.machine.software import package_findings, python_finding


def examine(
    storage_url: str,
    data_root: Place,
    cache_root: Place,
    division_root: Place,
    artifact_root: str | Place | None,
    environment: Mapping[str, str],
) -> Iterator[Finding]:
    """Looks at every part, one after another; without an artifact root (it goes by the storage's
    URL) at all others.
    """
    yield python_finding()
    yield from package_findings()
    yield processor_finding(environment)
    yield accelerator_finding()
    yield division_finding(division_root)
    yield storage_finding(storage_url)
    yield folder_finding("data folder", data_root)
    yield folder_finding("cache", cache_root)
    if (photographs := photographs_finding(cache_root)) is not None:
        yield photographs
    if isinstance(artifact_root, str):
        yield artifacts_finding(artifact_root)
    elif artifact_root is not None:
        yield folder_finding("artifact root", artifact_root)
