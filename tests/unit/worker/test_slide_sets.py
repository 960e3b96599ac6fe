from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import StoredObject
from worker.errors import BadSlideError
from worker.slide_sets import (
    MOST_FILES,
    SetKind,
    folder_of,
    index_key,
    is_plain_name,
    laid_out,
    manifest_digest,
    may_belong,
    set_kind,
)

_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def _object(key: str, *, etag: str = "e", size: int = 1) -> StoredObject:
    return StoredObject(bucket="b", key=key, etag=etag, size=size, last_modified=_WHEN)


@pytest.mark.parametrize(
    ("key", "kind", "folder", "index"),
    [
        ("lab/p/x.mrxs", SetKind.MRXS, "lab/p/x/", "lab/p/x/Slidedat.ini"),
        ("lab/p/x.MRXS", SetKind.MRXS, "lab/p/x/", "lab/p/x/Slidedat.ini"),
        ("x.vms", SetKind.HAMAMATSU, "", "x.vms"),
        ("lab/p/x.VMU", SetKind.HAMAMATSU, "lab/p/", "lab/p/x.VMU"),
        ("lab/p/x.svs/", SetKind.DICOM, "lab/p/x.svs/", None),
        ("lab/p/x.svs", None, "lab/p/", None),
    ],
)
def test_a_key_tells_its_kind_folder_and_index(key: str, kind: SetKind | None, folder: str, index: str | None) -> None:
    assert (set_kind(key), folder_of(key), index_key(key)) == (kind, folder, index)


def test_only_files_directly_in_the_folder_belong() -> None:
    assert may_belong(SetKind.MRXS, "p/x/", "p/x/Data.DAT")
    for key in ("p/x/sub/Data.dat", "p/xy/Data.dat", "p/x/notes.txt", "p/x/_COMPLETE"):
        assert not may_belong(SetKind.MRXS, "p/x/", key)


def test_a_manifest_changes_with_every_file_and_not_with_their_order() -> None:
    files = [_object("p/x.mrxs"), _object("p/x/a.dat"), _object("p/x/b.dat")]
    same = manifest_digest("p/x.mrxs", files)
    assert manifest_digest("p/x.mrxs", files[::-1]) == same
    changed = [
        files[:2],
        [*files, _object("p/x/c.dat")],
        [*files[:2], _object("p/x/b.dat", etag="f")],
        [*files[:2], _object("p/x/b.dat", size=2)],
        [*files[:2], _object("p/x/c.dat")],
    ]
    assert same not in {manifest_digest("p/x.mrxs", other) for other in changed}


def test_a_manifest_is_that_of_the_slide_wherever_it_lies() -> None:
    here = manifest_digest("p/x.mrxs", [_object("p/x.mrxs"), _object("p/x/a.dat")])
    assert manifest_digest("q/y.mrxs", [_object("q/y.mrxs"), _object("q/y/a.dat")]) == here


def test_a_slide_of_too_many_files_is_refused() -> None:
    files = [_object(f"s/{number}.dcm") for number in range(MOST_FILES + 1)]
    assert len(laid_out("s/", files[1:], "base").names) == MOST_FILES
    with pytest.raises(BadSlideError, match="too_many_files"):
        laid_out("s/", files, "base")


def test_files_beside_a_vms_keep_their_names() -> None:
    files = [_object("p/x.VMS"), _object("p/x(1,0).jpg")]
    layout = laid_out("p/x.VMS", files, "base")
    assert (layout.main, layout.names) == ("base.vms", ("base.vms", "x(1,0).jpg"))


@given(name=st.text(max_size=12) | st.text(alphabet="ab./\\ -_\0\n~;", max_size=12))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    files = [_object("p/x.mrxs"), replace(_object("k"), key=f"p/x/{name}")]
    try:
        layout = laid_out("p/x.mrxs", files, "base")
    except BadSlideError:
        assert not is_plain_name(name)
    else:
        assert layout.names == ("base.mrxs", f"base/{name}")
        assert name.isascii()
        assert name.isprintable()
        assert "/" not in name
        assert not name.startswith((".", " ", "-"))
