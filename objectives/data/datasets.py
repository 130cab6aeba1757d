"""Every data set by its name in a spec.

One more is its reader, here, in `shipped` or in `published`, and its subject and shape in
`objectives.names`.
"""

from collections.abc import Callable
from pathlib import Path

from objectives.data import published, shipped
from objectives.data.folder import image_folder
from objectives.data.source import Source
from objectives.errors import DataError
from objectives.names import IMAGES_PREFIX, RESIZES, folder_of

READERS: dict[str, Callable[[Path], Source]] = {
    "mnist-5k": shipped.mnist_5k,
    "digits": shipped.digits,
    **published.READERS,
}


def find_source(
    dataset: str,
    data_root: Path,
    groups: str | None = None,
    resize: str = RESIZES[0],
    labels: str | None = None,
) -> Source:
    """The source of a data set by its name in a spec, downloaded below `data_root` if it is not
    there.

    `groups` says which images of a folder belong together (see groups.read_groups), `resize` how
    they come to one size (see image_file.fitted), and `labels` names the table of their classes
    (see labels.list_labelled).

    Raises DataError for a name or a folder that is wrong, DataUnavailable for what can neither be
    found nor downloaded.
    """
    if (folder := folder_of(dataset)) is not None:
        return image_folder(folder, groups, resize, labels)
    if dataset not in READERS:
        raise DataError(
            f'dataset "{dataset}": choose {", ".join(READERS)} or {IMAGES_PREFIX}FOLDER'
        )
    return READERS[dataset](data_root)
