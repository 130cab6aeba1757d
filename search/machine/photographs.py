"""What to compare a search on photographs with, said where this machine has decoded some."""

from objectives.data.cache import shapes_in
from objectives.names import BACKBONES, is_photographic
from search.machine.findings import Finding
from search.machine.folders import FolderUnknown, Place


def photographs_finding(cache_root: Place) -> Finding | None:
    """Which decoded data sets are photographs, and how a user learns whether a network that others
    have trained is better on them than a search; `None` where there are none.
    """
    if isinstance(cache_root, FolderUnknown):
        return None
    names = [name for name, shape in shapes_in(cache_root).items() if is_photographic(shape)]
    if not names:
        return None
    are = "are photographs" if len(names) > 1 else "holds photographs"
    return Finding(
        "pretrained reference",
        f"{', '.join(names)} {are}: 'hypersearch confirm NAME --baseline pretrained' tells whether"
        f" a network that others have trained beats a search on them{_weights()}",
    )


def _weights() -> str:
    from objectives.backbone import torchvisions_file

    name = BACKBONES[0]
    if (file := torchvisions_file(name)) is not None:
        return f"; the weights of {name} are in {file.parent}"
    return f"; it downloads the weights of {name}, or takes them from --weights FILE"
