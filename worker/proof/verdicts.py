"""The stored verdict against one computed now, from the tally as it is now, under the rule that is named."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from db.patients import values_of
from db.proofs import Recorded
from worker.proof.checks import Check, check
from worker.rules import RULES
from worker.verdict import decide

_LAST_DIGITS = 1e-6
"""Versions of the mathematics libraries differ in the last digits of an interval."""


def check_verdict(recorded: Recorded) -> Check:
    """Hold every stored part of the verdict against the one computed anew."""
    return check("verdict, computed again from the counts", _differences(recorded))


def same(stored: Any, again: Any) -> bool:
    """Tell whether all that is stored stands in the other value too, which may say more: evidence grows by addition."""
    if isinstance(stored, dict) and isinstance(again, dict):
        return all(name in again and same(value, again[name]) for name, value in stored.items())
    if isinstance(stored, list) and isinstance(again, list):
        return len(stored) == len(again) and all(map(same, stored, again))
    if isinstance(stored, float) or isinstance(again, float):
        numbers = isinstance(stored, int | float) and isinstance(again, int | float)
        return numbers and math.isclose(stored, again, rel_tol=_LAST_DIGITS, abs_tol=_LAST_DIGITS)
    return bool(stored == again)


def _differences(recorded: Recorded) -> Iterator[str | None]:
    if recorded.tally.rule not in RULES:
        yield f"verdict: the rule {recorded.tally.rule!r} is not known to this version of the program"
        return
    found = values_of(recorded.tally, decide(recorded.tally)) | {"inputs_digest": recorded.tally_digest}
    computed = json.loads(json.dumps(found))
    for name, value in computed.items():
        stored = recorded.verdict[name]
        yield None if same(stored, value) else f"verdict, {name}: {_told(stored)} is stored, {_told(value)} computed"


def _told(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else "a longer text"
