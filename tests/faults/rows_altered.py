"""Row 34: slides of many layouts with bytes changed, read by whole workers."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from tests.faults.rig import Rig
from tests.faults.rows_queue import LARGE_TILES
from tests.support.fuzz import SEED
from tests.support.fuzz_slides import Sound, altered, sound_files

_COUNT = 500
_LOT = 50
"""So many come at once; a sound slide comes with them."""
_DEADLINE_S = "10"
_WORKERS = ("worker-3", "worker-4")
_SITE_MPP = "UPDATE lab SET site_mpp_um = 0.25"
"""Without it, what says nothing of its scale would be refused unread."""
_ENDS = "SELECT coalesce(error_code, state::text) AS way, count(*) FROM run GROUP BY 1"
_FEWEST = 80
"""So many are at least refused, and so many read: otherwise the alterations would not be what they are meant to be."""


def altered_slides(rig: Rig) -> None:
    """Row 34: every one ends at its first attempt, as read or as refused, in the processes that read the first."""
    sounds = _sounds()
    rig.line()
    for name in _WORKERS:
        rig.start(name, max_tasks_per_child="0", read_deadline_s=_DEADLINE_S, **LARGE_TILES)
    rig.until(lambda: all(rig.children(name) for name in _WORKERS), "the workers are up")
    first = [rig.child(name).pid for name in _WORKERS]
    rig.upload("bystander", readable=False)
    rig.settled()
    rig.execute(_SITE_MPP)
    for start in range(0, _COUNT, _LOT):
        rig.upload(f"bystander-{start}", "abc"[start // _LOT % 3], patient="other", readable=False)
        for number in range(start, start + _LOT):
            sound = sounds[number % len(sounds)]
            rig.upload_bytes(f"altered-{number}", altered(sound, number, SEED), suffix=Path(sound.name).suffix)
        rig.settled()
    ways = Counter({row["way"]: row["count"] for row in rig.rows(_ENDS)})
    assert [rig.child(name).pid for name in _WORKERS] == first, "a worker's own process died"
    assert rig.value("SELECT max(attempt) FROM run") == 1, ways
    _note(rig, ways, sound=1 + _COUNT // _LOT)


def _note(rig: Rig, ways: Counter[str], *, sound: int) -> None:
    read, refused = ways["done"] - sound, ways.total() - ways["done"]
    assert read + refused == _COUNT, ways
    assert min(refused, read) >= _FEWEST, ways
    crashed = sum(count for way, count in ways.items() if way.startswith("reader_"))
    rig.note(f"seed {SEED}: {read} read, {refused} refused, of these {crashed} because their reader crashed or hung")


def _sounds() -> list[Sound]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # for the user of the slides' processes
        return sound_files(Path(folder), None)
