"""A proxy on loopback before a database server: it can pass a COMMIT on and keep the answer."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from lab.servers import free_port

Theft = Literal["unanswered", "answer lost"]


class AnswerThief:
    """Passes everything on, until it is armed; then it forwards the next COMMIT and no answer.

    "unanswered" calls `then` as soon as the COMMIT is on its way to the server; "answer lost" waits
    for the answer, so that the server has certainly committed, and closes both connections. Used as
    a context it listens inside.

    >>> with AnswerThief(5432, then=die) as thief:      # doctest: +SKIP
    ...     connect(port=thief.port)
    ...     thief.arm("answer lost")
    """

    def __init__(self, server_port: int, then: Callable[[], None]) -> None:
        self.port = free_port()
        self._server_port = server_port
        self._then = then
        self._armed: Theft | None = None
        self._listener = socket.create_server(("127.0.0.1", self.port))

    def __enter__(self) -> "AnswerThief":
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def arm(self, theft: Theft) -> None:
        """The answer to the next COMMIT is not passed on."""
        self._armed = theft

    def _accept(self) -> None:
        # The listener may be closed.
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stolen = threading.Event()
                for pump in (self._ask, self._answer):
                    threading.Thread(
                        target=pump, args=(client, server, stolen), daemon=True
                    ).start()

    def _ask(self, client: socket.socket, server: socket.socket, stolen: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                theft = self._armed if b"COMMIT" in data else None
                if theft is not None:
                    self._armed = None
                    stolen.set()
                server.sendall(data)
                if theft == "unanswered":
                    self._then()
        self._close(client, server)

    def _answer(
        self, client: socket.socket, server: socket.socket, stolen: threading.Event
    ) -> None:
        with suppress(OSError):
            while (data := server.recv(65536)) and not stolen.is_set():
                client.sendall(data)
        self._close(client, server)

    @staticmethod
    def _close(*ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
