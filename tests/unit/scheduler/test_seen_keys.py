from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.seen_keys import SeenKeys


@given(present=st.sets(st.text()), absent=st.sets(st.text()))
def test_seen_keys_are_known_by_eight_bytes_each(present: set[str], absent: set[str]) -> None:
    seen = SeenKeys()
    seen.add(present)
    assert seen.nbytes == 8 * len(seen) == 8 * len(present)
    was_seen = seen.lookup()
    assert all(was_seen(key) for key in present)
    assert not any(was_seen(key) for key in absent - present)
