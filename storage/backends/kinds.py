"""The kinds of databases, by the names that URLs have for them."""

from sqlalchemy import URL

from storage.backends.contract import Backend
from storage.backends.servers import MySQL, PostgreSQL
from storage.backends.sqlite import SQLite

BACKENDS: dict[str, Backend] = {"sqlite": SQLite(), "postgresql": PostgreSQL(), "mysql": MySQL()}


def backend(url: URL) -> Backend:
    """The kind of database that `storage.urls.parse_url` has accepted."""
    return BACKENDS[url.get_backend_name()]
