"""What of a slide is measured when some of it cannot be decoded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.slide_files import GLASS, MemorySlide, plane_of, pyramid, texture
from worker.errors import BadSlideError
from worker.geometry import LATTICE_PX, Box
from worker.slides.reader import LocalReader
from worker.slides.slide import RgbImage
from worker.slides.smear import quality
from worker.slides.smear.lattice import shape_of
from worker.slides.smear.quality import Quality, measure

LEVELS = pyramid(texture(1500, 1500), (1, 4))
NATIVE_PX = 128


class Torn(MemorySlide):
    """A slide of which nothing can be decoded that meets one native tile."""

    tile = Box(x=0, y=0, width=0, height=0)
    code = "unreadable_region"
    reads = 0

    def read_lv(self, level: int, box_lv: Box) -> RgbImage:
        """Fail where the box meets the tile."""
        self.reads += 1
        rgb = super().read_lv(level, box_lv)
        met = box_lv.clipped(self.tile)
        if met.width and met.height:
            raise BadSlideError(self.code, "bad data", "Upload the file again.")
        return rgb


def measured(slide: MemorySlide) -> Quality:
    plane = plane_of(slide.info, 64)
    return measure(LocalReader(slide), plane, GLASS, np.ones(shape_of(plane), dtype=np.bool_))


def torn_at(x: int, y: int, levels: list[RgbImage]) -> Torn:
    slide = Torn(levels)
    slide.tile = Box(x=x, y=y, width=NATIVE_PX, height=NATIVE_PX)
    return slide


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10))
def test_only_squares_about_a_torn_tile_stay_unmeasured(column: int, row: int) -> None:
    x, y = column * NATIVE_PX, row * NATIVE_PX
    found, whole = measured(torn_at(x, y, LEVELS[:1])), measured(MemorySlide(LEVELS[:1]))
    rows, columns = np.nonzero(~found.measured)
    # A piece that meets it is 256 px wide, the filters reach 96 px beyond, and a square holds 64 px.
    for squares, start in ((rows, y), (columns, x)):
        assert squares.min() * LATTICE_PX > start - 128 - 96 - LATTICE_PX
        assert squares.max() * LATTICE_PX < start + NATIVE_PX + 128 + 96
        assert {start // LATTICE_PX, start // LATTICE_PX + 1} <= set(squares)
    np.testing.assert_allclose(found.fine[found.measured], whole.fine[found.measured], rtol=1e-3, atol=1e-6)
    assert not found.fine[~found.measured].any()


def test_a_slide_in_tatters_is_not_read_piece_by_piece_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "_MOST_TORN", 0)
    slide = torn_at(0, 0, LEVELS[:1])
    assert not measured(slide).measured.any()
    assert slide.reads == 1


def test_other_faults_than_torn_data_rise() -> None:
    slide = torn_at(0, 0, LEVELS)
    slide.code = "reader_crashed"
    with pytest.raises(BadSlideError, match="reader_crashed"):
        measured(slide)
