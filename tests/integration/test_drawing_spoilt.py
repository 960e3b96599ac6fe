from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.support.slide_files import MemorySlide, plane_of, pyramid
from worker.drawing.spoilt import HEIGHT_PX, WIDTH_PX, SpoiltSmear, draw_spoilt
from worker.slides.reader import LocalReader
from worker.slides.smear.areas import shares
from worker.slides.smear.readable import Readable, readable_squares


@cache
def judged() -> tuple[SpoiltSmear, Readable]:
    spoilt = draw_spoilt(seed=2026)
    slide = MemorySlide(pyramid(spoilt.rgb, (1, 4, 16)))
    return spoilt, readable_squares(LocalReader(slide), plane_of(slide.info, 64))


@pytest.mark.parametrize(
    ("place", "reason"),
    [("glass", "glass"), ("clot", "crowded"), ("blur", "blurred"), ("bubble", "bubble"), ("pen", "ink")],
)
def test_each_place_is_left_out_for_what_it_is(place: str, reason: str) -> None:
    spoilt, readable = judged()
    drawn = float((spoilt.places[place] > 0.5).mean())
    assert shares(readable)[reason] == pytest.approx(drawn, rel=0.3)


def test_no_cell_of_an_unspoilt_place_is_lost() -> None:
    spoilt, readable = judged()
    touched = sum(spoilt.places.values(), start=np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)) > 0
    clear = [cell for cell in spoilt.smear.truth if not _near(touched, cell.x_l0, cell.y_l0)]
    assert len(clear) > 90
    assert all(readable.holds(cell.x_l0, cell.y_l0) for cell in clear)


def test_hardly_a_cell_of_a_spoilt_place_is_counted() -> None:
    spoilt, readable = judged()
    spoilt_px = np.max([spoilt.places[name] for name in ("clot", "blur", "bubble", "pen")], axis=0) >= 1
    inside = [cell for cell in spoilt.smear.truth if spoilt_px[int(cell.y_l0), int(cell.x_l0)]]
    assert len(inside) > 15
    assert sum(readable.holds(cell.x_l0, cell.y_l0) for cell in inside) < 0.15 * len(inside)


def _near(touched: np.ndarray, x: float, y: float) -> bool:
    return bool(touched[max(0, int(y) - 80) : int(y) + 80, max(0, int(x) - 80) : int(x) + 80].any())
