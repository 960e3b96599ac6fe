"""A bound on how often somebody may ask."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_ADDRESSES = 1024


class RateLimit:
    """So many requests a second for each address on average, and `burst` at once; threads share it.

    The addresses heard of longest ago are forgotten, so that a flood of them costs no memory.
    """

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how many are left, and when that was

    def allows(self, address: str) -> bool:
        """Count a request and tell whether it may be served."""
        now = self._clock()
        with self._lock:
            left, at = self._left.pop(address, (self._burst, now))
            left = min(self._burst, left + (now - at) * self._per_s)
            allowed = left >= 1
            self._left[address] = (left - 1 if allowed else left, now)
            while len(self._left) > _MOST_ADDRESSES:
                self._left.popitem(last=False)
        return allowed
