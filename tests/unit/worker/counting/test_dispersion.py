from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, norm, t

from db.counts import Measured, SlideTally
from db.records import CellClass
from tests.support.tallies import marrow_of
from worker.counting.dispersion import between_areas, between_slides, design_effect

BLAST = CellClass.LYMPHOBLAST


def slide(no: int, blasts: int, others: int, *, areas: tuple[float, int] | None = None) -> SlideTally:
    measured = {} if areas is None else {BLAST.value: Measured(areas_chi2=areas[0], areas_df=areas[1])}
    counts = {"lymphoblast": blasts, "neutrophil": others, "smudge": 40 * no}
    return SlideTally(slide_id=no, counts=counts, abstained=0, measured=measured)


def test_slides_are_compared_by_pearsons_chi_square() -> None:
    blasts, others = [60, 30, 45], [240, 270, 155]
    found = between_slides(marrow_of(*(slide(no, *pair) for no, pair in enumerate(zip(blasts, others, strict=True)))))
    reference = chi2_contingency(np.array([blasts, others]), correction=False)
    one = next(one for one in found if one.cell_class == BLAST)
    assert [one.chi2, one.p] == pytest.approx([reference.statistic, reference.pvalue])
    assert one.df == 2
    assert {one.cell_class for one in found} == {"lymphoblast", "neutrophil"}  # no smudge cells: they are not counted


def test_a_single_slide_or_a_rare_class_is_not_compared() -> None:
    assert between_slides(marrow_of(slide(1, 60, 240))) == []
    assert [one.cell_class for one in between_slides(marrow_of(slide(1, 0, 300), slide(2, 1, 299)))] == []


def test_areas_of_all_slides_are_taken_together() -> None:
    (one,) = between_areas(marrow_of(slide(1, 60, 240, areas=(30.0, 10)), slide(2, 60, 240, areas=(20.0, 15))))
    assert (one.chi2, one.df, one.dispersion) == (50.0, 25, 2.0)


def test_of_few_areas_only_an_unevenness_that_chance_does_not_explain_takes_cells_away() -> None:
    even = marrow_of(slide(1, 60, 240, areas=(7.0, 4)), slide(2, 62, 238))
    assert design_effect(even, BLAST) == 1.0
    uneven = marrow_of(slide(1, 60, 240, areas=(12.0, 4)), slide(2, 62, 238))
    assert design_effect(uneven, BLAST) == 3.0
    apart = marrow_of(slide(1, 20, 280, areas=(12.0, 4)), slide(2, 120, 180))
    assert design_effect(apart, BLAST) == next(one.dispersion for one in between_slides(apart)) > 3


def test_of_many_areas_any_unevenness_does_with_an_allowance_for_its_own_uncertainty() -> None:
    def effect(chi2: float) -> float:
        return design_effect(marrow_of(slide(1, 60, 240, areas=(chi2, 19))), BLAST)

    allowance = (t.ppf(0.975, 19) / norm.ppf(0.975)) ** 2
    assert effect(19 * 1.3) == pytest.approx(1.3 * allowance)  # chance explains that much: p is 0.17
    assert effect(0.5 * 19) == 1.0
    assert effect(19 / allowance) == pytest.approx(1.0)
