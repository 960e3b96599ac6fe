from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.training.segmentation.metrics import (
    Counts,
    Labels,
    Mask,
    aggregated_jaccard,
    counts,
    mask_dice,
    mask_jaccard,
    overlap,
)

images = arrays(np.int32, (9, 10), elements=st.integers(0, 5))


def blocks(*columns: tuple[int, int, int]) -> Labels:
    """Return a (10, 40) image of cells 10 px high: label, first column, end column."""
    image = np.zeros((10, 40), np.int32)
    for label, first, end in columns:
        image[:, first:end] = label
    return image


def renumbered(labels: Labels, order: list[int]) -> Labels:
    return np.array([0, *(100 + 7 * number for number in order)], np.int32)[labels]


def masks(labels: Labels) -> list[Mask]:
    """Return the cells one by one, in the order of their first pixels."""
    numbers, first = np.unique(labels, return_index=True)
    return [labels == n for _, n in sorted(zip(first.tolist(), numbers.tolist(), strict=True)) if n > 0]


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def mirrored(c: Counts) -> tuple[int, int, int]:
    return c.found, c.truth, c.hits


def test_figures_of_a_worked_example() -> None:
    truth = blocks((1, 0, 10), (2, 12, 22), (3, 30, 34))
    found = blocks((1, 0, 8), (2, 8, 12), (4, 19, 29))
    shared = overlap(truth, found)
    assert shared.shared.tolist() == [[80, 20, 0], [0, 0, 30], [0, 0, 0]]
    found_counts = counts(shared)
    assert (found_counts.truth, found_counts.found, found_counts.hits) == (3, 3, 1)
    assert found_counts.f1 == pytest.approx(1 / 3)
    assert found_counts.segmentation_quality == pytest.approx(0.8)
    assert found_counts.matched_dice == pytest.approx(160 / 180)
    # The first cell meets the first found one (80 of 100), the second the third (30 of 170); the third cell meets
    # none (40), and the second found one serves none (40).
    assert aggregated_jaccard(shared) == pytest.approx((80 + 30) / (100 + 170 + 40 + 40))
    assert mask_dice(truth > 0, found > 0) == pytest.approx(2 * 130 / (240 + 220))
    assert mask_jaccard(truth > 0, found > 0) == pytest.approx(130 / (240 + 220 - 130))


def test_half_in_common_is_no_match() -> None:
    assert counts(overlap(blocks((1, 0, 10)), blocks((1, 0, 5)))).hits == 0
    assert counts(overlap(blocks((1, 0, 10)), blocks((1, 0, 6)))).hits == 1


def test_found_cells_may_serve_several_true_ones_in_the_aggregated_index() -> None:
    shared = overlap(blocks((1, 0, 5), (2, 5, 10)), blocks((1, 0, 10)))
    assert aggregated_jaccard(shared) == pytest.approx(100 / 200)


def test_an_empty_field_found_empty_is_right_and_any_cell_in_it_wrong() -> None:
    nothing = overlap(blocks(), blocks())
    assert aggregated_jaccard(nothing) == counts(nothing).f1 == counts(nothing).panoptic_quality == 1
    invented = overlap(blocks(), blocks((1, 3, 9)))
    assert aggregated_jaccard(invented) == counts(invented).f1 == counts(invented).panoptic_quality == 0
    assert counts(invented).precision == 0
    assert counts(invented).error == 1


def test_images_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        overlap(blocks(), blocks()[:, :5])


@given(truth=images, found=images)
def test_panoptic_quality_is_what_its_definition_says(truth: Labels, found: Labels) -> None:
    ious = [iou(one, other) for one in masks(truth) for other in masks(found)]
    paired = [value for value in ious if value > 0.5]
    unpaired = len(masks(truth)) + len(masks(found)) - 2 * len(paired)
    expected = sum(paired) / (len(paired) + unpaired / 2) if paired or unpaired else 1.0
    assert counts(overlap(truth, found)).panoptic_quality == pytest.approx(expected)


