from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import StoredObject
from scheduler import listing


def _objects(*keys: str) -> list[StoredObject]:
    return [StoredObject(bucket="b", key=key, size=1, last_modified=datetime.now(UTC)) for key in keys]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9])
def test_pages_hold_every_object_once_in_order(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAGE", 4)
    objects = _objects(*(f"{number}.svs" for number in range(count)))
    pages = list(listing._pages(objects))
    assert [obj for page in pages for obj in page] == objects
    assert all(1 <= len(page) <= 4 for page in pages)


def test_a_sidecar_is_on_the_page_of_its_slide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAGE", 2)
    objects = _objects("a.svs", "b.svs", "b.svs.json", "c.svs")
    assert [[obj.key for obj in page] for page in listing._pages(objects)] == [
        ["a.svs", "b.svs", "b.svs.json"],
        ["c.svs"],
    ]


@given(present=st.sets(st.text()), absent=st.sets(st.text()))
def test_seen_keys_are_known_by_eight_bytes_each(present: set[str], absent: set[str]) -> None:
    seen = np.sort(np.array([listing._digest(key) for key in present], dtype=np.uint64))
    assert seen.nbytes == 8 * len(present)
    assert all(listing._holds(seen, listing._digest(key)) for key in present)
    assert not any(listing._holds(seen, listing._digest(key)) for key in absent - present)
