from __future__ import annotations

import cv2
import numpy as np
import pytest

from worker.cells.pieces import NO_NECK, Labels, Pieces, split_by_depth, split_pieces, summed
from worker.cells.stain import Pixels


def discs(*discs: tuple[int, int, int]) -> Pixels:
    mask = np.zeros((120, 160), np.uint8)
    for x, y, radius in discs:
        cv2.circle(mask, (x, y), radius, 255, cv2.FILLED)
    return mask


def pieces_of(mask: Pixels) -> Pieces:
    found = split_pieces(mask, 0.25)
    assert np.array_equal(found.labels > 0, mask > 0), "pieces share out the whole mask and nothing else"
    assert sorted(np.unique(found.labels[found.labels > 0])) == list(range(1, len(found.depth)))
    return found


def test_a_round_nucleus_is_one_piece() -> None:
    found = pieces_of(discs((60, 60, 20)))
    assert len(found.depth) == 2
    assert not found.necks


def test_a_ragged_outline_makes_no_pieces() -> None:
    mask = discs((60, 60, 20))
    noise = np.random.default_rng(1).random(mask.shape) < 0.5
    rim = cv2.dilate(mask, np.ones((3, 3), np.uint8)) - cv2.erode(mask, np.ones((3, 3), np.uint8))
    mask[(rim > 0) & noise] = 0
    assert len(split_pieces(mask, 0.25).depth) == 2


def test_a_long_nucleus_with_a_ragged_outline_is_one_piece() -> None:
    mask = discs(*((x, 60, 13) for x in range(40, 90)))
    rng = np.random.default_rng(2)
    for x in range(32, 100, 4):
        mask[60 - 13 + int(rng.integers(0, 3)), x : x + 3] = 0
        mask[: 60 - 12 + int(rng.integers(0, 2)), x : x + 2] = 0
    assert len(split_pieces(mask, 0.25).depth) == 2


@pytest.mark.parametrize("apart", [28, 32, 36])
def test_two_touching_nuclei_are_cut_at_the_neck(apart: int) -> None:
    found = pieces_of(discs((50, 60, 20), (50 + apart, 60, 20)))
    assert len(found.depth) == 3
    assert found.labels[60, 50] != found.labels[60, 50 + apart]
    border = np.flatnonzero(np.diff(found.labels[60, 40 : 50 + apart]) != 0) + 40
    assert abs(int(border[0]) - (50 + apart // 2)) <= 2
    assert found.necks[1, 2] < NO_NECK * min(found.depth[1], found.depth[2])


def test_the_neck_narrows_with_the_distance() -> None:
    necks = [pieces_of(discs((50, 60, 20), (50 + apart, 60, 20))).necks[1, 2] for apart in (28, 32, 36)]
    assert necks == sorted(necks, reverse=True)


def test_a_bump_in_the_neck_does_not_glue_two_nuclei_together() -> None:
    found = pieces_of(discs((40, 60, 18), (100, 60, 18), (70, 60, 14)))
    assert found.labels[60, 40] != found.labels[60, 100]


def test_pieces_far_apart_have_no_neck() -> None:
    found = pieces_of(discs((30, 30, 10), (100, 80, 15)))
    assert len(found.depth) == 3
    assert not found.necks


def test_an_empty_mask_has_no_pieces() -> None:
    found = pieces_of(discs())
    assert len(found.depth) == 1
    assert not found.labels.any()


def test_shifting_the_picture_shifts_the_pieces() -> None:
    shape = [(50, 50, 18), (76, 58, 15), (60, 75, 9)]
    one = split_pieces(discs(*shape), 0.25)
    other = split_pieces(discs(*((x + 17, y + 5, r) for x, y, r in shape)), 0.25)
    assert np.array_equal(one.labels[:100, :120], other.labels[5:105, 17:137])
    assert one.necks == other.necks


def test_the_left_edge_is_no_neighbour_of_the_right_edge() -> None:
    found = pieces_of(discs((0, 60, 20), (159, 60, 12)))
    assert len(found.depth) == 3
    assert not found.necks


def ridge(*depths: int) -> Labels:
    return np.tile(np.array(depths, np.int32), (3, 1))


@pytest.mark.parametrize(("valley", "pieces"), [(59, 2), (60, 1)])
def test_a_given_depth_is_cut_at_valleys_below_a_share_of_the_shallower_side(valley: int, pieces: int) -> None:
    found = split_by_depth(ridge(0, 50, 100, valley, 120, 50, 0), 0.6)
    assert len(found.depth) == 1 + pieces
    assert found.depth.max() == 120
    assert dict(found.necks) == ({(1, 2): 59} if pieces == 2 else {})


def test_depths_that_reach_the_edge_on_all_sides_are_one_piece() -> None:
    found = split_by_depth(np.full((40, 50), 7, np.int32), NO_NECK)
    assert (found.labels == 1).all()


@pytest.mark.parametrize("values", [2, 256])
def test_noise_has_a_bounded_number_of_pieces(values: int) -> None:
    noise = np.random.default_rng(6).integers(0, values, (256, 256), dtype=np.uint8)
    unmerged = split_by_depth(summed(noise) + 1, 2.0)
    assert 100 < len(unmerged.depth) < noise.size / 12
    assert len(unmerged.necks) < 4 * len(unmerged.depth)
    assert len(split_by_depth(summed(noise) + 1, NO_NECK).depth) < len(unmerged.depth) / 4


def test_a_long_way_up_is_climbed() -> None:
    path = np.zeros((199, 100), np.int32)
    for row in range(0, 199, 2):
        there = slice(None, None, 1 if row % 4 == 0 else -1)
        path[row, there] = np.arange(100) + 101 * (row // 2) + 1
        if row < 198:
            path[row + 1, 99 if row % 4 == 0 else 0] = 101 * (row // 2 + 1)
    found = split_by_depth(path, NO_NECK)
    assert found.depth.tolist() == [0, 101 * 99 + 100]
    assert np.array_equal(found.labels > 0, path > 0)
