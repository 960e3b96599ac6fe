"""A TCP proxy that cuts its first connections in the middle of an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class CuttingProxy:
    """Passes connections on; the first `cuts` of them are closed after `after_bytes` of the answer."""

    target: tuple[str, int]
    after_bytes: int
    cuts: int
    cut: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        """Where the proxy listens."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> None:
        """Serve until the listener is shut."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            threading.Thread(target=_copy, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        while data := _received(server):
            passed += len(data)
            if passed > self.after_bytes and self._take_cut():
                break
            client.sendall(data)
        for side in (client, server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)  # wakes the other thread, which would keep the socket open
            side.close()

    def _take_cut(self) -> bool:
        with self.lock:
            if self.cut >= self.cuts:
                return False
            self.cut += 1
            return True


@contextmanager
def cutting(endpoint: str, *, after_bytes: int, cuts: int) -> Iterator[CuttingProxy]:
    """Run a proxy in front of the endpoint."""
    url = urlsplit(endpoint)
    assert url.hostname is not None
    assert url.port is not None
    proxy = CuttingProxy(target=(url.hostname, url.port), after_bytes=after_bytes, cuts=cuts)
    server = threading.Thread(target=proxy.accept, daemon=True)
    server.start()
    try:
        yield proxy
    finally:
        proxy.listener.shutdown(socket.SHUT_RDWR)
        proxy.listener.close()
        server.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := _received(source):
        try:
            target.sendall(data)
        except OSError:
            return


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(65_536)
    except OSError:
        return b""
