from __future__ import annotations

from pathlib import Path

import pytest

from db.records import StoredObject
from db.slide_files import FoundSet
from scheduler import set_intake
from scheduler.intake import RefusedError
from scheduler.set_intake import is_there, look_up
from worker.store_folder import FolderStore

SLIDEDAT = b"[HIERARCHICAL]\nINDEXFILE = Index.dat\n[DATAFILE]\nFILE_COUNT = 1\nFILE_0 = a.dat\n"
VMS = b"[Virtual Microscope Specimen]\nImageFile=x.jpg\nMapFile=%s\n"


class WatchedStore(FolderStore):
    """A folder that notes which keys it was asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def head(self, key: str, version_id: str = "") -> StoredObject | None:
        self.asked.append(key)
        return super().head(key, version_id)

    def put(self, *keys: str, data: bytes = b"data") -> None:
        for key in keys:
            self.put_bytes(key, data)


@pytest.fixture
def store(tmp_path: Path) -> WatchedStore:
    (tmp_path / "bucket").mkdir()
    return WatchedStore(tmp_path / "bucket")


def _look(store: FolderStore, key: str) -> tuple[list[str], bool, bool]:
    """Return the keys of the files, whether all have come, and whether time alone may say so."""
    found = look_up(store, key, quiet_s=5)
    assert found is not None
    return [file.key for file in found.files], found.complete, found.quiet_s == 5


def test_an_mrxs_is_complete_with_the_files_that_slidedat_names(store: WatchedStore) -> None:
    store.put("p/x.mrxs", "p/x/Index.dat", "p/x/notes.txt", "p/x/sub/b.dat")
    assert _look(store, "p/x.mrxs") == (["p/x.mrxs", "p/x/Index.dat"], False, False)
    store.put("p/x/Slidedat.ini", data=SLIDEDAT)
    assert _look(store, "p/x.mrxs")[1:] == (False, False)
    store.put("p/x/a.dat")
    files = ["p/x.mrxs", "p/x/Index.dat", "p/x/Slidedat.ini", "p/x/a.dat"]
    assert _look(store, "p/x.mrxs") == (files, True, False)


def test_an_index_leads_nowhere_but_to_its_folder(store: WatchedStore) -> None:
    store.put("p/y.jpg", "q/x.jpg")
    for name in (b"../q/x.jpg", b"/etc/passwd", b"..", b"q/x.jpg"):
        store.put("p/x.vms", data=VMS % name)
        store.asked.clear()
        assert _look(store, "p/x.vms") == (["p/x.vms"], False, True)
        assert set(store.asked) <= {"p/x.vms", "p/_COMPLETE"}


def test_a_vms_takes_what_it_names_and_nothing_else(store: WatchedStore) -> None:
    store.put("p/x.vms", data=VMS % b"map.jpg")
    store.put("p/x.jpg", "p/other.jpg")
    assert _look(store, "p/x.vms") == (["p/x.vms", "p/x.jpg"], False, False)
    store.put("p/map.jpg")
    assert _look(store, "p/x.vms") == (["p/x.vms", "p/map.jpg", "p/x.jpg"], True, False)


@pytest.mark.parametrize("index", [b"nonsense", b"\xff\xfe", b"[DATAFILE]\nFILE_COUNT = 1\n" + b"#" * 2**20])
def test_an_index_that_cannot_be_understood_is_a_matter_of_time(store: WatchedStore, index: bytes) -> None:
    store.put("p/x.mrxs")
    store.put("p/x/Slidedat.ini", data=index)
    assert _look(store, "p/x.mrxs")[1:] == (False, True)


def test_the_manifest_tells_one_state_from_another(store: WatchedStore) -> None:
    manifests = []
    for name in ("1", "2"):
        store.put(f"p/s/{name}.dcm")
        found = look_up(store, "p/s/", quiet_s=5)
        assert isinstance(found, FoundSet)
        assert (found.obj.size, found.obj.etag) == (4 * int(name), found.manifest)
        manifests.append(found.manifest)
    assert len(set(manifests)) == 2


def test_what_is_not_there_is_none(store: WatchedStore) -> None:
    store.put("p/x/Slidedat.ini", "p/s/sub/1.dcm")
    for key in ("p/x.mrxs", "p/x.vms", "p/s/"):
        assert look_up(store, key, quiet_s=5) is None
        assert not is_there(store, key)
    assert is_there(store, "p/s/sub/")


def test_too_many_files_are_refused(store: WatchedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_intake, "MOST_FILES", 2)
    store.put(*(f"p/s/{number}.dcm" for number in range(3)))
    with pytest.raises(RefusedError, match="more than 2 files"):
        look_up(store, "p/s/", quiet_s=5)
    assert is_there(store, "p/s/")
