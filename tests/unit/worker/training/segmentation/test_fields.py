from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from worker.training.segmentation.fields import DRAWN_CLUMPS, drawn, listed
from worker.training.segmentation.sets import SETS, FieldSet, Known

SINGLE = FieldSet(folder="single", known=Known.MIDDLE_CELL, mpp_um=0.2, nuclei=True, same_groups_as="other")
FIELDS = FieldSet(folder="single", known=Known.EVERY_CELL, width_um=30.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of one picture 60 px wide, red on the left, with a cell, its nucleus and another cell, and one unmasked."""
    (tmp_path / "single").mkdir()
    rgb, mask = np.full((50, 60, 3), 255, np.uint8), np.zeros((50, 60), np.uint8)
    rgb[:, :30] = (200, 10, 20)
    mask[10:30, 10:30], mask[15:20, 15:20], mask[40:45, 40:45] = 128, 255, 255
    mask[2, 2] = 9  # a leftover of a lossy file
    cv2.imwrite(str(tmp_path / "single/a.png"), rgb[..., ::-1])
    cv2.imwrite(str(tmp_path / "single/a_mask.png"), mask)
    with (tmp_path / "single/manifest.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerows([["file", "mask", "group_id"], ["a.png", "a_mask.png", "g1"], ["b.png", "", "g2"]])
    return tmp_path


def test_a_picture_is_read_at_its_own_resolution(folder: Path) -> None:
    (one,) = listed(folder, SINGLE)
    assert (one.name, one.source, one.group) == ("a", "single", "other/g1")
    field = one.load()
    assert (field.mpp_um, field.known) == (0.2, Known.MIDDLE_CELL)
    assert field.rgb.shape == (50, 60, 3)
    assert field.rgb[0, 0].tolist() == [200, 10, 20]
    assert [int((field.cells == label).sum()) for label in (1, 2)] == [400, 25]
    assert field.cells.max() == 2
    assert field.nuclei is not None
    assert int(field.nuclei.sum()) == 50


def test_scale_may_follow_from_the_width_and_nuclei_be_unknown(folder: Path) -> None:
    (one,) = listed(folder, FIELDS)
    assert one.group == "single/g1"
    assert (one.load().mpp_um, one.load().nuclei) == (0.5, None)


def test_unreadable_pictures_and_sets_without_scale_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="neither"):
        listed(folder, FieldSet(folder="single", known=Known.EVERY_CELL))[0].load()
    (folder / "single/a_mask.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a_mask\.png is not a readable picture"):
        listed(folder, SINGLE)[0].load()


def test_the_same_fields_at_two_sizes_share_their_groups() -> None:
    by_name = {one.folder: one for one in SETS}
    assert by_name["segpc_mm_native"].same_groups_as == "segpc_mm_512"


def test_drawn_clumps_are_of_two_to_five_and_all_is_known() -> None:
    first, second = drawn(DRAWN_CLUMPS, 2, cells=9)
    assert first.group != second.group
    field = first.load()
    count, clumps = cv2.connectedComponents((field.cells > 0).astype(np.uint8))
    sizes = {len(np.unique(field.cells[clumps == number])) for number in range(1, count)}
    assert sizes <= {1, 2, 3, 4, 5}
    assert max(sizes) >= 4
    assert field.known is Known.EVERY_CELL
    assert field.nuclei is not None
    assert (field.cells[field.nuclei] > 0).all()
