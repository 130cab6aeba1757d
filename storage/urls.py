"""Storage URLs: read as people write them, and shown without a password."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import StorageURLError
from storage.text import is_one_line

# Each kind of database has one driver here.
DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql"}
# URLs that people copy name some kinds otherwise.
OTHER_NAMES = {"postgres": "postgresql", "mariadb": "mysql"}
# A URL, or a shell that is given it, would not take these in the name of a file as they stand.
_READ_OTHERWISE = re.compile(r"""[%?\s'"\\`$&;|<>()*!#\[\]{}]""")


def parse_url(text: str) -> URL:
    """Reads a storage URL; blanks around it, as of an environment file with other ends of lines,
    are no part of it.

    Raises:
        StorageURLError: it is no URL, or of a database or driver that is not supported.
    """
    text = text.strip()
    if not is_one_line(unquote(text, errors="surrogateescape")):
        raise StorageURLError.unprintable(text)
    try:
        url = make_url(text)
        name, _, driver = url.drivername.partition("+")
    except (ArgumentError, ValueError):
        raise StorageURLError.unreadable(text) from None
    name = OTHER_NAMES.get(name, name)
    if name not in DRIVERS:
        raise StorageURLError.unsupported(name)
    if driver not in ("", DRIVERS[name]):
        raise StorageURLError.other_driver(
            url.drivername, f"{name}+{DRIVERS[name]}" if name != "sqlite" else name
        )
    if name == "sqlite":
        _check_file(url, text)
        return url.set(drivername=name)
    _check_server(url, text)
    return url.set(drivername=f"{name}+{DRIVERS[name]}")


def _check_file(url: URL, text: str) -> None:
    """Raises StorageURLError where another file, or none, would be opened than whoever wrote the
    URL means.
    """
    if "?" in text:
        raise StorageURLError.options_of_a_file(text)
    if (url.username, url.host, url.port) != (None, None, None):
        raise StorageURLError.host_of_a_file(text)
    file = url.database
    if file in (None, "", ":memory:"):
        raise StorageURLError.in_memory()
    if file.endswith("/"):
        raise StorageURLError.no_file(shown_url(url), "it ends with '/', as a folder")
    if file.startswith("~") and "/" in file:
        raise StorageURLError.home(shown_url(url))


def _check_server(url: URL, text: str) -> None:
    """Raises StorageURLError where a database is missing, or a password may stand where it would be
    shown.
    """
    place = text.partition("@")[2] if url.username is not None else text
    if "@" in place.partition("?")[0]:
        raise StorageURLError.at_sign(text)
    if url.port is not None and not 0 < url.port < 2**16:
        raise StorageURLError.unreadable(text)
    if not url.database:
        raise StorageURLError.no_database(shown_url(url))


def sqlite_path(url: URL) -> Path:
    """The file of a SQLite URL."""
    return Path(url.database or "").absolute()


def shown_url(url: URL) -> str:
    """The URL as a user may see it, and may give it again: without a password, also not one among
    its options.
    """
    if url.get_backend_name() == "sqlite":
        path = _READ_OTHERWISE.sub(lambda found: quote(found[0], safe=""), url.database or "")
        return f"sqlite:///{path}"
    return url.set(query={}).render_as_string(hide_password=True)
