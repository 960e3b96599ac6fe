from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.training.segmentation.fields import Listed, TrueField
from worker.training.segmentation.metrics import Labels
from worker.training.segmentation.scores import FieldScore, SourceScore, ratio, score_field, score_source
from worker.training.segmentation.sets import Known

MIDDLE, STRANGER = (60, 50), (4, 20)


def discs(*centres: tuple[int, int], radius: int = 14) -> NDArray[np.int32]:
    image = np.zeros((100, 120), np.int32)
    for label, centre in enumerate(centres, start=1):
        cv2.circle(image, centre, radius, label, cv2.FILLED)
    return image


def listed(name: str, cells: NDArray[np.int32], known: Known = Known.EVERY_CELL) -> Listed:
    nuclei = None if known is Known.SOME_CELLS else discs(MIDDLE, radius=6) > 0
    rgb = np.zeros((*cells.shape, 3), np.uint8)
    field = TrueField(rgb=rgb, mpp_um=0.5, cells=cells, nuclei=nuclei, known=known)
    return Listed(name=name, source="a", group=f"a/{name}", load=lambda: field)


def judged(known: Known, *found: tuple[int, int]) -> FieldScore:
    one = listed("one", discs(MIDDLE), known)
    return score_field(one, one.load(), discs(*found), discs(MIDDLE, radius=6))


def test_a_found_stranger_counts_in_the_first_figure_and_not_in_the_second() -> None:
    score = judged(Known.MIDDLE_CELL, MIDDLE, STRANGER)
    assert score.whole is not None
    assert score.without_rim is not None
    assert score.whole.dice < 0.9
    assert (score.without_rim.dice, score.nucleus_dice) == (1.0, 1.0)
    assert (score.whole.counts.error, score.without_rim.counts.error) == (1, 0)
    assert score.mark == score.whole.dice


def test_where_some_cells_are_outlined_only_recall_is_judged() -> None:
    score = judged(Known.SOME_CELLS, MIDDLE, STRANGER)
    assert (score.whole, score.without_rim, score.clumps, score.nucleus_dice) == (None, None, None, None)
    assert score.partial is not None
    assert (score.partial.strict.recall, score.mark) == (1.0, 1.0)
    assert judged(Known.SOME_CELLS, STRANGER).mark == 0


def test_a_source_is_segmented_at_its_own_scale_and_added_up() -> None:
    fields = [listed("one", discs(MIDDLE)), listed("two", discs(MIDDLE, (20, 80)))]
    seen: list[float] = []

    def segment(rgb: NDArray[np.uint8], mpp_um: float) -> tuple[Labels, Labels]:
        seen.append(mpp_um)
        return discs(MIDDLE), np.zeros(rgb.shape[:2], np.int32)

    told: list[int] = []
    score = score_source("mine", fields, segment, lambda: told.append(1))
    assert (seen, len(told), len(score.fields)) == ([0.5, 0.5], 2, 2)
    assert (score.counts.truth, score.counts.found, score.counts.hits) == (3, 2, 2)
    assert (score.source, score.fields[1].group, score.count_error) == ("a", "a/two", 0.5)
    assert score.partial is None
    nuclei = score.mean(lambda one: one.nucleus_dice)
    assert nuclei is not None
    assert nuclei.value == 0
    assert score.mean(lambda one: one.without_rim.dice if one.without_rim else None) is None


def test_partial_fields_add_up() -> None:
    one = judged(Known.SOME_CELLS, MIDDLE)
    both = SourceScore(source="a", segmenter="mine", known=Known.SOME_CELLS, fields=(one, replace(one, name="two")))
    assert both.partial is not None
    assert both.partial.strict.truth == both.counts.truth == 2


def test_fields_of_no_or_two_sources_are_refused() -> None:
    one = listed("one", discs(MIDDLE))
    for fields in ([], [one, replace(one, source="b")]):
        with pytest.raises(ValueError, match="fields of one source"):
            score_source("mine", fields, lambda _rgb, _mpp_um: (discs(), discs()))


@settings(max_examples=40)
@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_interval_holds_the_figure_and_stays_among_the_values(values: list[float]) -> None:
    figure = ratio([str(n) for n in range(len(values))], [(value, 1.0) for value in values])
    assert figure is not None
    assert figure.low is not None
    assert figure.high is not None
    assert min(values) - 1e-9 <= figure.low <= figure.high <= max(values) + 1e-9
    assert figure.value == pytest.approx(np.mean(values))


def test_fields_of_a_group_are_drawn_together() -> None:
    values = [(value, 1.0) for value in [0.0] * 10 + [1.0] * 10]
    by_field = ratio([str(n) for n in range(20)], values)
    by_group = ratio(["low"] * 10 + ["high"] * 10, values)
    assert by_field is not None
    assert by_field.low is not None
    assert by_group is not None
    assert by_field.low > 0.2
    assert (by_group.low, by_group.high) == (0.0, 1.0)


def test_one_group_has_no_interval_and_nothing_no_ratio() -> None:
    assert ratio(["g", "g"], [(1.0, 1.0), (0.0, 1.0)]) == ratio(["g"], [(1.0, 2.0)])
    assert ratio(["g", "h"], [(1.0, 0.0), (0.0, 0.0)]) is None
