"""Workers that share one cache and are killed at any moment never read wrong bytes and never exceed its bound."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

from worker.staging import CacheSpec, staged
from worker.store_folder import FolderStore

_MAX_BYTES = 60 * 2**20
_SLIDES = 8
_WORKER = """
import os, random, sys, threading
from pathlib import Path
from worker.errors import NoSpaceError
from worker.staging import CacheSpec, prefetch, staged
from worker.store_folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
cache = CacheSpec(folder=Path(sys.argv[2]), max_bytes=int(sys.argv[3]), reserve_bytes=0)
slides = list(store.list())
rng = random.Random(int(sys.argv[4]))
def say(what):  # one write, so that lines of several workers stay whole
    os.write(1, f"{what}\\n".encode())
while True:
    obj = rng.choice(slides)
    ahead = threading.Thread(target=prefetch, args=(store, rng.choice(slides), cache), daemon=True)
    ahead.start()
    try:
        with staged(store, obj, cache) as file:
            data = file.path.read_bytes()
            good = len(data) == obj.size and data == data[:1] * obj.size == obj.key[:1].encode() * obj.size
            held = sum(path.stat().st_size for path in cache.folder.glob("slides/*/slide/*") if path.exists())
            say("read" if good and held <= cache.max_bytes else f"WRONG {obj.key} {len(data)} {held}")
    except NoSpaceError:
        say("full")
    except FileNotFoundError:  # evicted between glob and stat
        pass
    ahead.join()
"""


def test_killed_workers_leave_a_cache_that_others_can_trust(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    store = FolderStore(tmp_path / "bucket")
    for number in range(_SLIDES):
        store.put_bytes(f"{number}.svs", str(number).encode() * (9 * 2**20 + number))
    rng = random.Random(7)
    said = tmp_path / "said"
    with said.open("ab") as log:
        workers = [_started(store, tmp_path, seed, log) for seed in range(3)]
        end, latest = time.monotonic() + 8, time.monotonic() + 120
        try:
            while time.monotonic() < end or (said.read_bytes().count(b"read") <= 5 and time.monotonic() < latest):
                time.sleep(rng.uniform(0.4, 1.0))
                victim = rng.randrange(len(workers))
                workers[victim].kill()
                workers[victim].wait()
                workers[victim] = _started(store, tmp_path, rng.randrange(10**6), log)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    lines = said.read_text().splitlines()
    assert lines.count("read") > 5
    assert set(lines) <= {"read", "full"}
    cache = CacheSpec(folder=tmp_path / "cache", max_bytes=_MAX_BYTES, reserve_bytes=0)
    for obj in store.list():
        with staged(store, obj, cache) as file:
            assert file.path.read_bytes() == obj.key[:1].encode() * obj.size
    assert not list((tmp_path / "cache" / "slides").glob(".gone-*"))


def _started(store: FolderStore, tmp_path: Path, seed: int, log: BinaryIO) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _WORKER, store.name, str(tmp_path / "cache"), str(_MAX_BYTES), str(seed)]
    return subprocess.Popen(command, stdout=log)
