from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from db.records import StoredObject
from scheduler import set_listing
from scheduler.intake import is_slide_key, sidecar_key
from scheduler.set_listing import ListedSet, gathered, paged
from worker.slide_sets import MOST_FILES, SetKind, folder_of, may_belong, set_kind

_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def _objects(keys: Iterable[str]) -> list[StoredObject]:
    return [StoredObject(bucket="b", key=key, size=1, last_modified=_WHEN) for key in sorted(keys, key=str.encode)]


def _found(*keys: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return the keys of what stands alone, and the keys of each set's files, its sidecar last."""
    alone, sets = [], {}
    for item in gathered(_objects(keys)):
        if isinstance(item, StoredObject):
            alone.append(item.key)
        else:
            files = (item.index, *item.others, item.sidecar)
            sets[item.key] = [file.key for file in files if file]
    return alone, sets


def test_an_mrxs_has_its_index_and_the_data_in_its_folder() -> None:
    keys = ("p/x.mrxs", "p/x.mrxs.json", "p/x/Data0.dat", "p/x/Slidedat.ini")
    assert _found(*keys, "p/x.svs", "p/y.svs", "p/y/Data0.dat") == (
        ["p/x.svs", "p/y.svs", "p/y/Data0.dat"],
        {"p/x.mrxs": [keys[0], keys[2], keys[3], keys[1]]},
    )


def test_what_else_lies_in_the_folder_of_an_mrxs_is_taken_as_anywhere_else() -> None:
    alone, sets = _found("p/x.mrxs", "p/x/a.dat", "p/x/a.svs", "p/x/a.svs.json", "p/x/sub/a.jpg", "p/x/a.jpg")
    assert sorted(alone) == ["p/x/a.jpg", "p/x/a.svs", "p/x/a.svs.json", "p/x/sub/a.jpg"]
    assert sets == {"p/x.mrxs": ["p/x.mrxs", "p/x/a.dat"]}
    keys = ("p/x.mrxs", "p/x/1.dcm", "p/x/y.mrxs", "p/x/y/b.dat", "p/x/z.vms", "p/x/z.jpg")
    assert _found(*keys) == (
        [],
        {
            "p/x.mrxs": ["p/x.mrxs"],
            "p/x/": ["p/x/1.dcm"],
            "p/x/y.mrxs": ["p/x/y.mrxs", "p/x/y/b.dat"],
            "p/x/z.vms": ["p/x/z.vms", "p/x/z.jpg"],
        },
    )


def test_the_folder_of_an_mrxs_without_its_index_is_no_slide() -> None:
    assert _found("p/x/Data0.dat", "p/x/Slidedat.ini")[1] == {}


def test_a_series_is_its_folder() -> None:
    keys = ("p/s.json", "p/s/1.dcm", "p/s/2.DCM", "p/s/sub/3.dcm")
    assert _found(*keys) == ([], {"p/s/": ["p/s/1.dcm", "p/s/2.DCM", "p/s.json"], "p/s/sub/": ["p/s/sub/3.dcm"]})


def test_pictures_beside_a_vms_are_no_slides_wherever_they_stand_in_the_listing() -> None:
    keys = ("p/x(0,1).jpg", "p/x.opt", "p/x.vms", "p/x.vms.json", "p/x_map.jpg")
    alone, sets = _found(*keys, "p/other.svs", "p/sub/field.jpg", "q/field.jpg")
    assert alone == ["p/other.svs", "p/sub/field.jpg", "q/field.jpg"]
    assert sets == {"p/x.vms": ["p/x.vms", "p/x(0,1).jpg", "p/x.opt", "p/x_map.jpg", "p/x.vms.json"]}


def test_fields_stand_for_themselves_with_their_sidecars() -> None:
    keys = ["p/a.jpg", "p/a.jpg.json", "p/b.jpeg", "p/b.jpeg.json"]
    assert _found(*keys) == (keys, {})


def test_a_series_at_the_root_of_the_bucket_is_left_to_be_refused() -> None:
    assert _found("1.dcm") == (["1.dcm"], {})


def test_results_are_passed_by() -> None:
    listing = _objects(["site/marrowline-results/s/1.dcm", "site/marrowline-results/x.mrxs"])
    assert list(gathered(listing, "site/")) == []


def test_of_too_many_files_just_one_more_than_may_be_is_kept() -> None:
    [one] = gathered(_objects(f"p/s/{number:05}.dcm" for number in range(MOST_FILES + 50)))
    assert isinstance(one, ListedSet)
    assert len(one.others) == MOST_FILES + 1


def test_a_folder_of_very_many_fields_is_not_kept_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_listing, "_MOST_HELD", 10)
    keys = [f"p/{number:03}.jpg" for number in range(95)]
    most = 0
    passed = 0

    def listing() -> Iterable[StoredObject]:
        nonlocal passed
        for obj in _objects(keys):
            passed += 1
            yield obj

    came = []
    for item in gathered(listing()):
        came.append(item.key)
        most = max(most, passed - len(came))
    assert came == keys
    assert most <= 11


