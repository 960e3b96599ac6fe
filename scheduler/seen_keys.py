"""Remembers which keys a listing has shown, in eight bytes each."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray


class SeenKeys:
    """The keys that were added, by their digests."""

    def __init__(self) -> None:
        self._digests = array("Q")

    def __len__(self) -> int:
        return len(self._digests)

    @property
    def nbytes(self) -> int:
        """Bytes that the digests take."""
        return len(self._digests) * self._digests.itemsize

    def add(self, keys: Iterable[str]) -> None:
        """Remember keys."""
        self._digests.extend(_digest(key) for key in keys)

    def lookup(self) -> Callable[[str], bool]:
        """Return what tells of a key whether it was added until now."""
        ordered: NDArray[np.uint64] = np.sort(np.frombuffer(self._digests, dtype=np.uint64))

        def holds(key: str) -> bool:
            digest = _digest(key)
            at = int(np.searchsorted(ordered, np.uint64(digest)))
            return at < len(ordered) and int(ordered[at]) == digest

        return holds


def _digest(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")
