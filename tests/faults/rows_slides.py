"""Rows 29 and 31-33: slides that are cut, no slides, huge, or bring their reader down."""

from __future__ import annotations

import signal
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO

import numpy as np
import psutil
import tifffile

from tests.faults.changes import POISON, POISONED
from tests.faults.rig import Rig
from tests.faults.rows_workers import held

_HUGE_PX = 2**20
_BOMB_PX = 2**14
_DIRECTORIES = 10**6
_HUNG_ATTEMPTS, _HUNG_DEADLINE_S = 2, 2
_MOST_BYTES = 3 * 2**30
"""Resident memory of all processes of a worker together."""


def _refused(rig: Rig, contents: Iterable[tuple[str, bytes]], *, codes: Iterable[str] = ()) -> None:
    """Upload what is no slide, and a slide after it; the first is refused at once, the second is read."""
    rig.line("worker")
    for name, content in contents:
        rig.upload_bytes(name.partition(".")[0], content, suffix=f".{name.partition('.')[2]}")
    peak = 0

    def ended() -> bool:
        nonlocal peak
        peak = max(peak, sum(_resident(one) for one in rig.parts["worker"].children(recursive=True)))
        return int(rig.value("SELECT count(*) FROM run WHERE state = 'quarantined'")) == len(rig.uploaded)

    rig.until(ended, "all are refused")
    rig.upload("bystander", patient="other")
    rig.settled()
    refused = rig.rows("SELECT DISTINCT error_code FROM run WHERE state = 'quarantined' ORDER BY 1")
    found = {row["error_code"] for row in refused}
    assert not codes or found <= set(codes), f"refused as {found}"
    assert rig.value("SELECT max(attempt) FROM run") == 1
    assert peak < _MOST_BYTES, f"{peak} bytes of memory"
    rig.note(f"refused as {', '.join(sorted(found))}; memory at most {peak / 2**20:.0f} MiB")


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


def truncated(rig: Rig) -> None:
    """Row 29."""
    whole = rig.ground.slide("a").read_bytes()
    _refused(rig, [("half.tif", whole[: len(whole) // 2])], codes=["truncated"])
    assert rig.value("SELECT count(*) FROM cell JOIN run ON run.id = run_id WHERE state = 'quarantined'") == 0


def no_slides(rig: Rig) -> None:
    """Row 31."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(64)
    _refused(rig, [("empty.svs", b""), ("picture.svs", png), ("words.ndpi", b"no slide at all\n" * 40)])


def huge(rig: Rig) -> None:
    """Row 32."""
    claims = bytearray(rig.ground.slide("a").read_bytes())
    with tifffile.TiffFile(rig.ground.slide("a")) as tiff:
        page = tiff.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        for tag in ("ImageWidth", "ImageLength"):
            struct.pack_into("<I", claims, page.tags[tag].valueoffset, _HUGE_PX)
    _refused(rig, [("claims.tif", bytes(claims)), ("chain.tif", _chain()), ("bomb.tif", _bomb())])


def _chain() -> bytes:
    """Return a TIFF of very many directories, each with one tag."""
    size = 2 + 12 + 4
    kind = np.dtype(
        [("count", "<u2"), ("tag", "<u2"), ("type", "<u2"), ("n", "<u4"), ("value", "<u4"), ("next", "<u4")]
    )
    chain = np.zeros(_DIRECTORIES, dtype=kind)
    chain["count"], chain["tag"], chain["type"], chain["n"], chain["value"] = 1, 256, 4, 1, 64
    chain["next"][:-1] = 8 + size * np.arange(1, _DIRECTORIES)
    return b"II*\0" + struct.pack("<I", 8) + chain.tobytes()


def _bomb() -> bytes:
    """Return a TIFF of a few kB whose one tile unpacks to most of a GB."""

    def tile() -> Iterator[bytes]:
        packer = zlib.compressobj(9)
        pieces = [packer.compress(bytes(3 * _BOMB_PX * 16)) for _ in range(_BOMB_PX // 16)]
        yield b"".join(pieces) + packer.flush()

    file = BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(
            tile(),
            shape=(_BOMB_PX, _BOMB_PX, 3),
            dtype=np.uint8,
            tile=(_BOMB_PX, _BOMB_PX),
            compression="deflate",
            photometric="rgb",
        )
    return file.getvalue()


def reader_struck(rig: Rig) -> None:
    """Row 33: a reader that crashes whenever it is started, then one that hangs whenever it is."""
    crashes = _crashed(rig)
    hangs = _hung(rig)
    rig.note(f"{crashes} crashes, {hangs} hangs")


def _crashed(rig: Rig) -> int:
    worker = held(rig, "batch.read", skip=2)
    child = rig.child(worker)
    rig.uploaded = dict.fromkeys(rig.uploaded)
    crashes = _signalled(child, signal.SIGSEGV)
    child.resume()

    def refused() -> bool:
        nonlocal crashes
        crashes += _signalled(child, signal.SIGSEGV)
        return bool(rig.value("SELECT count(*) FROM run WHERE state = 'quarantined'"))

    rig.until(refused, "the slide is quarantined")
    assert rig.rows("SELECT error_code, attempt FROM run") == [{"error_code": "reader_crashed", "attempt": 1}]
    rig.upload("bystander", "b", patient="other")
    rig.settled()
    assert rig.child(worker).pid == child.pid, "the worker's own process died"
    return crashes


def _hung(rig: Rig) -> int:
    """A stalled disk hangs like a bad slide, so that only the last attempt is the end of it."""
    rig.line(schedulers=())
    (rig.folder / POISONED).unlink(missing_ok=True)
    rig.start("scheduler-2", max_attempts=str(_HUNG_ATTEMPTS))
    rig.start("worker-3", change="reader of the poison hangs", read_deadline_s=str(_HUNG_DEADLINE_S))
    rig.until(lambda: rig.children("worker-3"), "the worker is up")
    first = rig.child("worker-3").pid
    rig.upload_bytes("hangs", rig.ground.slide("a").read_bytes() + POISON, patient="hung")
    rig.upload("bystander-of-the-hung", "c", patient="other")
    rig.settled()
    ends = rig.rows("SELECT error_code, attempt FROM run JOIN slide ON slide.id = slide_id WHERE key LIKE '%hangs%'")
    assert ends == [{"error_code": "reader_stuck", "attempt": _HUNG_ATTEMPTS}], ends
    assert rig.child("worker-3").pid == first, "the worker's own process died"
    return len((rig.folder / POISONED).read_bytes())


def _signalled(child: psutil.Process, number: signal.Signals) -> int:
    """Send a signal to the processes that read slides for a worker's child; return to how many."""
    struck = 0
    for host in child.children():
        for reader in host.children():
            with suppress(psutil.NoSuchProcess):
                reader.send_signal(number)
                struck += 1
    return struck
