from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from db.records import CellClass
from worker.drawing.crops import draw_crops
from worker.errors import BadRequestError
from worker.training.classification.data import MPP_UM, STORED_PX, CropSet, crop_set, joined
from worker.training.classification.duplicates import (
    copied_rows,
    find_leaks,
    leaks_among,
    refuse_leaks,
    with_near_duplicates_grouped,
)

Pixels = NDArray[np.uint8]
LYMPHOCYTE = frozenset({CellClass.LYMPHOCYTE})
CELLS = draw_crops(np.random.default_rng(12), 2, crop_px=STORED_PX, mpp_um=MPP_UM)[0]


def _set(source: str, *pixels: Pixels, groups: str = "") -> CropSet:
    """Return a set in which each crop is a picture and, unless told otherwise, a group of its own."""
    return crop_set([(p, LYMPHOCYTE, (groups or "abcdefgh")[n], f"{n}.png") for n, p in enumerate(pixels)], source)


def _coded(crop: Pixels) -> Pixels:
    _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def _resampled(crop: Pixels) -> Pixels:
    small = cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, crop.shape[:2], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _shifted(crop: Pixels) -> Pixels:
    return np.asarray(np.roll(crop, (1, -2), axis=(0, 1)), dtype=np.uint8)


def _lit(crop: Pixels) -> Pixels:
    return np.asarray(np.clip(crop * 0.9 + 8, 0, 255), dtype=np.uint8)


@pytest.mark.parametrize("changed", [np.copy, _coded, _resampled, _shifted, _lit])
def test_copies_get_one_group_across_sources(changed: Callable[[Pixels], Pixels]) -> None:
    crops = joined([_set("one", CELLS[0], CELLS[1]), _set("two", CELLS[2], changed(CELLS[0]))])
    assert with_near_duplicates_grouped(crops).group.tolist() == ["one/a", "one/b", "two/a", "one/a"]


@settings(max_examples=20, deadline=None)
@given(turns=st.integers(0, 3), mirrored=st.booleans(), which=st.integers(0, 9))
def test_a_turned_or_mirrored_copy_is_found(turns: int, mirrored: bool, which: int) -> None:
    copy = np.rot90(CELLS[which], turns)
    copy = np.ascontiguousarray(copy[:, ::-1] if mirrored else copy)
    assert len(find_leaks(_set("train", CELLS[which]), _set("test", copy))) == 1


def test_different_cells_keep_their_groups() -> None:
    crops = joined([_set("one", *CELLS[:8]), _set("two", *CELLS[8:16])])
    assert with_near_duplicates_grouped(crops).group.tolist() == crops.group.tolist()


def test_cells_of_one_outline_and_different_chromatin_are_no_copies() -> None:
    rng = np.random.default_rng(3)
    glass = np.full((STORED_PX, STORED_PX, 3), 230, dtype=np.uint8)
    cell = cv2.GaussianBlur(cv2.ellipse(glass, (56, 56), (30, 22), 30.0, 0, 360, (90, 50, 130), -1), (0, 0), 3.0)
    alike = [np.clip(cell + rng.normal(0, 25, cell.shape), 0, 255).astype(np.uint8) for _ in range(2)]
    assert find_leaks(_set("train", alike[0]), _set("test", alike[1])) == []


def test_copies_of_copies_and_cells_of_one_picture_bring_whole_groups_together() -> None:
    chain = _set("one", CELLS[0], _coded(CELLS[0]), CELLS[1], groups="zya")
    fields = crop_set([(CELLS[2], LYMPHOCYTE, "f", "same.png"), (CELLS[3], LYMPHOCYTE, "g", "same.png")], "two")
    more = _set("three", _coded(CELLS[1]), CELLS[4], groups="kk")
    groups = with_near_duplicates_grouped(joined([chain, fields, more])).group.tolist()
    assert groups == ["one/y", "one/y", "one/a", "two/f", "two/f", "one/a", "one/a"]


def test_empty_glass_is_a_copy_only_of_the_very_same() -> None:
    glass = [np.full((STORED_PX, STORED_PX, 3), level, dtype=np.uint8) for level in (230, 231, 230)]
    assert with_near_duplicates_grouped(_set("one", *glass)).group.tolist() == ["one/a", "one/b", "one/a"]


def test_drawn_cells_keep_their_groups() -> None:
    crops = joined([_set("drawn_cells", CELLS[0]), _set("one", CELLS[0])])
    assert with_near_duplicates_grouped(crops).group.tolist() == ["drawn_cells/a", "one/a"]


def test_a_leak_is_refused_with_the_names_of_both_files() -> None:
    train, test = _set("train", CELLS[0], CELLS[1]), _set("test", CELLS[2], _coded(CELLS[1]))
    with pytest.raises(BadRequestError, match=r"1 pictures.*train/1\.png = test/1\.png"):
        refuse_leaks(train, test)
    refuse_leaks(train, _set("test", CELLS[2], CELLS[3]))


def test_one_search_serves_every_division() -> None:
    field = crop_set([(cell, LYMPHOCYTE, "f", "same.png") for cell in CELLS[4:6]], "two")
    crops = joined([_set("one", CELLS[0], CELLS[1], _coded(CELLS[0]), CELLS[3]), field])
    copied = copied_rows(crops)
    assert copied.tolist() == [[0, 2]]
    for train, test in (([0, 1, 4], [2, 3, 5]), ([2, 3, 5], [0, 1, 4]), ([0, 2], [1, 3]), ([0], [1])):
        parts = np.array(train), np.array(test)
        assert leaks_among(crops, copied, *parts) == find_leaks(*map(crops.where, parts))


def test_a_group_or_a_picture_on_both_sides_is_refused() -> None:
    one = crop_set([(CELLS[0], LYMPHOCYTE, "run 7", "1.png")], "set")
    other = crop_set([(CELLS[1], LYMPHOCYTE, "run 7", "2.png")], "set")
    with pytest.raises(BadRequestError, match=r"1 groups.*set/run 7"):
        refuse_leaks(one, other)
    of_the_same_field = crop_set([(CELLS[1], LYMPHOCYTE, "run 8", "1.png")], "set")
    with pytest.raises(BadRequestError, match=r"set/1\.png = set/1\.png"):
        refuse_leaks(one, of_the_same_field)


def test_many_leaks_are_named_in_short() -> None:
    with pytest.raises(BadRequestError, match=r"8 pictures.*…"):
        refuse_leaks(_set("train", *CELLS[:8]), _set("test", *CELLS[:8]))
