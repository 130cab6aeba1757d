"""doctor: is this machine ready to work?"""

import os

import typer

from search.cli.context import data_folder, files_of, settings, storage_url
from search.cli.option_groups import VerbosityOptions, with_option_groups
from search.cli.options import (
    ArtifactRootOption,
    DataRootOption,
    JsonOption,
    StorageOption,
)


@with_option_groups
def doctor(
    data_root: DataRootOption = None,
    artifact_root: ArtifactRootOption = None,
    storage: StorageOption = None,
    json: JsonOption = False,
    *,
    verbosity: VerbosityOptions,
) -> None:
    """Look at Python, packages, devices, storage and folders: each is good, or has its mend beside
    it.
    """
    verbosity.take_effect()
    from search.machine.checkup import examine
    from search.machine.findings import worst_exit_code
    from search.machine.folders import FolderUnknown
    from search.report.doctor_output import doctor_document, finding_text
    from search.report.documents import to_json
    from storage.errors import StorageURLError

    known = settings()
    try:
        artifacts: str | FolderUnknown | None = files_of(storage, artifact_root).artifact_root
    # An unknown folder is one of the findings, as what follows.
    except FolderUnknown as error:
        artifacts = error
    except StorageURLError:
        artifacts = artifact_root
    findings = []
    roots = (data_folder(data_root) or known.data_root, known.cache_root, known.division_root)
    for finding in examine(storage_url(storage), *roots, artifacts, os.environ):
        findings.append(finding)
        if not json:
            # Each is shown at once, as PyTorch takes seconds to load.
            print(finding_text(finding), flush=True)
    if json:
        print(to_json(doctor_document(findings)))
    raise typer.Exit(worst_exit_code(findings))
