"""Staging from a real S3 server: a download that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.swift import S3Server
from worker.part_log import PART_BYTES
from worker.staging import CacheSpec, staged
from worker.storage import open_store

_CHILD = """
import sys, time
from pathlib import Path
from worker.config import StoreSettings
from worker.staging import CacheSpec, staged
from worker.storage import open_store

def moved(size):
    Path(sys.argv[2]).touch()
    time.sleep(60)

settings = StoreSettings()
store = open_store(settings)
cache = CacheSpec(folder=settings.cache_dir, max_bytes=10**9, reserve_bytes=0)
with staged(store, store.head(sys.argv[1]), cache, progress=moved):
    pass
"""


def test_a_killed_download_goes_on_where_it_stopped(s3_server: S3Server, tmp_path: Path) -> None:
    settings = s3_server.settings(f"s3://{s3_server.make_bucket()}")
    store = open_store(settings)
    data = os.urandom(12 * PART_BYTES + 5)
    (tmp_path / "up").write_bytes(data)
    store.put_file("x.svs", tmp_path / "up")
    assert settings.s3_access_key
    assert settings.s3_secret_key
    environment = {
        **os.environ,
        "MARROWLINE_BUCKET": settings.bucket,
        "MARROWLINE_S3_ENDPOINT": settings.s3_endpoint or "",
        "MARROWLINE_S3_ACCESS_KEY": settings.s3_access_key.get_secret_value(),
        "MARROWLINE_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "MARROWLINE_CACHE_DIR": str(tmp_path / "cache"),
    }
    child = subprocess.Popen([sys.executable, "-c", _CHILD, "x.svs", str(tmp_path / "begun")], env=environment)
    end = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    child.kill()
    child.wait()
    moved: list[int] = []
    cache = CacheSpec(folder=tmp_path / "cache", max_bytes=10**9, reserve_bytes=0)
    obj = store.head("x.svs")
    assert obj is not None
    with staged(store, obj, cache, progress=moved.append) as file:
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        assert file.path.read_bytes() == data
    assert 0 < sum(moved) <= len(data) - PART_BYTES
