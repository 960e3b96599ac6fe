"""What a check found: how many things were looked at, how many agreed, and every difference in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Check:
    """One kind of thing that was held against what is stored."""

    what: str
    checked: int
    agreed: int
    differences: tuple[str, ...] = ()


def one_of_many(faults: Iterable[str]) -> str | None:
    """Return all that is wrong with one thing as one difference."""
    return "; ".join(faults) or None


def check(what: str, found: Iterable[str | None]) -> Check:
    """Return the check of things one by one: each None, or the difference that it shows."""
    listed = list(found)
    differences = tuple(one for one in listed if one is not None)
    return Check(what=what, checked=len(listed), agreed=len(listed) - len(differences), differences=differences)
