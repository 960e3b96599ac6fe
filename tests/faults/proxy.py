"""A TCP proxy that makes trouble on its way to a server: slow, silent, cut, reset, or with a lost answer.

It stands before S3, Redis and Postgres alike, on a port of its own; the server may listen on a port or a unix socket.
What trouble it makes may be changed at any time, from any thread.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_CHUNK = 16_384
_LOOK_S = 0.02
_READ_S = 0.5
"""After so long a client has read what it was sent."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What a proxy does to what passes through it; the default is none."""

    delay_s: float = 0.0  # before each piece of an answer
    bytes_per_s: float | None = None  # of answers, on each connection
    silent: bool = False  # nothing passes, and nobody is told; what was held back passes afterwards
    refuses: bool = False  # new connections are closed at once
    cut_after: int | None = None  # answers are cut after so many bytes of a connection, `times` of them
    lose_after: tuple[bytes, ...] = ()  # once these were sent, in this order, the answer is lost, `times` of them
    instead: bytes = b""  # what a request is answered with in the server's place, `times` of them
    times: int = 1


@dataclass
class Counters:
    """What a proxy has done so far."""

    connections: int = 0
    cut: int = 0
    lost: int = 0
    instead: int = 0


@dataclass(eq=False)
class _Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    answered: int = 0  # bytes
    stage: int = 0  # how many of the texts to lose an answer after were sent
    tail: bytes = b""
    losing: bool = False

    def break_off(self) -> None:
        """Reset the connection to the client and close the one to the server."""
        raw: socket.socket | None = self.client.get_extra_info("socket")
        if raw is not None:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for side in (self.client, self.server):
            side.transport.abort()


@dataclass
class Proxy:
    """A proxy before one server."""

    target: tuple[str, int] | Path
    trouble: Trouble = field(default_factory=Trouble)
    counters: Counters = field(default_factory=Counters)
    port: int = 0
    heard: Callable[[bytes], object] = lambda _: None  # is told of each piece of a request
    _links: set[_Link] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def break_all(self) -> None:
        """Reset every connection that there is now."""

        def broken() -> None:
            for link in tuple(self._links):
                link.break_off()

        self._loop.call_soon_threadsafe(broken)

    async def _accept(self, client_reads: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.counters.connections += 1
        server_reads, server = None, None
        if not self.trouble.refuses:
            with suppress(OSError):
                server_reads, server = await self._connected()
        if server_reads is None or server is None:
            client.transport.abort()
            return
        link = _Link(client=client, server=server)
        self._links.add(link)
        try:
            await asyncio.gather(self._requests(client_reads, link), self._answers(server_reads, link))
        except OSError:
            pass
        finally:
            link.break_off()
            self._links.discard(link)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection(*self.target)

    async def _requests(self, source: asyncio.StreamReader, link: _Link) -> None:
        while data := await source.read(_CHUNK):
            await self._audible()
            self._note(data, link)
            self.heard(data)
            answer, side = data, link.server
            if self.trouble.instead and self.counters.instead < self.trouble.times:
                self.counters.instead += 1
                answer, side = self.trouble.instead, link.client
            side.write(answer)
            await side.drain()
        raise ConnectionResetError

    async def _answers(self, source: asyncio.StreamReader, link: _Link) -> None:
        while data := await source.read(self._piece()):
            await self._audible()
            if link.losing:
                self.counters.lost += 1
                raise ConnectionResetError
            await self._wait(len(data))
            link.answered += len(data)
            cut_after = self.trouble.cut_after
            if cut_after is not None and link.answered > cut_after and self.counters.cut < self.trouble.times:
                self.counters.cut += 1
                await asyncio.sleep(_READ_S)  # a reset takes with it what the client has not read
                raise ConnectionResetError
            link.client.write(data)
            await link.client.drain()
        raise ConnectionResetError

    def _note(self, data: bytes, link: _Link) -> None:
        """See whether the answer to this request is to be lost."""
        wanted, left = self.trouble.lose_after, self.trouble.times - self.counters.lost
        seen = link.tail + data
        while wanted and left > 0 and link.stage < len(wanted) and wanted[link.stage] in seen:
            seen = seen.partition(wanted[link.stage])[2]
            link.stage += 1
        link.losing = bool(wanted) and left > 0 and link.stage == len(wanted)
        link.tail = seen[-64:]

    def _piece(self) -> int:
        """Return the most bytes that are passed on at once: a slow line trickles."""
        rate = self.trouble.bytes_per_s
        return _CHUNK if rate is None else max(1, min(_CHUNK, int(rate / 10)))

    async def _wait(self, size: int) -> None:
        if self.trouble.delay_s:
            await asyncio.sleep(self.trouble.delay_s)
        if self.trouble.bytes_per_s:
            await asyncio.sleep(size / self.trouble.bytes_per_s)

    async def _audible(self) -> None:
        while self.trouble.silent:
            await asyncio.sleep(_LOOK_S)

    def serve(self, ready: threading.Event, stop: threading.Event) -> None:
        """Serve until told to stop."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready, stop))
        self._loop.close()

    async def _serve(self, ready: threading.Event, stop: threading.Event) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(_LOOK_S)
        server.close()
        for link in tuple(self._links):
            link.break_off()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def proxied(target: tuple[str, int] | Path) -> Iterator[Proxy]:
    """Run a proxy before the server, in a thread of its own."""
    proxy = Proxy(target=target)
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=proxy.serve, args=(ready, stop), name="proxy", daemon=True)
    thread.start()
    try:
        assert ready.wait(30), "the proxy did not start"
        yield proxy
    finally:
        stop.set()
        thread.join(30)
