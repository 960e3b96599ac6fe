"""The drift of a laboratory's stain, in SQL as in the worker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine

from db import runs
from db.session import transaction
from tests.support.rows import add_slide, batch, decide, plan, scalar, taken
from worker.cells.stain_profile import FLOORS, LEAST_SLIDES, NAMES, Profile, drift

rng = np.random.default_rng(7)
MIDDLE = np.array((236.0, 228.0, 220.0, 0.8, 1.4, 0.3, 0.2, 0.25, 0.15, 0.3, 0.35, 0.1))


def finish(engine: Engine, name: str, profile: Profile, *, lab: str = "lab") -> None:
    """Read a slide whose stain has this profile."""
    claim = taken(engine, add_slide(engine, name, lab=lab))
    named = {name: value for name, value in zip(NAMES, profile, strict=True) if value is not None}
    runs.store_plan(engine, claim, replace(plan(), stain_profile=named))
    runs.write_batch(engine, claim, batch(0))
    runs.finish(engine, claim, decide)


def profile_of(shift: float = 0.0) -> Profile:
    values = MIDDLE + rng.normal(shift, 2.0, 12) * np.array(FLOORS)
    absent = rng.random(12) < 0.1
    return tuple(None if gone else round(float(value), 4) for value, gone in zip(values, absent, strict=True))


def test_drift_in_sql_is_the_workers(lab: Engine) -> None:
    profiles = [profile_of() for _ in range(LEAST_SLIDES + 6)] + [profile_of(12.0)]
    for number, profile in enumerate(profiles):
        finish(lab, f"s{number:02}", profile)
        finish(lab, f"s{number:02}", profile_of(50.0), lab="other")
    with transaction(lab) as conn:
        rows = conn.exec_driver_sql("SELECT drift FROM report.stain_drift WHERE lab = 'lab' ORDER BY key")
        told = list(rows.scalars())
    expected = [drift(profile, profiles[:number]) for number, profile in enumerate(profiles)]
    assert told[:LEAST_SLIDES] == expected[:LEAST_SLIDES] == [None] * LEAST_SLIDES
    assert told[LEAST_SLIDES:] == [
        pytest.approx(value) if value is not None else None for value in expected[LEAST_SLIDES:]
    ]
    assert told[-1] > 5 > max(value for value in told[LEAST_SLIDES:-1] if value is not None)


def test_a_slide_without_a_profile_has_no_row(lab: Engine) -> None:
    claim = taken(lab, add_slide(lab))
    runs.store_plan(lab, claim, plan())
    runs.write_batch(lab, claim, batch(0))
    runs.finish(lab, claim, decide)
    assert scalar(lab, "SELECT count(*) FROM report.stain_drift WHERE drift IS NOT NULL") == 0
