from __future__ import annotations

import numpy as np

from tests.support.slide_files import MemorySlide, plane_of, texture
from worker.slides.reader import LocalReader
from worker.slides.smear.readable import readable_squares
from worker.slides.smear.sample import sample_fields


def test_a_small_field_is_sampled_once_and_whole() -> None:
    slide = MemorySlide([texture(300, 400)])
    plane = plane_of(slide.info, 64)
    reader = LocalReader(slide)
    fields = sample_fields(reader, plane, readable_squares(reader, plane))
    assert np.array_equal(fields, slide.levels[0])


def test_a_large_slide_gives_several_fields_side_by_side() -> None:
    slide = MemorySlide([texture(2100, 2300)])
    plane = plane_of(slide.info, 64)
    reader = LocalReader(slide)
    fields = sample_fields(reader, plane, readable_squares(reader, plane))
    assert fields.shape[0] == 512
    assert 2 <= fields.shape[1] // 512 <= 12
