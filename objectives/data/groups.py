"""Which images belong together: frames of a burst or a video, pictures of one patient; no torch.

A network recognizes the patient as easily as the illness: where images of one group stand on both
sides of a split, the score says little of new patients.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from objectives.data.config import names_a_table
from objectives.data.listing import ImageFile, printable, some
from objectives.data.table import below, read_rows
from objectives.errors import DataError

HEADER = ("path", "group")


def read_groups(groups: str, folder: Path, files: Sequence[ImageFile]) -> tuple[str, ...]:
    """The group of each file: by a regular expression, searched for in its path below `folder`, or
    by a CSV's rows.

    Of the expression the first group in brackets names the group. The CSV lies in `folder` unless
    its path is absolute; its columns are path (below `folder`) and group, under these names or in
    this order.

    Raises DataError for a file without a group, or a CSV that is not there or not so;
    DataUnavailable for one that the system will not open.
    """
    names = [file.name for file in files]
    found: list[str | None]
    if names_a_table(groups):
        table = _read_table(folder / groups)
        found = [table.get(name) for name in names]
    else:
        matches = (re.search(groups, name) for name in names)
        found = [match[1] if match else None for match in matches]
    without = [name for name, group in zip(names, found, strict=True) if not group]
    if without:
        raise DataError(
            f'data.groups "{printable(groups)}": {len(without)} of {len(names)} images have no'
            f" group: {some(without)}; mend it so that each has one"
        )
    return tuple(group for group in found if group)


def _read_table(path: Path) -> dict[str, str]:
    """Group by path, as a CSV has them."""
    rows = read_rows(path, "data.groups")
    at = (0, 1)
    if rows and set(HEADER) <= {cell.lower() for cell in rows[0][1]}:
        header = [cell.lower() for cell in rows.pop(0)[1]]
        at = (header.index(HEADER[0]), header.index(HEADER[1]))
    groups: dict[str, str] = {}
    for number, row in rows:
        if len(row) <= max(at):
            raise DataError(
                f"{path}: row {number} has {len(row)} columns; write path and group in each"
            )
        name, group = below(row[at[0]]), row[at[1]]
        if groups.setdefault(name, group) != group:
            raise DataError(
                f'{path}: "{printable(name)}" is in two groups (row {number}); leave one out'
            )
    return groups
