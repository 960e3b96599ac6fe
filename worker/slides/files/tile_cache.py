"""Decoded tiles kept while neighbouring boxes still need them, in buffers that are used again.

A tile is pinned while it is decoded or copied from, so that no other thread gives its buffer away. Whoever asks for
a tile that another thread is decoding waits for it: each is decoded once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from worker.slides.slide import RgbImage

_VECTOR_BYTES = 32


class KeptTile:
    """A tile in the cache; its pixels are valid between `take` and `give_back`."""

    __slots__ = ("dropped", "pins", "pixels", "ready")

    def __init__(self, pixels: RgbImage) -> None:
        self.pixels = pixels
        self.pins = 0
        self.ready = False  # decoded
        self.dropped = False  # decoding it failed


def cached_bytes(size: int) -> NDArray[np.uint8]:
    """Return (size,) uint8 to decode into and soon copy from: what is decoded stays in the processor's cache.

    It begins between two multiples of 32 bytes. Rows that begin on one are written past the cache by libjpeg-turbo
    (simd/x86_64/jdcolext-avx2.asm), and a copy then fetches them from memory: a fifth of the speed.
    """
    room = np.empty(size + 2 * _VECTOR_BYTES, dtype=np.uint8)
    start = -room.ctypes.data % _VECTOR_BYTES + _VECTOR_BYTES // 2
    return room[start : start + size]


class TileCache:
    """Tiles under their keys, the longest unused given up first; usable from several threads.

    Buffers take `max_bytes` at most, but for tiles that are pinned at the same time.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._tiles: OrderedDict[Hashable, KeptTile] = OrderedDict()
        self._changed = threading.Condition()

    @property
    def held_bytes(self) -> int:
        """Bytes of all buffers."""
        return self._bytes

    def take(self, key: Hashable, shape: tuple[int, int, int]) -> KeptTile:
        """Return a tile pinned; where it is not `ready`, the caller decodes it and calls `publish`.

        Each `take` is followed by one `give_back`.
        """
        with self._changed:
            while (tile := self._tiles.get(key)) is not None:
                tile.pins += 1
                while not (tile.ready or tile.dropped):
                    self._changed.wait()
                if tile.ready:
                    self._tiles.move_to_end(key)
                    return tile
                tile.pins -= 1
            tile = KeptTile(self._buffer(shape))
            tile.pins = 1
            self._tiles[key] = tile
            return tile

    def publish(self, tile: KeptTile) -> None:
        """Say that a tile's pixels are decoded."""
        with self._changed:
            tile.ready = True
            if tile.pins > 1:
                self._changed.notify_all()

    def give_back(self, key: Hashable, tile: KeptTile) -> None:
        """Unpin a tile; one that was never published goes, and who waits for it decodes it anew."""
        with self._changed:
            tile.pins -= 1
            if not tile.ready and not tile.dropped:
                tile.dropped = True
                del self._tiles[key]
                self._bytes -= tile.pixels.nbytes
                self._changed.notify_all()

    def clear(self) -> None:
        """Give all buffers back to the system; nothing may be pinned."""
        with self._changed:
            self._tiles.clear()
            self._bytes = 0

    def _buffer(self, shape: tuple[int, int, int]) -> RgbImage:
        """Return the buffer of the longest unused tile where it fits, else a new one."""
        needed = shape[0] * shape[1] * shape[2]
        while self._bytes + needed > self._max_bytes:
            key = next((key for key, tile in self._tiles.items() if not tile.pins), None)
            if key is None:
                break
            free = self._tiles.pop(key).pixels
            if free.shape == shape:
                return free
            self._bytes -= free.nbytes
        self._bytes += needed
        return cached_bytes(needed).reshape(shape)
