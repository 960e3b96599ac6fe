"""Rows 26-28, 36 and 45: objects that are replaced, deleted or come late, a full disk, and a slide that moves."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from tests.faults.rig import CANARY, Rig, key_of
from tests.faults.rows_workers import held
from tests.support.slide_sets import write_mrxs

_WAITS = "SELECT error_code, attempt - releases AS burnt FROM run WHERE state = 'retry_wait'"
_SUPERSEDED = "SELECT count(*) FROM slide WHERE state = 'superseded'"


def overwritten(rig: Rig) -> None:
    """Row 26: once before its bytes are fetched, once while they are read."""
    for point, skip in (("run.claimed", 0), ("batch.read", 3)):
        child = rig.child(held(rig, point, skip=skip, upload=point))
        rig.upload(point, "b")
        if skip:  # its bytes are here already: that it was replaced is known from the listing
            rig.until(lambda: rig.value(_SUPERSEDED) == 2, "the new version is registered")
        child.resume()
        rig.settled()
    states = rig.rows("SELECT slide.state, run.state AS run FROM slide JOIN run ON run.slide_id = slide.id ORDER BY 1")
    assert [(row["state"], row["run"]) for row in states] == [("current", "done")] * 2 + [
        ("superseded", "cancelled")
    ] * 2, states


def deleted(rig: Rig) -> None:
    """Row 27."""
    child = rig.child(held(rig, "run.claimed", skip=0))
    key = key_of("struck")
    (rig.bucket / key).unlink()
    rig.uploaded[key] = None
    child.resume()
    rig.settled()
    assert rig.rows("SELECT state FROM slide") == [{"state": "missing"}]
    assert rig.value("SELECT finding FROM report.patients") == "incomplete"


def late_file(rig: Rig) -> None:
    """Row 28."""
    rig.line("worker")
    with tempfile.TemporaryDirectory() as folder:
        write_mrxs(Path(folder), f"{CANARY}-set")
        files = {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    late = next(name for name in files if name.endswith("Data0001.dat"))
    for name, content in files.items():
        if name != late:
            rig.put(f"lab/{CANARY}-p/{name}", content)
    rig.until(lambda: rig.rows("SELECT state FROM slide") == [{"state": "incomplete"}], "the set is incomplete")
    rig.upload("bystander", patient="other")
    rig.settled()
    assert rig.value("SELECT count(*) FROM run") == 1, "a set without all its files was given to a worker"
    rig.put(f"lab/{CANARY}-p/{late}", files[late])
    rig.until(lambda: rig.value("SELECT count(*) FROM run") == 2, "the whole set is registered")
    rig.settled()
    assert rig.value("SELECT count(*) FROM slide WHERE state = 'current'") == 2


def disk_full(rig: Rig) -> None:
    """Row 36."""
    disk = rig.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], check=True)
    try:
        rig.line()
        rig.start("worker-3", cache_dir=str(disk), cache_max_bytes=str(10**9))
        rig.upload("struck")
        rig.until(lambda: rig.rows(_WAITS), "the run waits for room")
        (row,) = rig.rows(_WAITS)
        assert (row["error_code"], row["burnt"]) == ("no_space", 0), row
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        rig.settled()
        assert rig.value("SELECT attempt - releases FROM run") == 1
    finally:
        rig.kill("worker-3")
        subprocess.run(["umount", disk], check=True)


def moved(rig: Rig) -> None:
    """Row 45: just before it ends, a slide becomes another patient's by its sidecar; another is replaced."""
    child = rig.child(held(rig, "run.ending", skip=0))
    sidecar = {"lab": "lab", "patient": f"{CANARY}-other"}
    rig.put(f"{key_of('struck')}.json", json.dumps(sidecar).encode())
    rig.until(lambda: rig.value("SELECT count(*) FROM patient") == 2, "the slide belongs to another patient")
    child.resume()
    rig.settled()
    assert _done(rig) == [1, 0], _done(rig)
    child = rig.child(held(rig, "run.ending", skip=0, upload="replaced"))
    rig.upload("replaced", "b")
    rig.until(lambda: rig.value(_SUPERSEDED) == 1, "the new version is registered")
    child.resume()
    rig.settled()
    ends = rig.rows("SELECT run.state FROM run JOIN slide ON slide.id = slide_id WHERE slide.state = 'superseded'")
    assert ends == [{"state": "cancelled"}], ends
    assert _done(rig) == [1, 1], _done(rig)


def _done(rig: Rig) -> list[int]:
    return [row["slides_done"] for row in rig.rows("SELECT slides_done FROM report.patients ORDER BY patient")]
