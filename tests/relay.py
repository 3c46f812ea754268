"""A way to a server of the tests' own: it can be cut, lose what is said, or be encrypted."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.infra.authority import Authority

END_SECONDS = 30.0
T = TypeVar("T")


class Way:
    """One connection of a client, and the one made for it to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = (client, server)
        self.deaf = False
        """Nothing the server says reaches the client any more."""

    def end(self) -> None:
        """Cut it at once."""
        for end in self.ends:
            end.transport.abort()


class Relay:
    """Listens on the loopback and passes on what comes, both ways, until it is cut."""

    def __init__(
        self, there: int | Path, *, authority: Authority | None = None, negotiated: bool = False
    ) -> None:
        """Begin to listen.

        Args:
            there: The server: a port of 127.0.0.1, or a socket's file.
            authority: Whose certificate clients are shown; what they say is not encrypted if None.
            negotiated: Clients ask in PostgreSQL's words before they encrypt.
        """
        self._there = there
        self._tls: ssl.SSLContext | None = None
        if authority is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(authority.certificate, authority.key)
        self._negotiated = negotiated
        self._whole = True
        self._ways: set[Way] = set()
        self.port = 0
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(END_SECONDS)

    def cut(self) -> None:
        """End all connections; new ones are ended as soon as they are made."""
        self._run(self._cut())

    def mend(self) -> None:
        """Let through again."""
        self._whole = True

    def passes(self, data: bytes, *, to_server: bool, way: Way) -> bool:
        """Whether to send on what came; else the connection ends."""
        return to_server or not way.deaf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(END_SECONDS)

    async def _live(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        at_once = None if self._negotiated else self._tls
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=at_once)
        self.port = int(server.sockets[0].getsockname()[1])
        ready.set()
        await self._over.wait()
        server.close()
        await self._cut()

    async def _cut(self) -> None:
        self._whole = False
        for way in self._ways:
            way.end()
        await asyncio.sleep(0.05)  # for both sides of each to notice

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError, EOFError):
            if self._negotiated and self._tls is not None:
                await reader.readexactly(8)  # SSLRequest
                writer.write(b"S")
                await writer.start_tls(self._tls)
            if isinstance(self._there, Path):
                there = await asyncio.open_unix_connection(str(self._there))
            else:
                there = await asyncio.open_connection("127.0.0.1", self._there)
            way = Way(writer, there[1])
            self._ways.add(way)
            await asyncio.gather(
                self._carry(reader, there[1], way, to_server=True),
                self._carry(there[0], writer, way, to_server=False),
            )
            self._ways.discard(way)

    async def _carry(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        way: Way,
        *,
        to_server: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not self.passes(data, to_server=to_server, way=way):
                    break
                target.write(data)
                await target.drain()
        way.end()
