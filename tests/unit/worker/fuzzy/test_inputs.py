from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.records import CellClass
from tests.support.called_cells import CLASSES, called_cell, field_of
from worker.fuzzy.inputs import Field, inputs_of, nucleus_offset, threshold_probability
from worker.fuzzy.released import DEFAULT_SYSTEM, SYSTEMS

BLAST, PLASMA, NEUTROPHIL = CellClass.LYMPHOBLAST, CellClass.PLASMA_CELL, CellClass.NEUTROPHIL
THRESHOLDS = {BLAST: 0.2, PLASMA: 0.1}


def test_every_input_of_the_released_systems_is_measured() -> None:
    measured = inputs_of(field_of(called_cell(NEUTROPHIL)))
    assert set(measured) == set(SYSTEMS[DEFAULT_SYSTEM].input_by_name)


def test_shares_are_of_the_cells_that_a_verdict_counts() -> None:
    field = field_of(
        [called_cell(BLAST)] * 2,
        called_cell(BLAST, abstained=True),
        called_cell(NEUTROPHIL),
        [called_cell(CellClass.PLATELET), called_cell(CellClass.SMUDGE, abstained=True)],
    )
    measured = inputs_of(field)
    assert (measured["cells"], measured["called"], measured["lymphoblast_share"]) == (4.0, 0.75, 0.5)
    assert measured["lymphoblast_share_at_least"] == pytest.approx(0.0676, abs=1e-3)  # 2 of 4 at 95 %


def test_suspected_cells_are_described_by_their_middle_one() -> None:
    field = field_of(*(called_cell(BLAST, nc_ratio=ratio, sure=0.9) for ratio in (0.5, 0.8, 0.9)))
    measured = inputs_of(field)
    assert measured["lymphoblast_nc_ratio"] == 0.8
    assert measured["lymphoblast_confidence"] == pytest.approx(0.9)
    assert measured["plasma_cell_nc_ratio"] is None
    assert measured["plasma_cell_confidence"] is None


@pytest.mark.parametrize("offset", [0.0, 0.2, 0.45])
def test_the_offset_of_a_nucleus_is_in_radii_of_the_cell(offset: float) -> None:
    cell = called_cell(PLASMA, offset=offset, radius_um=8.0)
    assert nucleus_offset(cell, 0.25) == pytest.approx(offset, abs=0.03)


def test_an_outline_without_area_has_no_offset() -> None:
    assert nucleus_offset(called_cell(PLASMA, outline_l0=((1, 1), (2, 2), (3, 3))), 0.25) == 0.0


def test_outlines_that_no_cell_has_are_told() -> None:
    star = ((100, 60), (104, 78), (130, 80), (104, 84), (100, 110), (96, 84), (70, 80), (96, 78))
    good, jagged = called_cell(NEUTROPHIL), called_cell(NEUTROPHIL, outline_l0=star)
    tiny, huge = called_cell(NEUTROPHIL, radius_um=2.0), called_cell(NEUTROPHIL, radius_um=16.0)
    assert inputs_of(field_of(good, jagged, tiny, huge))["outlines"] == 0.25


def test_a_field_without_counted_cells_is_refused() -> None:
    empty = field_of(called_cell(CellClass.PLATELET))
    with pytest.raises(ValueError, match="no shares"):
        inputs_of(empty)
    with pytest.raises(ValueError, match="no shares"):
        threshold_probability(empty, THRESHOLDS)


def _by_counting(field: Field) -> float:
    """Go through all ways in which the cells can be what they are not known to be."""
    number = len(field.counted)
    chances = [(field.probability(cell, BLAST), field.probability(cell, PLASMA)) for cell in field.counted]
    reached = 0.0
    for way in product((0, 1, 2), repeat=number):
        if way.count(0) >= 0.2 * number - 1e-9 or way.count(1) >= 0.1 * number - 1e-9:
            reached += prod((b, p, 1 - b - p)[kind] for (b, p), kind in zip(chances, way, strict=True))
    return reached


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), min_size=1, max_size=6))
def test_the_probability_of_a_threshold_is_that_of_all_ways_to_reach_it(chances: list[tuple[float, float]]) -> None:
    cells = []
    for blast, share_of_rest in chances:
        probabilities = np.zeros(len(CLASSES))
        probabilities[CLASSES.index(BLAST)] = blast
        probabilities[CLASSES.index(PLASMA)] = (1 - blast) * share_of_rest
        cells.append(replace(called_cell(NEUTROPHIL), probabilities=tuple(probabilities)))
    field = field_of(cells)
    assert threshold_probability(field, THRESHOLDS) == pytest.approx(_by_counting(field), abs=1e-9)


def test_a_class_that_the_model_does_not_know_is_improbable() -> None:
    cell = replace(called_cell(NEUTROPHIL), probabilities=(0.3, 0.7))
    field = Field(cells=[cell], classes=(BLAST, NEUTROPHIL), mpp_um=0.25)
    assert threshold_probability(field, THRESHOLDS) == pytest.approx(0.3)
