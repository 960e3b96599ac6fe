from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.slides.files.tile_cache import TileCache, cached_bytes

SHAPE = (4, 4, 3)
BYTES = 48


def use(cache: TileCache, key: int, *, fails: bool = False) -> bool:
    """Read a tile whose pixels are its key; return whether it had to be decoded."""
    tile = cache.take(key, SHAPE)
    try:
        if tile.ready:
            assert (tile.pixels == key).all()
            return False
        if fails:
            raise ValueError("damaged")
        tile.pixels[:] = key
        cache.publish(tile)
        return True
    finally:
        cache.give_back(key, tile)


@pytest.mark.parametrize("size", [48, 196_608, 2**21])
def test_no_row_that_is_decoded_into_begins_where_a_decoder_writes_past_the_cache(size: int) -> None:
    buffers = [cached_bytes(size) for _ in range(3)]
    assert {buffer.size for buffer in buffers} == {size}
    assert {buffer.ctypes.data % 32 for buffer in buffers} == {16}
    kept = TileCache(size).take(1, (1, size // 3, 3)).pixels
    assert (kept.ctypes.data % 32, kept.flags.c_contiguous) == (16, True)


def test_a_kept_tile_is_not_decoded_again() -> None:
    cache = TileCache(3 * BYTES)
    assert [use(cache, key) for key in (1, 2, 1, 3, 2)] == [True, True, False, True, False]


def test_the_longest_unused_tile_gives_its_buffer_away() -> None:
    cache = TileCache(2 * BYTES)
    assert [use(cache, key) for key in (1, 2, 1, 3, 1, 2)] == [True, True, False, True, False, True]
    assert cache.held_bytes == 2 * BYTES


def test_buffers_of_another_size_make_room() -> None:
    cache = TileCache(3 * BYTES)
    for key in range(3):
        use(cache, key)
    large = cache.take("large", (8, 5, 3))
    cache.give_back("large", large)
    assert cache.held_bytes <= 3 * BYTES


def test_a_pinned_tile_keeps_its_pixels() -> None:
    cache = TileCache(BYTES)
    tile = cache.take(1, SHAPE)
    tile.pixels[:] = 1
    cache.publish(tile)
    use(cache, 2)
    assert (tile.pixels == 1).all()
    cache.give_back(1, tile)


def test_a_tile_that_failed_is_tried_again() -> None:
    cache = TileCache(2 * BYTES)
    with pytest.raises(ValueError, match="damaged"):
        use(cache, 1, fails=True)
    assert cache.held_bytes == 0
    assert use(cache, 1)


def test_who_waits_for_a_tile_gets_it_when_it_is_decoded_or_decodes_it_when_that_fails() -> None:
    for fails in (False, True):
        cache = TileCache(4 * BYTES)
        tile = cache.take(1, SHAPE)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(use, cache, 1)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.05)
            if not fails:
                tile.pixels[:] = 1
                cache.publish(tile)
            cache.give_back(1, tile)
            assert other.result(timeout=5) is fails


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), st.integers(1, 6))
def test_any_sequence_of_reads_gives_right_pixels_within_the_bound(uses: list[tuple[int, bool]], room: int) -> None:
    cache = TileCache(room * BYTES)
    for key, fails in uses:
        with suppress(ValueError):
            use(cache, key, fails=fails)
        assert cache.held_bytes <= room * BYTES


def test_threads_never_see_a_buffer_change() -> None:
    cache, decoded, lock = TileCache(5 * BYTES), Counter[int](), threading.Lock()

    def read_some(seed: int) -> None:
        for key in np.random.default_rng(seed).integers(0, 9, 400).tolist():
            if use(cache, key):
                with lock:
                    decoded[key] += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read_some, range(4)))
    assert set(decoded) == set(range(9))
    assert cache.held_bytes <= (5 + 4) * BYTES
