from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.key_range import KeyRange, ranges_between

KEYS = st.text(st.sampled_from("ab/.-é"), min_size=1, max_size=4)


def _is_in(keys: KeyRange, key: str) -> bool:
    return key.encode() > keys.after.encode() and not keys.is_behind(key)


@given(bounds=st.sets(KEYS), most=st.integers(1, 8), key=KEYS)
def test_every_key_is_in_exactly_one_range(bounds: set[str], most: int, key: str) -> None:
    ranges = ranges_between(sorted(bounds, key=str.encode), most)
    assert 1 <= len(ranges) <= most
    assert sum(_is_in(keys, key) for keys in ranges) == 1


@given(bounds=st.sets(KEYS, min_size=9), most=st.integers(2, 5))
def test_ranges_are_about_equally_many_folders(bounds: set[str], most: int) -> None:
    assert len(ranges_between(sorted(bounds, key=str.encode), most)) > most / 2


def test_a_name_that_is_no_text_has_its_place() -> None:
    assert KeyRange(last="b").is_behind("\udce9.svs")
