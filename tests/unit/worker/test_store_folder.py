from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.store_contract import ODD_KEYS, ObjectStoreContract
from worker.config import StoreSettings
from worker.errors import BadRequestError, ServiceError
from worker.storage import ObjectStore, open_store
from worker.store_folder import FolderStore

_WAYS_OUT = (
    "../x.svs",
    "a/../../x.svs",
    "/etc/passwd",
    "a//b",
    "a/./b",
    "",
    ".",
    "..",
    "a/",
    "nul\0.svs",
    "\ud800.svs",
)


class TestFolder(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return FolderStore(_made(tmp_path / "bucket"))


@pytest.mark.parametrize("key", _WAYS_OUT)
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    store = FolderStore(_made(tmp_path / "bucket"))
    (tmp_path / "x.svs").write_bytes(b"outside")
    with pytest.raises(BadRequestError):
        store.put_bytes(key, b"inside?")
    assert store.head(key) is None
    assert store.read_small(key) is None
    store.delete(key)
    assert _tree(tmp_path) == {"x.svs"}


@given(
    key=st.one_of(st.text(max_size=40), st.text(alphabet="./%2e\\a\n\u0301é\0", max_size=12), st.sampled_from(ODD_KEYS))
)
@example(key="..")
@example(key="a/..")
@example(key="\u00e9/e\u0301")
def test_any_key_is_stored_as_it_is_or_refused(key: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(_made(Path(folder) / "bucket"))
        try:
            store.put_bytes(key, b"x")
        except BadRequestError:
            assert _tree(Path(folder)) == set()
            return
        assert [obj.key for obj in store.list()] == [key]
        assert _tree(Path(folder)) == {f"bucket/{key}"}


@pytest.mark.parametrize("name", [".x.svs", "x.svs.part", ".hidden/x.svs", "x.part/y.svs"])
def test_half_written_and_hidden_files_are_not_seen(tmp_path: Path, name: str) -> None:
    path = _made((tmp_path / name).parent) / Path(name).name
    path.write_bytes(b"half")
    store = FolderStore(tmp_path)
    assert list(store.list()) == []
    assert store.head(name) is None
    with pytest.raises(BadRequestError):
        store.put_bytes(name, b"")


def test_links_are_served_only_inside_the_folder(tmp_path: Path) -> None:
    bucket = _made(tmp_path / "bucket")
    (tmp_path / "secret.svs").write_bytes(b"secret")
    (bucket / "real.svs").write_bytes(b"real")
    (bucket / "inside.svs").symlink_to("real.svs")
    (bucket / "outside.svs").symlink_to(tmp_path / "secret.svs")
    (bucket / "dangling.svs").symlink_to("nothing")
    (bucket / "circle.svs").symlink_to("circle.svs")
    (bucket / "up").symlink_to(tmp_path, target_is_directory=True)
    store = FolderStore(bucket)
    assert store.read_small("inside.svs") == b"real"
    assert store.read_small("outside.svs") is None
    assert store.head("up/secret.svs") is None
    with pytest.raises(BadRequestError):
        store.put_bytes("up/new.svs", b"")
    (bucket / "circle.svs").unlink()
    assert [obj.key for obj in store.list()] == ["inside.svs", "real.svs"]


def test_a_bucket_may_itself_be_a_link(tmp_path: Path) -> None:
    (_made(tmp_path / "disk") / "x.svs").write_bytes(b"x")
    (tmp_path / "bucket").symlink_to("disk")
    store = FolderStore(tmp_path / "bucket")
    assert store.name == str(tmp_path / "bucket")
    assert [obj.key for obj in store.list()] == ["x.svs"]
    assert store.read_small("x.svs") == b"x"


def test_a_named_folder_keeps_its_name_wherever_it_lies(tmp_path: Path) -> None:
    (_made(tmp_path / "here") / "x.svs").write_bytes(b"x")
    settings = StoreSettings(bucket=str(tmp_path / "here"), bucket_name="smears")
    before = open_store(settings).head("x.svs")
    (tmp_path / "here").rename(tmp_path / "there")
    after = open_store(settings.model_copy(update={"bucket": str(tmp_path / "there")}))
    assert isinstance(after, FolderStore)
    assert (after.name, after.root) == ("smears", tmp_path / "there")
    assert before is not None
    assert before.bucket == "smears"
    assert after.head("x.svs") == before
    with pytest.raises(ServiceError, match=str(tmp_path / "here")):
        list(open_store(settings).list())


def test_pipes_and_sockets_are_no_objects(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.svs")
    store = FolderStore(tmp_path)
    assert list(store.list()) == []
    assert store.head("pipe.svs") is None


def test_an_absent_bucket_is_the_services_fault(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="is not there"):
        list(FolderStore(tmp_path / "none").list())


def test_what_cannot_be_read_is_told_after_the_rest(tmp_path: Path) -> None:
    (tmp_path / "a.svs").symlink_to("a.svs")
    (tmp_path / "b.svs").write_bytes(b"")
    listing = FolderStore(tmp_path).list()
    assert next(listing).key == "b.svs"
    with pytest.raises(ServiceError, match="1 entries"):
        next(listing)


def test_the_etag_is_size_and_time_of_change(tmp_path: Path) -> None:
    (tmp_path / "x.svs").write_bytes(b"abc")
    os.utime(tmp_path / "x.svs", ns=(5, 1_700_000_000_123_456_789))
    obj = FolderStore(tmp_path).head("x.svs")
    assert obj is not None
    assert obj.etag == "3-1700000000123456789"
    assert obj.last_modified.isoformat() == "2023-11-14T22:13:20.123456+00:00"


def test_a_failed_put_leaves_nothing(tmp_path: Path) -> None:
    store = FolderStore(_made(tmp_path / "bucket"))
    store.put_bytes("a.svs", b"file")
    for key in ("a.svs/b.svs", "a.svs/b/c.svs"):
        with pytest.raises(BadRequestError, match="share a name"):
            store.put_bytes(key, b"")
    store.put_bytes("d/e.svs", b"")
    with pytest.raises(BadRequestError, match="share a name"):
        store.put_bytes("d", b"")
    assert _tree(tmp_path) == {"bucket/a.svs", "bucket/d/e.svs"}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _tree(folder: Path) -> set[str]:
    found = (Path(at) / name for at, _, names in os.walk(folder) for name in names)
    return {str(path.relative_to(folder)) for path in found}
