"""A real S3 server that lives for a test session: OpenStack Swift with its s3api, in an environment of its own.

It answers signed requests, ranges, multipart uploads, If-Match and listings; it has no conditional PUT, no bucket
policies and no event notifications.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from worker.config import StoreSettings
from worker.s3_client import make_client

ACCESS_KEY = "lab:scheduler"
SECRET_KEY = "swift-secret-of-one-test-session"
_VENV_VARIABLE = "MARROWLINE_S3_SERVER_VENV"
_BACK_ENDS = ("account", "container", "object")
_PATIENCE_S = 60.0
_RINGS = """
from sys import argv
from swift.common.ring import RingBuilder
for name, port in zip(argv[2::2], argv[3::2]):
    builder = RingBuilder(2, 1, 0)
    builder.add_dev(dict(id=0, region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1,
                         replication_ip="127.0.0.1", replication_port=int(port)))
    builder.rebalance(seed=1)
    builder.get_ring().save(f"{argv[1]}/{name}.ring.gz")
"""


@dataclass(frozen=True, kw_only=True)
class S3Server:
    """Where the server is, and how to make buckets on it."""

    endpoint: str

    def settings(self, bucket: str, *, endpoint: str | None = None, secret: str = SECRET_KEY) -> StoreSettings:
        """Return store settings for a bucket of this server."""
        return StoreSettings(
            bucket=bucket,
            s3_endpoint=endpoint or self.endpoint,
            s3_access_key=SecretStr(ACCESS_KEY),
            s3_secret_key=SecretStr(secret),
        )

    def make_bucket(self) -> str:
        """Make a bucket of a new name and return the name."""
        name = f"slides-{uuid.uuid4().hex[:12]}"
        make_client(self.settings("")).create_bucket(Bucket=name)
        return name


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run the server for the session. Skips where it is not installed, but in CI that is a failure."""
    python = server_python()
    if not python.exists():
        absent = f"{python} is not there: run `make test`, or point {_VENV_VARIABLE} to an environment with swift"
        if os.environ.get("CI"):
            pytest.fail(absent)
        pytest.skip(absent)
    with running(python, tmp_path_factory.mktemp("swift")) as server:
        yield server


@contextmanager
def running(python: Path, folder: Path) -> Iterator[S3Server]:
    """Run the server with its data in the folder, and end its four processes and no others."""
    ports = _configure(python, folder)
    processes = [_start(python, folder, name) for name in ports]
    try:
        endpoint = f"http://127.0.0.1:{ports['proxy']}"
        _await(endpoint, processes, folder)
        yield S3Server(endpoint=endpoint)
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.wait()


def server_python() -> Path:
    """Return the interpreter of the environment that the server is installed in, which need not be there."""
    default = Path(__file__).resolve().parents[2] / ".venv-s3"
    return Path(os.environ.get(_VENV_VARIABLE, default)) / "bin" / "python"


def _configure(python: Path, folder: Path) -> dict[str, int]:
    """Write the server's files and return the port of each of its processes."""
    (folder / "srv" / "d1").mkdir(parents=True)
    ports = dict(zip((*_BACK_ENDS, "proxy"), _free_ports(4), strict=True))
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n")
    for name in _BACK_ENDS:
        (folder / f"{name}.conf").write_text(
            f"{_common(folder, ports[name])}devices = {folder / 'srv'}\nmount_check = false\n"
            "disable_fallocate = true\n"
            f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
        )
    (folder / "proxy.conf").write_text(_common(folder, ports["proxy"]) + _proxy(ports["proxy"]))
    pairs = [word for name in _BACK_ENDS for word in (name, str(ports[name]))]
    subprocess.run([python, "-W", "ignore", "-c", _RINGS, folder, *pairs], check=True, timeout=_PATIENCE_S)
    return ports


def _common(folder: Path, port: int) -> str:
    user = pwd.getpwuid(os.getuid()).pw_name
    return (
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = {user}\nswift_dir = {folder}\n"
        f"recon_cache_path = {folder}\nlog_level = WARNING\nlog_address = {folder}/no-syslog\n"
    )


def _proxy(port: int) -> str:
    """Return the proxy's part: without `cache` it asks the account and container servers each time."""
    filters = "catch_errors gatekeeper listing_formats s3api tempauth copy slo dlo versioned_writes symlink"
    options = {
        "s3api": "location = us-east-1\ns3_acl = false\n",
        "tempauth": f"user_{ACCESS_KEY.replace(':', '_')} = {SECRET_KEY} .admin http://127.0.0.1:{port}/v1/AUTH_lab\n",
        "versioned_writes": "allow_object_versioning = true\n",
    }
    sections = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n{options.get(name, '')}" for name in filters.split())
    return (
        f"[pipeline:main]\npipeline = {filters} proxy-server\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n" + sections
    )


def _start(python: Path, folder: Path, name: str) -> subprocess.Popen[bytes]:
    """Start one process in a session of its own; its words go to a file."""
    code = f"import sys; from swift.{name if name != 'object' else 'obj'}.server import main; sys.exit(main())"
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [python, "-W", "ignore", "-c", code, folder / f"{name}.conf"],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        )


def _await(endpoint: str, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        try:
            urllib.request.urlopen(endpoint, timeout=5)  # noqa: S310 - our own http address
        except urllib.error.HTTPError:  # it answers, and wants a signature
            return
        except OSError:
            time.sleep(0.05)
    words = "\n".join(f"{log.name}: {log.read_text()[-500:]}" for log in sorted(folder.glob("*.log")))
    raise RuntimeError(f"the S3 server did not come up\n{words}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