_SLIDES = ["x.mrxs", "x.vms", "y.vmu", "a.jpg", "z.jpg", "x.opt", "1.dcm", "2.dcm", "Data.dat", "s.svs", "notes.txt"]
_BESIDE = ["x.svs.json", "x.json", "x.mrxs.json", "x.vms.json", "a.jpg.json", "x.y.json", "_COMPLETE"]
_NAMES = st.sampled_from([*_SLIDES, *_BESIDE])
_FOLDERS = st.lists(st.sampled_from(["x", "x.y", "p", "x.mrxs", "x0", "é"]), max_size=3).map(tuple)
_KEYS = st.sets(st.builds(lambda folders, name: "/".join((*folders, name)), _FOLDERS, _NAMES), max_size=25)


@example(keys={"x.mrxs", "x.mrxs.json", "x.mrxs/1.dcm"})
@given(keys=_KEYS)
def test_one_pass_finds_what_a_look_at_all_keys_finds(keys: set[str]) -> None:
    alone, sets = _found(*keys)
    assert {key: set(files) for key, files in sets.items()} == _all_sets(keys)
    assert {key for key in alone if is_slide_key(key)} == _all_alone(keys)
    assert len(alone) == len(set(alone))


def _all_sets(keys: set[str]) -> dict[str, set[str]]:
    folders = {key[: key.rfind("/") + 1] for key in keys if key.endswith(".dcm") and "/" in key}
    found = {}
    for key in {key for key in keys if set_kind(key)} | folders:
        kind, folder = set_kind(key), folder_of(key)
        assert kind
        files = {other for other in keys if may_belong(kind, folder, other)}
        found[key] = files | ({key, sidecar_key(key)} & keys)
    return found


def _all_alone(keys: set[str]) -> set[str]:
    vms = {folder_of(key) for key in keys if set_kind(key) is SetKind.HAMAMATSU}
    return {
        key
        for key in keys
        if is_slide_key(key)
        and not set_kind(key)
        and not (key.endswith(".dcm") and "/" in key)
        and not (key.endswith(".jpg") and key[: key.rfind("/") + 1] in vms)
    }


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9])
def test_pages_hold_every_object_once_in_order(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_listing, "_PAGE", 4)
    objects = _objects(f"{number}.svs" for number in range(count))
    pages = list(paged(objects))
    assert [obj for page in pages for obj in page] == objects
    assert all(1 <= len(page) <= 4 for page in pages)


def test_a_sidecar_is_on_the_page_of_its_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_listing, "_PAGE", 2)
    objects = _objects(["a.svs", "b.svs", "b.svs.json", "c.svs"])
    assert [[obj.key for obj in page] for page in paged(objects)] == [
        ["a.svs", "b.svs", "b.svs.json"],
        ["c.svs"],
    ]
