"""A real S3 server that enforces policies: Ceph's RADOS gateway of the system, in a folder of its own.

On Debian: apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-common; it wants root.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

PROGRAMS = ("radosgw", "ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool", "radosgw-admin")
_PATIENCE_S = 180.0
_CONFIG = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]
keyring = {folder}/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
auth_allow_insecure_global_id_reclaim = false
osd_objectstore = memstore
memstore_device_bytes = 1073741824
run_dir = {folder}/run
log_file = {folder}/run/$name.log
admin_socket = {folder}/run/$name.asok
pid_file = {folder}/run/$name.pid
mon_data = {folder}/mon
osd_data = {folder}/osd
rgw_data = {folder}/rgw
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_thread_pool_size = 16
"""
_KEYS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "client.rgw": ("mon", "allow rw", "osd", "allow rwx"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
}


def lacking() -> list[str]:
    """Return what this machine lacks to run the server."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    return programs if os.geteuid() == 0 else [*programs, "root"]


@dataclass
class Gateway:
    """A running server and its processes."""

    folder: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def client(self, user: str, service: str = "s3") -> Any:
        """Return a boto3 client of a user, whose keys are made from its name."""
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=f"{user}-access",
            aws_secret_access_key=f"{user}-secret",
            region_name="default",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, connect_timeout=30),
        )

    def add_user(self, user: str, *, caps: str = "") -> None:
        """Make a user."""
        keys = (f"--access-key={user}-access", f"--secret-key={user}-secret")
        command = [
            "radosgw-admin",
            "-n",
            "client.rgw",
            "user",
            "create",
            f"--uid={user}",
            f"--display-name={user}",
            *keys,
        ]
        self.run(*command, *([f"--caps={caps}"] if caps else []))

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of Ceph's programs against this cluster."""
        return subprocess.run(command, env=self._environment, check=True, capture_output=True, timeout=_PATIENCE_S)

    def start(self, *command: str) -> None:
        """Start one of its servers."""
        with (self.folder / "run" / "out").open("ab") as log:
            started = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        self.processes.append(started)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "CEPH_CONF": str(self.folder / "ceph.conf")}


@contextmanager
def running_gateway() -> Iterator[Gateway]:
    """Start monitor, store and gateway, and end them in the opposite order."""
    with tempfile.TemporaryDirectory(prefix="marrowline-rgw-") as folder:
        mon_v2, mon_v1, port = _free_ports(3)
        gateway = Gateway(folder=Path(folder), port=port)
        for name in ("mon", "osd", "rgw", "run"):
            (gateway.folder / name).mkdir()
        settings = {"fsid": uuid.uuid4(), "mon_v2": mon_v2, "mon_v1": mon_v1, "port": port, "folder": folder}
        (gateway.folder / "ceph.conf").write_text(_CONFIG.format(**settings), encoding="utf-8")
        try:
            _start(gateway, str(settings["fsid"]), f"[v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]")
            yield gateway
        finally:
            for process in reversed(gateway.processes):
                process.kill()
                process.wait()


def _start(gateway: Gateway, fsid: str, address: str) -> None:
    keyring, monmap = str(gateway.folder / "keyring"), str(gateway.folder / "monmap")
    for number, (name, caps) in enumerate(_KEYS.items()):
        words = [word for kind, right in zip(caps[::2], caps[1::2], strict=True) for word in ("--cap", kind, right)]
        gateway.run("ceph-authtool", *(["-C"] if number == 0 else []), keyring, "--gen-key", "-n", name, *words)
    gateway.run("monmaptool", "--create", "--clobber", "--addv", "a", address, "--fsid", fsid, monmap)
    as_root = ("--setuser", "root", "--setgroup", "root")
    gateway.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring, *as_root)
    gateway.start("ceph-mon", "-f", "-i", "a", *as_root)
    _wait(lambda: _says(gateway, ("ceph", "quorum_status"), b"quorum"), "the monitor")
    store = str(uuid.uuid4())
    gateway.run("ceph", "osd", "new", store)
    gateway.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store, *as_root)
    gateway.start("ceph-osd", "-f", "-i", "0", *as_root)
    _wait(lambda: _says(gateway, ("ceph", "osd", "stat"), b"1 up"), "the store")
    gateway.start("radosgw", "-f", "-n", "client.rgw")
    _wait(lambda: _listens(gateway.port), "the gateway")


def _says(gateway: Gateway, command: Sequence[str], answer: bytes) -> bool:
    try:
        return answer in gateway.run(command[0], "--connect-timeout", "3", *command[1:]).stdout
    except subprocess.SubprocessError:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def _wait(holds: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < until, f"{what} did not start"
        time.sleep(0.2)


def _free_ports(number: int) -> list[int]:
    doors = [socket.socket() for _ in range(number)]
    try:
        for door in doors:
            door.bind(("127.0.0.1", 0))
        return [door.getsockname()[1] for door in doors]
    finally:
        for door in doors:
            door.close()
