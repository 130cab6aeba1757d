"""optuna-dashboard on a storage, looking only: it has no users and would let anyone delete studies."""

import ipaddress
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from storage.errors import ArtifactsUnavailable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from optuna.storages import BaseStorage

    from storage.artifacts import ArtifactStore


class NotLoopback(Exception):
    """The dashboard is asked to listen where others reach it."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"--host {host}: the dashboard has no passwords and listens on this machine alone; "
            "from elsewhere use a tunnel: ssh -L 8080:127.0.0.1:8080 this-machine"
        )


def looking_only(app: "WSGIApplication") -> "WSGIApplication":
    """The same pages, with every request that would change something refused, and pages of other sites shut out."""

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").rsplit(":", 1)[0].strip("[]")
        if not is_loopback(host):  # a name that was pointed at this machine: DNS rebinding
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this dashboard answers on loopback names alone"]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Content-Type", "text/plain"), ("Allow", "GET, HEAD")])
            return [b"this dashboard is for looking only"]
        return app(environ, start_response)

    return guarded


def is_loopback(host: str) -> bool:
    """Whether the name or address is of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Shown:
    # What the dashboard's pages read artifacts from: one that cannot be read is told in a line, not by a traceback.

    def __init__(self, store: "ArtifactStore") -> None:
        self._store = store

    def open_reader(self, artifact_id: str) -> BinaryIO:
        from bottle import HTTPResponse  # what the dashboard answers with
        from optuna.artifacts.exceptions import ArtifactNotFound

        text = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            return self._store.open_reader(artifact_id)
        except ArtifactNotFound:
            raise HTTPResponse(f"artifact {artifact_id} is not in {self._store.root}\n", 404, text) from None
        except ArtifactsUnavailable as error:
            raise HTTPResponse(f"{error}\n", 503, text) from None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(
    storage: "BaseStorage",
    host: str,
    port: int,
    ready: Callable[[str], None],
    artifact_store: "ArtifactStore | None" = None,
) -> None:
    """Serves until interrupted; calls `ready` with the address. `storage` should be Optuna's cached one.

    Trials show their artifacts where `artifact_store` is the one that holds them.

    Raises:
        NotLoopback: the host is reached by others.
        OSError: the port is taken.
    """
    if not is_loopback(host):
        raise NotLoopback(host)
    from optuna_dashboard import wsgi

    app = looking_only(wsgi(storage, artifact_store and _Shown(artifact_store)))
    with make_server(host, port, app, server_class=_Server, handler_class=_Quiet) as server:
        ready(f"http://{host}:{server.server_port}/dashboard")
        server.serve_forever()
