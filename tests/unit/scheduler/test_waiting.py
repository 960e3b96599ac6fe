from __future__ import annotations

import pytest

from db.progress import ObjectProgress
from db.records import RunState
from scheduler.commands.bar import words
from scheduler.waiting import standing


def one(state: RunState | None = None, **known: int | str) -> ObjectProgress:
    blank: dict[str, object] = {
        "key": "a/p/s.svs",
        "slide_id": None,
        "error_code": None,
        "error_cause": None,
        "error_remedy": None,
        "tiles": None,
        "tiles_read": None,
        "cells": 0,
    }
    return ObjectProgress(**{**blank, "state": state, **known})  # type: ignore[arg-type]


def test_slides_not_planned_yet_count_as_the_others_on_average() -> None:
    now = standing([one(RunState.RUNNING, tiles=10, tiles_read=5), one(RunState.PENDING)])
    assert now.tiles_expected == 20
    assert now.share == pytest.approx(0.25)


def test_all_is_done_only_when_every_slide_has_ended() -> None:
    running = one(RunState.RUNNING, tiles=10, tiles_read=10)
    assert standing([running]).share < 1
    assert standing([one(RunState.DONE, tiles=10, tiles_read=10), one(RunState.QUARANTINED)]).share == 1


def test_before_anything_is_known_nothing_is_claimed() -> None:
    assert standing([one(), one()]).share == 0
    assert "waiting for the scheduler" in words(standing([one(), one()]), 3)


def test_the_line_says_slides_tiles_cells_and_time_left() -> None:
    now = standing([one(RunState.RUNNING, tiles=100, tiles_read=25, cells=1234), one(RunState.QUARANTINED)])
    assert words(now, 60) == "1/2 slides · 25/100 tiles · 1,234 cells · 1 quarantined · 3 min 0 s left"


def test_why_a_run_waits_is_said() -> None:
    now = standing([one(RunState.RETRY_WAIT, error_cause="no space"), one(RunState.DONE, tiles=1, tiles_read=1)])
    assert words(now, 60).endswith("waiting to try again: no space")
