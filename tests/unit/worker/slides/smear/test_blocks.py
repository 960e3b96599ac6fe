from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.slide_files import GLASS, MemorySlide, info_of, plane_of, pyramid, texture
from worker.geometry import Box
from worker.slides.reader import LocalReader
from worker.slides.smear import blocks as blocks_module
from worker.slides.smear.blocks import block_map, blocks, read_block
from worker.slides.smear.lattice import shape_of, shares


@settings(max_examples=40)
@given(
    st.integers(100, 20_000),
    st.integers(100, 20_000),
    st.integers(16, 300),
    st.sampled_from([(1,), (1, 4, 16), (1, 3), (1, 2, 4)]),
)
def test_blocks_hold_every_wanted_square_once(
    width: int, height: int, steps: int, downsamples: tuple[int, ...]
) -> None:
    sizes = tuple((-(-width // by), -(-height // by)) for by in downsamples)
    info = info_of(
        width,
        height,
        level_sizes=sizes,
        level_downsamples=tuple(map(float, downsamples)),
        whole_px_levels=(True,) * len(sizes),
    )
    plane = plane_of(info, steps)
    wanted = np.ones(shape_of(plane), dtype=np.bool_)
    seen = np.zeros(wanted.shape, dtype=int)
    reduced = block_map(info, plane)
    assert reduced.px_um <= 1.02
    for block in blocks(reduced, wanted):
        seen[block.squares] += 1
        whole = Box(x=0, y=0, width=sizes[reduced.level][0], height=sizes[reduced.level][1])
        assert block.box_lv.clipped(whole) == block.box_lv
        assert max(block.box_lv.width, block.box_lv.height) <= 4096
    assert (seen == 1).all()


def test_blocks_without_a_wanted_square_are_not_read() -> None:
    info = info_of(20_000, 20_000)
    plane = plane_of(info, 64)
    wanted = np.zeros(shape_of(plane), dtype=np.bool_)
    wanted[5, 300] = True
    (block,) = blocks(block_map(info, plane), wanted)
    assert block.squares[0].start <= 5 < block.squares[0].stop
    assert block.squares[1].start <= 300 < block.squares[1].stop


def test_means_over_squares_are_those_of_the_whole_picture() -> None:
    slide = MemorySlide(pyramid(texture(1500, 1700), (1, 2)))
    plane = plane_of(slide.info, 100)
    wanted = np.ones(shape_of(plane), dtype=np.bool_)
    reduced = block_map(slide.info, plane)
    means = np.zeros(wanted.shape, np.float32)
    for block in blocks(reduced, wanted):
        rgb, torn = read_block(LocalReader(slide), reduced, block, GLASS)
        assert not torn
        means[block.squares] = block.means((rgb[..., 1] > 128).astype(np.float32))
    whole = np.asarray(cv2.resize(slide.levels[1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    assert np.abs(means - shares(whole[..., 1] > 128, plane, 4)).max() < 0.02


def test_a_block_carries_a_margin_wider_than_the_filters_reach() -> None:
    info = info_of(20_000, 20_000)
    plane = plane_of(info, 64)
    inner = list(blocks(block_map(info, plane), np.ones(shape_of(plane), dtype=np.bool_)))[25]
    rows, columns = inner.inner
    assert rows.start == columns.start == blocks_module.MARGIN_PX
    assert inner.box_lv.height == (rows.stop + blocks_module.MARGIN_PX) * 4
