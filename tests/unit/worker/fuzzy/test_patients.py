from __future__ import annotations

import hashlib
from dataclasses import asdict

from worker.fuzzy.patients import SYSTEM
from worker.fuzzy.released import DEFAULT_SYSTEM, SYSTEMS


def test_the_system_of_patients_never_changes() -> None:
    words = [(one.name, *map(asdict, one.terms)) for one in (*SYSTEM.inputs, *SYSTEM.outputs)]
    written = repr((SYSTEM.dated, words, [rule.text for rule in SYSTEM.rules]))
    assert hashlib.sha256(written.encode()).hexdigest()[:16] == "bf47816d634ac463"


def test_it_says_itself_what_it_measures_otherwise() -> None:
    fields = SYSTEMS[DEFAULT_SYSTEM].input_by_name
    other = {one.name for one in SYSTEM.inputs if one.meaning != fields[one.name].meaning}
    medians = {name for name, one in fields.items() if one.meaning.startswith("median")}
    assert other == medians | {"outlines", "cells"}
