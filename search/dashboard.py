"""optuna-dashboard on a storage, looking only: it has no users and would let anyone delete
studies.
"""

import errno
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from storage.errors import ArtifactsUnavailable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from optuna.storages import BaseStorage

    from storage.artifact_store import ArtifactStore
    from storage.engine import Database

STUDY_PATH = re.compile(r"/api/studies/([0-9]{1,18})(?![^/])")


class NotLoopback(Exception):
    """The dashboard is asked to listen where others reach it."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"--host {host}: the dashboard has no passwords and listens on this machine alone; "
            "from elsewhere use a tunnel: ssh -L 8080:127.0.0.1:8080 this-machine"
        )


class CannotListen(Exception):
    """This machine does not let the dashboard listen there. Exit code 3."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        match error.errno:
            case errno.EADDRINUSE:
                why = "another program listens there: name another --port, or 0 for a free one"
            case errno.EACCES | errno.EPERM:
                why = (
                    "this user may not listen on that port: name one from 1024 on, or 0 for a"
                    " free one"
                )
            case _ if error.errno in NO_SUCH_ADDRESS or isinstance(error, socket.gaierror):
                why = "this machine has no such address: name another --host, as 127.0.0.1"
            case _:
                why = f"{error.strerror or error}: name another --host or --port"
        super().__init__(f"the dashboard cannot listen on {in_url(host)}:{port}: {why}")


# IPv6 is not there, or switched off.
NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def looking_only(app: "WSGIApplication") -> "WSGIApplication":
    """The same pages, with every request that would change something refused, and pages of other
    sites shut out.
    """

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # A name may have been pointed at this machine: DNS rebinding.
        if not is_loopback(_asked_host(environ)):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this dashboard answers on loopback names alone"]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response(
                "405 Method Not Allowed", [("Content-Type", "text/plain"), ("Allow", "GET, HEAD")]
            )
            return [b"this dashboard is for looking only"]
        return app(environ, start_response)

    return guarded


def with_late_artifacts(
    app: "WSGIApplication", refresh: Callable[[int], None]
) -> "WSGIApplication":
    """The same pages; `refresh` is called with the id of the study that is asked about."""

    def refreshed(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if asked := STUDY_PATH.match(environ.get("PATH_INFO", "")):
            refresh(int(asked[1]))
        return app(environ, start_response)

    return refreshed


def refresh_artifacts(database: "Database", storage: "BaseStorage", study_id: int) -> None:
    """Has trials in Optuna's cache, which keeps those that have ended as they were, name their
    pictures drawn since.
    """
    from storage.artifact_names import read_artifact_attributes
    from storage.errors import StorageUnavailable

    # The page says what is wrong.
    with suppress(KeyError, StorageUnavailable):
        late = read_artifact_attributes(database, study_id)
        for trial in storage.get_all_trials(study_id, deepcopy=False):
            if trial.number in late:
                trial.system_attrs = {**trial.system_attrs, **late[trial.number]}


def _asked_host(environ: "WSGIEnvironment") -> str:
    try:
        return urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or ""
    # The host may have a bracket without its other.
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether the name or address is of this machine alone."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def in_url(host: str) -> str:
    """As it stands before the port.

    >>> in_url("::1"), in_url("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host


class _Shown:
    # The dashboard's pages read artifacts from it: one that cannot be read is told in a line, not
    # by a traceback.

    def __init__(self, store: "ArtifactStore") -> None:
        self._store = store

    def open_reader(self, artifact_id: str) -> BinaryIO:
        # The dashboard answers with bottle.
        from bottle import HTTPResponse
        from optuna.artifacts.exceptions import ArtifactNotFound

        text = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            return self._store.open_reader(artifact_id)
        except ArtifactNotFound:
            raise HTTPResponse(
                f"artifact {artifact_id} is not in {self._store.root}\n", 404, text
            ) from None
        except ArtifactsUnavailable as error:
            raise HTTPResponse(f"{error}\n", 503, text) from None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # The one of HTTPServer asks the network for this machine's name.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = (
            str(self.server_address[0]),
            int(self.server_address[1]),
        )
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(
    storage: "BaseStorage",
    host: str,
    port: int,
    ready: Callable[[str], None],
    artifact_store: "ArtifactStore | None" = None,
    refresh: Callable[[int], None] = lambda study_id: None,
) -> None:
    """Serves until interrupted; calls `ready` with the address. `storage` should be Optuna's cached
    one.

    Trials show their artifacts where `artifact_store` is the one that holds them. `refresh` is
    called with the id of each study that is asked about.

    A name that has several addresses, as localhost may have of IPv4 and of IPv6, is served on all.

    Raises:
        NotLoopback: the host is reached by others.
        CannotListen: the port is taken, or not for this user, or the host not of this machine.
    """
    host = host.removeprefix("[").removesuffix("]")
    if not is_loopback(host):
        raise NotLoopback(host)
    from optuna_dashboard import wsgi

    pages = wsgi(storage, artifact_store and _Shown(artifact_store))
    app = looking_only(with_late_artifacts(pages, refresh))
    with ExitStack() as stack:
        first, *others = _listen(stack, host, port, app)
        for server in others:
            Thread(target=server.serve_forever, name="dashboard", daemon=True).start()
            stack.callback(server.shutdown)
        ready(f"http://{in_url(host)}:{first.server_port}/dashboard")
        first.serve_forever()


def _listen(stack: ExitStack, host: str, port: int, app: "WSGIApplication") -> list[_Server]:
    """One server for each address of the host, all on one port; the stack closes them."""
    servers: list[_Server] = []
    addresses = _addresses(host, port)
    for address in addresses:
        kind = _Server6 if ":" in address else _Server
        try:
            server = make_server(address, port, app, server_class=kind, handler_class=_Quiet)
        except OSError as error:
            # Where a name has several addresses, this machine need not have all.
            if error.errno in NO_SUCH_ADDRESS and (servers or address != addresses[-1]):
                continue
            raise CannotListen(host, port, error) from error
        servers.append(stack.enter_context(server))
        port = server.server_port
    return servers


def _addresses(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(host, port, error) from error
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if not all(is_loopback(address) for address in addresses):
        raise NotLoopback(host)
    return addresses
