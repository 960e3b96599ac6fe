from __future__ import annotations

import cv2
import numpy as np
import pytest

from worker.training.segmentation.metrics import Labels
from worker.training.segmentation.partial import partial_counts, without_rim

MPP_UM = 0.5
RADIUS_PX = 12  # 113 µm²
CLUMP = [(40, 40), (62, 40), (51, 59)]


def discs(*centres: tuple[int, int], radius: int = RADIUS_PX) -> Labels:
    image = np.zeros((120, 160), np.int32)
    for label, centre in enumerate(centres, start=1):
        cv2.circle(image, centre, radius, label, cv2.FILLED)
    return image


def as_one(labels: Labels) -> Labels:
    return (labels > 0).astype(np.int32)


def test_cells_without_an_outline_are_no_errors() -> None:
    found = discs((40, 40), (100, 40), (100, 80), (140, 80))
    judged = partial_counts(discs((40, 40)), found, MPP_UM).strict
    assert (judged.truth, judged.hits, judged.precision, judged.recall) == (1, 1, 1.0, 1.0)
    assert judged.matched_dice == 1


def test_a_clump_told_apart_misses_strictly_and_matches_joined() -> None:
    cells = discs(*CLUMP)
    judged = partial_counts(as_one(cells), cells, MPP_UM)
    assert (judged.strict.hits, judged.joined.hits, judged.joined.matched_dice) == (0, 1, 1.0)
    assert (judged.merged, judged.single.truth) == (1, 0)


def test_a_cell_mostly_outside_is_no_part_of_a_component() -> None:
    truth = as_one(discs((40, 40)))
    neighbour = np.roll(truth, 14, axis=1) > 0  # a third of it inside
    left = (truth > 0) & ~neighbour
    judged = partial_counts(truth, np.where(left, 1, 2 * neighbour), MPP_UM)
    assert judged.joined.matched_dice == pytest.approx(2 * left.sum() / (truth.sum() + left.sum()))


def test_round_cells_do_not_look_merged_and_crumbs_are_counted_as_missed() -> None:
    truth = discs((30, 30), (90, 60)) + 3 * discs((140, 20), radius=2)
    judged = partial_counts(truth, np.zeros_like(truth), MPP_UM)
    assert (judged.merged, judged.crumbs, judged.strict.truth, judged.strict.recall) == (0, 1, 3, 0.0)
    found = partial_counts(truth, np.where(truth == 2, 1, 0), MPP_UM)
    assert (found.strict.recall, found.single.recall, found.single.truth) == (1 / 3, 1 / 2, 2)


def test_a_component_larger_than_any_cell_looks_merged() -> None:
    assert partial_counts(discs((60, 60), radius=23), discs(), MPP_UM).merged == 1
    assert partial_counts(discs((60, 60), radius=20), discs(), MPP_UM).merged == 0


def test_partial_counts_add_up() -> None:
    one = partial_counts(as_one(discs(*CLUMP)), discs(*CLUMP), MPP_UM)
    both = one + one
    assert (both.strict.truth, both.joined.hits, both.merged) == (2, 2, 2)
    assert both.joined.matched_dice == one.joined.matched_dice


@pytest.mark.parametrize(
    ("stranger", "kept"),
    [((5, 100), False), ((159, 20), False), ((120, 60), True), ((80, 119 - 13), True)],
    ids=["left rim", "right rim", "inside", "not quite at the rim"],
)
def test_only_strangers_at_the_rim_are_ignored(stranger: tuple[int, int], kept: bool) -> None:
    truth, found = discs((60, 40)), discs((62, 40), stranger)
    assert (2 in without_rim(truth, found)) is kept
    assert 1 in without_rim(truth, found)


def test_a_cell_at_the_rim_that_touches_the_true_one_counts() -> None:
    truth, found = discs((30, 40)), discs((30, 40), (5, 40))
    assert np.array_equal(without_rim(truth, found), found)
