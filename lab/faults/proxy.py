"""A TCP proxy on loopback that can be cut."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from lab.servers import free_port

CHUNK = 2**16


class Proxy:
    """Hands bytes on to a port of loopback, until it is cut.

    >>> with Proxy(server.port) as proxy:          # doctest: +SKIP
    ...     proxy.hold()       # a black hole: it accepts, and hands nothing on; nothing is lost
    ...     proxy.mend()
    ...     proxy.close_all()  # and refuses until mended
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def hold(self) -> None:
        """Nothing flows any more, and nobody is told."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def close_all(self) -> None:
        """Ends all connections, and new ones at once."""

        def close() -> None:
            self._refuses = True
            for writer in self._writers:
                writer.close()

        self._loop.call_soon_threadsafe(close)

    def mend(self) -> None:
        """All flows again."""

        def flow() -> None:
            self._refuses = False
            self._flows.set()

        self._loop.call_soon_threadsafe(flow)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._flows.set()
        server = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", self.port)
        )
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for writer in self._writers:
            writer.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.close()
            return
        await self._flows.wait()
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        self._writers -= {writer, back}

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()
