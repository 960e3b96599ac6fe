"""Cells that persons judged are known; the matrix is asked of the others alone, and of none where it cannot serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from db.counts import APART, Share, SpecimenTally
from db.records import CellClass, Confusion, Specimen
from worker.correction import Use, beside, corrected, use_of

BLAST, LYMPHOCYTE, PLATELET = CellClass.LYMPHOBLAST, CellClass.LYMPHOCYTE, CellClass.PLATELET
CLASSES = (BLAST.value, LYMPHOCYTE.value, PLATELET.value)
ABSTAINED = len(CLASSES)
MATRIX = np.array([[900, 60, 0, 40], [50, 900, 0, 50], [0, 20, 980, 0]])
TRUTH = (0.15, 0.80, 0.05)
TRUE_SHARE = 0.15 / 0.95
LABELLED = 300
_Numbers = NDArray[np.int64]
Chosen = Callable[[_Numbers, _Numbers, np.random.Generator], NDArray[np.bool_]]


def tally_of(truth: _Numbers, call: _Numbers, judged: NDArray[np.bool_]) -> SpecimenTally:
    """Return the cells as they count when the judged ones were given their true class."""
    names = (*CLASSES, "abstained")
    said: dict[str, dict[str, int]] = {}
    for a, b in zip(truth[judged], call[judged], strict=True):
        given_class = said.setdefault(names[b], {})
        given_class[names[a]] = given_class.get(names[a], 0) + 1
    stands = np.where(judged, truth, call)
    counts = {name: int((stands == no).sum()) for no, name in enumerate(CLASSES)}
    abstained = int((stands == ABSTAINED).sum())
    return SpecimenTally(specimen=Specimen.MARROW, counts=counts, abstained=abstained, slides_done=1, judged=said)


def drawn(
    rng: np.random.Generator, chosen: Chosen, *, cells: int = 600, truth: Sequence[float] = TRUTH
) -> tuple[SpecimenTally, Confusion]:
    """Draw a patient, whose cells a person chose so, and the matrix as so many labelled cells show it."""
    rows = MATRIX / MATRIX.sum(axis=1, keepdims=True)
    true = rng.choice(len(CLASSES), size=cells, p=truth)
    call = (rng.random(cells)[:, None] > rows[true].cumsum(axis=1)[:, :-1]).sum(axis=1)
    counts = tuple(tuple(map(int, rng.multinomial(LABELLED, row))) for row in rows)
    return tally_of(true, call, chosen(true, call, rng)), Confusion(classes=CLASSES, counts=counts)


CHOSEN: dict[str, Chosen] = {
    "no cell": lambda truth, _call, _rng: np.zeros(len(truth), np.bool_),
    "a third": lambda truth, _call, rng: np.asarray(rng.random(len(truth)) < 1 / 3),
    "all called blasts": lambda _truth, call, _rng: call == CLASSES.index(BLAST),
    "all abstained": lambda _truth, call, _rng: call == ABSTAINED,
    "wrong ones": lambda truth, call, _rng: truth != call,
}


@pytest.mark.parametrize("chosen", ["a third", "all called blasts", "all abstained"])
def test_intervals_hold_the_truth_however_calls_were_chosen_to_be_judged(chosen: str) -> None:
    rng = np.random.default_rng(5)
    found = [corrected(*drawn(rng, CHOSEN[chosen]), [BLAST], 0.95) for _ in range(150)]
    given_ones = [one[BLAST] for one in found if one]
    assert len(given_ones) >= 145
    assert np.mean([one.value for one in given_ones]) == pytest.approx(TRUE_SHARE, abs=0.006)
    assert sum(one.ci_low <= TRUE_SHARE <= one.ci_high for one in given_ones) >= 0.9 * len(given_ones)


@pytest.mark.parametrize("chosen", ["a third", "all called blasts"])
def test_intervals_hold_a_rare_truth_too_of_which_persons_may_have_seen_no_cell(chosen: str) -> None:
    rng, rare = np.random.default_rng(9), (0.01, 0.94, 0.05)
    found = [corrected(*drawn(rng, CHOSEN[chosen], truth=rare), [BLAST], 0.95) for _ in range(150)]
    ends = [(one[BLAST].ci_low, one[BLAST].ci_high) for one in found if one]
    assert len(ends) >= 145
    assert sum(low <= 0.01 / 0.95 <= high for low, high in ends) >= 0.93 * len(ends)


def test_judged_cells_make_the_interval_narrower() -> None:
    widths = []
    for chosen in ("no cell", "a third", "all called blasts"):
        found = corrected(*drawn(np.random.default_rng(6), CHOSEN[chosen]), [BLAST], 0.95)[BLAST]
        widths.append(found.ci_high - found.ci_low)
    assert widths == sorted(widths, reverse=True)


def test_words_on_wrong_calls_alone_are_told_by_how_many_were_wrong() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        tally, matrix = drawn(rng, CHOSEN["wrong ones"])
        assert corrected(tally, matrix, [BLAST], 0.95) == {}
        assert use_of(tally, matrix) is Use.UNFIT


def test_a_matrix_that_persons_find_too_gloomy_corrects_nothing() -> None:
    counts = {BLAST.value: 400, LYMPHOCYTE.value: 1600}
    judged = {name: {name: n // 2} for name, n in counts.items()}
    tally = SpecimenTally(specimen=Specimen.MARROW, counts=counts, abstained=0, slides_done=1, judged=judged)
    gloomy = Confusion(classes=CLASSES, counts=((700, 300, 0, 0), (300, 700, 0, 0), (0, 0, 1000, 0)))
    assert corrected(tally, gloomy, [BLAST], 0.95) == {}


MANY = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=80)


@settings(max_examples=60)
@given(cells=MANY)
def test_where_every_cell_is_judged_the_corrected_share_is_the_counted_one(cells: list[tuple[int, int, bool]]) -> None:
    truth, call = (np.array([one[no] for one in cells]) for no in (0, 1))
    tally = tally_of(truth, call, np.ones(len(cells), np.bool_))
    counted = {BLAST: Share(value=0.25, ci_low=0.1, ci_high=0.5, threshold=None, p_above=None)}
    matrix = Confusion(classes=CLASSES, counts=tuple(tuple(map(int, row)) for row in MATRIX))
    (one,) = beside(tally, counted, matrix, 0.95)
    assert one["corrected"] == one["counted"]
    assert use_of(tally, matrix) is Use.NEEDLESS


@settings(max_examples=60)
@given(cells=MANY)
def test_a_corrected_share_is_a_share_within_its_interval(cells: list[tuple[int, int, bool]]) -> None:
    truth, call = (np.array([one[no] for one in cells]) for no in (0, 1))
    tally = tally_of(truth, call, np.array([one[2] for one in cells]))
    matrix = Confusion(classes=CLASSES, counts=tuple(tuple(map(int, row)) for row in MATRIX))
    for found in corrected(tally, matrix, [BLAST, LYMPHOCYTE], 0.95).values():
        assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1


def test_a_class_that_the_model_does_not_know_is_in_the_denominator_when_a_person_gave_it() -> None:
    plasma = CellClass.PLASMA_CELL.value
    matrix = Confusion(classes=CLASSES, counts=((9999, 0, 0, 1), (1, 9998, 0, 1), (0, 0, 9999, 1)))
    counts = {BLAST.value: 200, LYMPHOCYTE.value: 700, plasma: 100}
    judged = {"abstained": {plasma: 100}}
    tally = SpecimenTally(specimen=Specimen.MARROW, counts=counts, abstained=0, slides_done=1, judged=judged)
    few = replace(tally, counts=counts | {plasma: 3}, judged={"abstained": {plasma: 3}})
    assert corrected(tally, matrix, [BLAST], 0.95) == {}, "far more were abstained than of any class of the matrix"
    assert corrected(few, matrix, [BLAST], 0.95)[BLAST].value == pytest.approx(200 / 903, abs=1e-4)


def test_named_debris_that_was_in_no_sample_changes_no_corrected_share() -> None:
    tally, matrix = drawn(np.random.default_rng(10), CHOSEN["a third"])
    debris: dict[str, dict[str, int]] = {APART: {PLATELET.value: 300}}
    counts = dict(tally.counts) | {PLATELET.value: tally.counts[PLATELET.value] + 300}
    named = replace(tally, counts=counts, judged={**tally.judged, **debris})
    before = corrected(tally, matrix, [BLAST], 0.95)
    assert before
    assert corrected(named, matrix, [BLAST], 0.95) == before


def test_a_cell_that_was_in_no_sample_counts_as_it_was_named() -> None:
    tally, matrix = drawn(np.random.default_rng(10), CHOSEN["a third"])
    counts = dict(tally.counts) | {BLAST.value: tally.counts[BLAST.value] + 60}
    named = replace(tally, counts=counts, judged={**tally.judged, APART: {BLAST.value: 60}})
    before, after = (corrected(one, matrix, [BLAST], 0.95)[BLAST] for one in (tally, named))
    counted_cells = sum(n for name, n in tally.counts.items() if name != PLATELET.value) + tally.abstained
    expected = (before.value * counted_cells + 60) / (counted_cells + 60)
    assert after.value == pytest.approx(expected, abs=0.005)
    assert after.ci_high - after.ci_low < before.ci_high - before.ci_low
