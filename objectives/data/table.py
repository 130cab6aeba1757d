"""A CSV that says something of each image, as spreadsheets and scripts write them."""

import csv
import io
from pathlib import Path

from objectives.data.listing import unreachable
from objectives.errors import DataError

DELIMITERS = ",;\t"


def read_rows(path: Path, setting: str) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, with their numbers from 1 on, each cell without spaces around.

    In UTF-8 with a byte order mark or without, lines ended in any way, cells in quotation marks or
    not, and between them the one of DELIMITERS that is most frequent in the first line. `setting`
    is what names the file.

    Raises DataError for a file that is not there or no such text, DataUnavailable for one that the
    system will not open.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(
            f"{path}: no such file; {setting} names a CSV in the folder of the images"
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no text in UTF-8; save it as such") from None
    except OSError as error:
        raise unreachable(error) from error
    first, *_ = text.splitlines() or [""]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise DataError(f"{path}: is no CSV ({error}); save it as one") from None
    cells = ([cell.strip() for cell in row] for row in rows)
    return [(number, row) for number, row in enumerate(cells, start=1) if any(row)]


def below(name: str) -> str:
    """A path below a folder as the listing has it, with /, whichever system wrote it.

    >>> below(".\\\\daisy\\\\1.jpg"), below("daisy//1.jpg")
    ('daisy/1.jpg', 'daisy/1.jpg')
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    root = "/" if name.startswith(("/", "\\")) else ""
    return root + "/".join(parts)


def leaves(name: str) -> bool:
    """Whether such a path (see below) is not of something in its folder.

    >>> [leaves(name) for name in ("a/b.png", "../b.png", "/a/b.png", "C:/b.png", "a/../b.png")]
    [False, True, True, True, True]
    """
    return name.startswith("/") or ".." in name.split("/") or name[1:3] == ":/"