@given(truth=images, found=images)
def test_the_aggregated_index_is_what_its_algorithm_says(truth: Labels, found: Labels) -> None:
    above, below, others, used = 0, 0, masks(found), set()
    for one in masks(truth):
        ious = [iou(one, other) for other in others]
        best = int(np.argmax(ious)) if any(ious) else None
        above += int((one & others[best]).sum()) if best is not None else 0
        below += int((one | others[best]).sum()) if best is not None else int(one.sum())
        used.add(best)
    below += sum(int(other.sum()) for number, other in enumerate(others) if number not in used)
    assert aggregated_jaccard(overlap(truth, found)) == pytest.approx(above / below if below else 1.0)


@given(image=images)
def test_an_image_agrees_with_itself_in_all(image: Labels) -> None:
    shared = overlap(image, image)
    own = counts(shared)
    assert own.truth == own.found == own.hits == len(np.unique(image[image > 0]))
    assert own.precision == own.recall == own.f1 == own.panoptic_quality == 1
    assert aggregated_jaccard(shared) == mask_dice(image > 0, image > 0) == mask_jaccard(image > 0, image > 0) == 1


@given(truth=images, found=images, order=st.permutations([1, 2, 3, 4, 5]))
def test_numbering_changes_nothing(truth: Labels, found: Labels, order: list[int]) -> None:
    plain, other = overlap(truth, found), overlap(renumbered(truth, order), renumbered(found, order[::-1]))
    assert counts(plain) == counts(other)
    assert aggregated_jaccard(plain) == aggregated_jaccard(other)


@pytest.mark.parametrize("order", [[1, 2, 3, 4, 5], [2, 1, 3, 4, 5]])
def test_numbering_does_not_break_a_tie(order: list[int]) -> None:
    # Both found cells have three tenths in common with the true one: 30 of 100 px, and 60 of 200.
    found = renumbered(blocks((1, 0, 3), (2, 4, 20)), order)
    assert aggregated_jaccard(overlap(blocks((1, 0, 10)), found)) == pytest.approx(30 / (100 + 160))


@given(truth=images, found=images)
def test_exchanging_the_images_exchanges_precision_and_recall(truth: Labels, found: Labels) -> None:
    forth, back = counts(overlap(truth, found)), counts(overlap(found, truth))
    assert mirrored(forth) == (back.truth, back.found, back.hits)
    assert (forth.precision, forth.recall) == (back.recall, back.precision)
    assert forth.panoptic_quality == pytest.approx(back.panoptic_quality)
    assert mask_dice(truth > 0, found > 0) == mask_dice(found > 0, truth > 0)


@given(truth=images, found=images)
def test_figures_are_bounded_by_one_another(truth: Labels, found: Labels) -> None:
    shared = overlap(truth, found)
    these, jaccard = counts(shared), mask_jaccard(truth > 0, found > 0)
    assert 0 <= aggregated_jaccard(shared) <= jaccard + 1e-12
    assert these.panoptic_quality == pytest.approx(these.f1 * these.segmentation_quality)
    assert jaccard <= mask_dice(truth > 0, found > 0) <= 1
    assert these.hits <= min(these.truth, these.found)
    assert np.count_nonzero(shared.iou > 0.5, axis=0).max(initial=0) <= 1


@given(pairs=st.lists(st.tuples(images, images), min_size=1, max_size=3))
def test_counts_of_disjoint_fields_add_up(pairs: list[tuple[Labels, Labels]]) -> None:
    apart = sum((counts(overlap(truth, found)) for truth, found in pairs), start=Counts())
    truth, found = (np.concatenate([np.where(p[i] > 0, p[i] + 10 * n, 0) for n, p in enumerate(pairs)]) for i in (0, 1))
    joint = counts(overlap(truth, found))
    assert (joint.truth, joint.found, joint.hits) == (apart.truth, apart.found, apart.hits)
    assert (joint.iou_sum, joint.dice_sum) == pytest.approx((apart.iou_sum, apart.dice_sum))
