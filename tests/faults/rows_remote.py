"""Rows 35, 37 and 38: odd keys, a slow or broken S3 server, and keys that it takes no longer."""

from __future__ import annotations

import hashlib
import json
import re
import time
import unicodedata
import uuid

from tests.faults.proxy import Trouble
from tests.faults.remote import Remote, remote
from tests.faults.rig import CANARY, Rig, key_of

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_REFUSALS = 5
"""More than the client library tries by itself."""
_PADDING = 2**20
"""The drawn slides are shorter than what is read from a connection at once."""
_SLOW_BYTES_PER_S = 1000
_DEADLINE_S = 8
_WAITS = "SELECT error_code, attempt - releases AS burnt FROM run WHERE state = 'retry_wait'"
_LONGEST_KEY = 1024
_NAMED = {"lab": "lab", "patient": f"{CANARY}-named"}


def slow_or_broken(rig: Rig) -> None:
    """Row 37: what goes wrong is between the worker and the server; each time another slide."""
    s3 = remote(rig)
    rig.start("scheduler", **s3.settings())
    rig.start("worker-3", **s3.settings(troubled=True))
    for strike in (_reset, _silent, _unavailable):
        strike(rig, s3)
    assert {row["attempt"] for row in rig.rows("SELECT attempt FROM run")} == {1}
    _slow(rig, s3)


def _reset(rig: Rig, s3: Remote) -> None:
    """Cut an answer in mid-body: the download goes on where it stopped."""
    requests: list[bytes] = []
    s3.proxy.heard = requests.append
    s3.proxy.trouble = Trouble(cut_after=_PADDING // 2)
    s3.put(rig, key_of("reset"), padding=_PADDING)
    rig.settled()
    assert s3.proxy.counters.cut == 1
    starts = [int(found) for found in re.findall(rb"Range: bytes=(\d+)-", b"".join(requests))]
    assert any(starts), f"nothing was resumed: ranges from {starts}"
    rig.note(f"resumed from byte {max(starts)}")


def _silent(rig: Rig, s3: Remote) -> None:
    """Say nothing until the worker asks again by itself, which it does on a new connection."""
    s3.proxy.trouble = Trouble(silent=True)
    s3.proxy.break_all()
    before, started = s3.proxy.counters.connections, time.monotonic()
    s3.put(rig, key_of("silent"), "b")
    rig.until(lambda: s3.proxy.counters.connections >= before + 2, "the worker gives up on a silent answer")
    rig.note(f"gave up on silence after {time.monotonic() - started:.0f} s")
    s3.proxy.trouble = Trouble()
    rig.settled()


def _unavailable(rig: Rig, s3: Remote) -> None:
    s3.proxy.trouble = Trouble(instead=_UNAVAILABLE, times=_REFUSALS)
    s3.put(rig, key_of("unavailable"), "c")
    rig.settled()
    assert s3.proxy.counters.instead == _REFUSALS


def _slow(rig: Rig, s3: Remote) -> None:
    """Let bytes trickle so that no silence ends the download: the time that a slide may take does."""
    rig.kill("worker-3")
    rig.start("worker-4", slide_time_limit_s=str(_DEADLINE_S), **s3.settings(troubled=True))
    s3.proxy.trouble = Trouble(bytes_per_s=_SLOW_BYTES_PER_S)
    s3.put(rig, key_of("slow"))
    rig.until(lambda: "Hard time limit" in rig.log_of("worker-4").read_text(), "the time for a slide is over")
    s3.proxy.trouble = Trouble()
    rig.settled()
    (row,) = rig.rows("SELECT attempt, slide.sha256 FROM run JOIN slide ON slide.id = slide_id WHERE key LIKE '%slow%'")
    assert row["attempt"] == 2, row
    assert row["sha256"] == hashlib.sha256(rig.ground.slide("a").read_bytes()).hexdigest()
    rig.note(f"ended after {_DEADLINE_S} s of {_SLOW_BYTES_PER_S} bytes a second")


def another_secret(rig: Rig) -> None:
    """Row 38: first the worker's keys are refused, then the scheduler's."""
    s3 = remote(rig)
    rig.start("scheduler", **s3.settings())
    rig.start("worker-3", **s3.settings(secret="revoked"))
    s3.put(rig, key_of("struck"))
    rig.until(lambda: rig.rows(_WAITS), "the run waits for keys that hold")
    assert rig.rows(_WAITS) == [{"error_code": "store_refused", "burnt": 0}]
    rig.kill("scheduler")
    rig.start("scheduler-2", **s3.settings(secret="revoked"))
    s3.put(rig, key_of("later"), "b")
    rig.until(lambda: rig.said("listing failed"), "the scheduler says that it cannot list")
    assert rig.value("SELECT count(*) FROM slide WHERE state = 'current'") == 1
    for name in ("scheduler-2", "worker-3"):
        rig.kill(name)
    rig.start("scheduler", **s3.settings())
    rig.start("worker-4", **s3.settings())
    rig.settled()
    assert [row["burnt"] for row in rig.rows("SELECT attempt - releases AS burnt FROM run")] == [1, 1]


def odd_keys(rig: Rig) -> None:
    """Row 35: what no folder would take, an S3 bucket does."""
    s3 = remote(rig)
    keys = _odd()
    for number, key in enumerate(keys):
        if len(f"{key}.json".encode()) <= _LONGEST_KEY:
            s3.put_bytes(f"{key}.json", json.dumps(_NAMED).encode())
        s3.put(rig, key, "abc"[number % 3])
    rig.start("scheduler", **s3.settings())
    rig.start("worker-3", **s3.settings())
    rig.settled()
    stored = {row["key"] for row in rig.rows("SELECT key FROM slide")}
    assert stored == set(keys), f"stored {sorted(stored)}"
    files = list((rig.folder / "cache").rglob("*.tif"))
    assert len({str(uuid.UUID(path.stem)) for path in files}) == len(keys), files
    rig.note(f"{len(keys)} keys")


def _odd() -> list[str]:
    """Return keys that are odd each in another way; the longest has no room for a sidecar."""
    person = f"{CANARY}-ü"
    return [
        f"lab/../../{CANARY}-up.tif",
        f"/etc/{CANARY}-absolute.tif",
        *(f"lab/{unicodedata.normalize(form, person)}/slide.tif" for form in ("NFC", "NFD")),
        f"lab/{CANARY}-p/".ljust(_LONGEST_KEY - 4, "x") + ".tif",
        f"lab/{CANARY}-p/two\nlines.tif",
        f"lab/{CANARY}-p/a;rm -rf $HOME `id`.tif",
        f"lab/{CANARY}-p/%2e%2e%2f.tif",
    ]
