from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.counts import SpecimenTally
from db.records import CellClass, Confusion, Specimen
from worker.correction import CorrectedShare, corrected

BLAST, LYMPHOCYTE, PLATELET = CellClass.LYMPHOBLAST, CellClass.LYMPHOCYTE, CellClass.PLATELET
CLASSES = (BLAST.value, LYMPHOCYTE.value, PLATELET.value)
MATRIX = ((900, 60, 0, 40), (50, 900, 0, 50), (0, 20, 980, 0))


def _confusion(*counts: tuple[int, ...]) -> Confusion:
    return Confusion(classes=CLASSES, counts=counts or MATRIX)


def _tally(blasts: int, lymphocytes: int, platelets: int = 0, abstained: int = 0) -> SpecimenTally:
    counts = dict(zip(CLASSES, (blasts, lymphocytes, platelets), strict=True))
    return SpecimenTally(specimen=Specimen.MARROW, counts=counts, abstained=abstained, slides_done=1)


def _blasts(tally: SpecimenTally, confusion: Confusion) -> CorrectedShare:
    return corrected(tally, confusion, [BLAST], 0.95)[BLAST]


@settings(max_examples=40)
@given(share=st.floats(0, 1), cells=st.integers(500, 5000))
def test_shares_that_calls_follow_from_are_found_again(share: float, cells: int) -> None:
    truth = np.array([share, 1 - share, 0.0])
    called = np.round(cells * truth @ (np.array(MATRIX) / 1000)).astype(int)
    found = _blasts(_tally(*map(int, called)), _confusion())
    assert found.value == pytest.approx(share, abs=0.01)
    assert found.ci_low <= share + 1e-3
    assert found.ci_high >= share - 1e-3


@settings(max_examples=40)
@given(counts=st.tuples(*[st.integers(0, 3000)] * 3), abstained=st.integers(0, 100))
def test_a_corrected_share_is_a_share_within_its_interval(counts: tuple[int, int, int], abstained: int) -> None:
    for found in corrected(_tally(*counts, abstained), _confusion(), [BLAST, LYMPHOCYTE], 0.95).values():
        assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1


def test_few_calls_that_confusion_alone_explains_are_corrected_to_nothing() -> None:
    found = _blasts(_tally(30, 540, abstained=30), _confusion())
    assert found.value < 0.01
    assert found.ci_low == 0
    assert 0.01 < found.ci_high < 0.05


def test_with_two_classes_it_is_the_estimate_of_rogan_and_gladen() -> None:
    classes = CLASSES[:2]
    matrix = Confusion(classes=classes, counts=((950, 50, 0), (100, 900, 0)))
    sensitivity, specificity, apparent = 0.95, 0.90, 0.4
    expected = (apparent + specificity - 1) / (sensitivity + specificity - 1)
    error = np.sqrt(
        apparent * (1 - apparent) / 1000 + expected**2 * 0.95 * 0.05 / 1000 + (1 - expected) ** 2 * 0.09 / 1000
    )
    found = corrected(_tally(400, 600), matrix, [BLAST], 0.95)[BLAST]
    assert found.value == pytest.approx(expected, abs=0.002)
    assert found.ci_high - found.value == pytest.approx(1.96 * error / 0.85, rel=0.05)


def test_cells_outside_the_denominator_change_nothing() -> None:
    none, many = (
        _blasts(_tally(200, 400, platelets), _confusion(*MATRIX[:2], (0, 0, 1000, 0))) for platelets in (0, 4000)
    )
    assert none.value == pytest.approx(many.value, abs=0.005)


def test_cells_outside_the_denominator_that_pass_for_counted_ones_are_taken_out() -> None:
    assert _blasts(_tally(200, 400, 4000), _confusion()).value > _blasts(_tally(200, 400), _confusion()).value + 0.03


def test_fewer_labelled_cells_make_a_wider_interval() -> None:
    tenth = _confusion(*(tuple(n // 10 for n in row) for row in MATRIX))
    sure, unsure = _blasts(_tally(300, 300), _confusion()), _blasts(_tally(300, 300), tenth)
    assert unsure.ci_high - unsure.ci_low > 1.2 * (sure.ci_high - sure.ci_low)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(4)
    rows, truth = np.array(MATRIX) / 1000, np.array([0.15, 0.80, 0.05])
    held = 0
    for _ in range(150):
        matrix = _confusion(*(tuple(map(int, rng.multinomial(120, row))) for row in rows))
        found = _blasts(_tally(*map(int, rng.multinomial(600, truth @ rows))), matrix)
        held += found.ci_low <= 0.15 / 0.95 <= found.ci_high
    assert held >= 0.9 * 150


@pytest.mark.parametrize(
    ("tally", "matrix"),
    [
        (_tally(0, 0), MATRIX),  # nothing was counted
        (_tally(300, 300), (*MATRIX[:2], (0, 0, 0, 0))),  # no platelet was labelled
        (_tally(200, 200, abstained=200), MATRIX),  # no class of the matrix was abstained so often
    ],
)
def test_a_matrix_that_cannot_serve_corrects_nothing(tally: SpecimenTally, matrix: tuple[tuple[int, ...], ...]) -> None:
    assert corrected(tally, _confusion(*matrix), [BLAST], 0.95) == {}


def test_a_class_that_the_model_does_not_know_is_left_out() -> None:
    assert corrected(_tally(300, 300), _confusion(), [CellClass.PLASMA_CELL], 0.95) == {}
