"""Ranges of keys, in byte order: parts of a bucket that can be listed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class KeyRange:
    """The keys after `after`, up to and with `last`; an empty bound is none."""

    after: str = ""
    last: str = ""

    def is_behind(self, key: str) -> bool:
        """Tell whether the key comes after all keys of the range."""
        return bool(self.last) and key.encode("utf-8", "surrogateescape") > self.last.encode("utf-8")


def ranges_between(bounds: Sequence[str], most: int) -> list[KeyRange]:
    """Return at most so many ranges that together hold every key, parted at some of the bounds: texts in byte order."""
    step = -(-(len(bounds) + 1) // most)
    chosen = ["", *bounds[step - 1 :: step], ""]
    return [KeyRange(after=after, last=last) for after, last in pairwise(chosen)]
