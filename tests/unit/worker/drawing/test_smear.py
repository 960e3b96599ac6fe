"""worker.drawing.smear and placement: the truth is what was drawn."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.records import CellClass
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear
from worker.drawing.stain import Stain
from worker.errors import BadRequestError

SPEC = SmearSpec(
    width_px=1200,
    height_px=900,
    seed=5,
    composition={
        CellClass.LYMPHOBLAST: 14,
        CellClass.NEUTROPHIL: 12,
        CellClass.PLASMA_CELL: 8,
        CellClass.ERYTHROBLAST: 10,
    },
    touching=0.4,
    smudges=2,
    deposits_per_mm2=40,
)


@pytest.fixture(scope="module")
def smear() -> DrawnSmear:
    return draw_smear(SPEC)


def test_truth_has_the_composition_asked_for(smear: DrawnSmear) -> None:
    assert smear.rgb.shape == (900, 1200, 3)
    assert smear.known.composition == SPEC.composition
    kinds = {cell.cell_class for cell in smear.known.uncounted}
    assert kinds == {CellClass.PLATELET, CellClass.SMUDGE, CellClass.ARTEFACT}
    assert sum(cell.cell_class is CellClass.SMUDGE for cell in smear.known.uncounted) == 2


def test_truth_lies_where_the_nuclei_are_labelled(smear: DrawnSmear) -> None:
    for number, cell in enumerate(smear.truth, start=1):
        rows, cols = np.nonzero(smear.nuclei == number)
        assert (cell.x_l0, cell.y_l0) == pytest.approx((cols.mean(), rows.mean()))
        assert cell.nucleus_area_um2 == pytest.approx(rows.size * 0.25**2)
        if cell.cell_class is not CellClass.NEUTROPHIL:  # a lobed nucleus may bend about its own middle
            assert smear.nuclei[round(cell.y_l0), round(cell.x_l0)] == number


def test_pixels_are_dark_where_nuclei_are_labelled(smear: DrawnSmear) -> None:
    green = smear.rgb[..., 1]
    glass = float(np.median(green))
    for number in range(1, len(smear.truth) + 1):
        assert float(np.median(green[smear.nuclei == number])) < glass - 90


def test_dark_pixels_are_labelled_or_known(smear: DrawnSmear) -> None:
    dark = (smear.rgb[..., 1] < 100).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dark)
    known = smear.cells > 0
    for cell in smear.known.uncounted:
        known[round(cell.y_l0) - 40 : round(cell.y_l0) + 41, round(cell.x_l0) - 40 : round(cell.x_l0) + 41] = True
    stray = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > 60 and not known[labels == i].any()]
    assert stray == []


def test_each_nucleus_lies_in_its_own_cell(smear: DrawnSmear) -> None:
    inside = smear.nuclei > 0
    assert np.array_equal(smear.nuclei[inside], smear.cells[inside])


def test_stated_share_touches(smear: DrawnSmear) -> None:
    touching = [number for number, cell in enumerate(smear.truth, start=1) if cell.touching]
    assert len(touching) == pytest.approx(0.4 * len(smear.truth), abs=1)
    for number in touching:
        grown = cv2.dilate((smear.cells == number).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert set(np.unique(smear.cells[grown])) - {0, number}


def test_clumps_have_the_sizes_asked_for() -> None:
    cells = {CellClass.LYMPHOCYTE: 10, CellClass.MONOCYTE: 7, CellClass.NEUTROPHIL: 8}
    spec = replace(SPEC, composition=cells, touching=1.0, clump_sizes={4: 1.0, 5: 1.0}, smudges=0)
    smear = draw_smear(spec)
    count, clumps = cv2.connectedComponents((smear.cells > 0).astype(np.uint8))
    sizes = [len(np.unique(smear.cells[clumps == number])) for number in range(1, count)]
    assert set(sizes) - {1} == {4, 5}
    assert sizes.count(1) == sum(not cell.touching for cell in smear.truth) < 4


def test_a_rest_too_small_for_a_clump_lies_alone() -> None:
    spec = replace(SPEC, composition={CellClass.LYMPHOCYTE: 5}, touching=1.0, clump_sizes={3: 1.0}, smudges=0)
    assert sum(cell.touching for cell in draw_smear(spec).truth) == 3


def test_usual_clumps_are_drawn_as_before_their_sizes_could_be_chosen(smear: DrawnSmear) -> None:
    again = draw_smear(replace(SPEC, clump_sizes={2: 0.7, 3: 0.3}))
    assert np.array_equal(smear.cells, again.cells)
    # The truth of seed 5 as it was when clumps were always of two or three.
    places = [(cell.x_l0, cell.y_l0) for cell in (smear.truth[0], smear.truth[-1])]
    assert np.allclose(places, [(734.39, 383.52), (369.02, 746.25)], atol=0.01)


def test_cells_that_do_not_touch_lie_apart(smear: DrawnSmear) -> None:
    alone = [number for number, cell in enumerate(smear.truth, start=1) if not cell.touching]
    for number in alone:
        grown = cv2.dilate((smear.cells == number).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        assert set(np.unique(smear.cells[grown])) <= {0, number}


def test_same_seed_same_pixels(smear: DrawnSmear) -> None:
    again, other = draw_smear(SPEC), draw_smear(replace(SPEC, seed=6))
    assert np.array_equal(smear.rgb, again.rgb)
    assert smear.known == again.known
    assert not np.array_equal(smear.rgb, other.rgb)


def test_red_cells_follow_their_density() -> None:
    bare = replace(SPEC, composition={}, smudges=0, platelets_per_mm2=0, deposits_per_mm2=0, stain=Stain.usual())
    covered = [
        float((draw_smear(replace(bare, red_cells_per_mm2=density)).rgb[..., 1] < 200).mean())
        for density in (0.0, 2000.0, 8000.0)
    ]
    assert covered[0] == 0
    assert covered[2] > 2 * covered[1] > 0.04


def test_megakaryocyte_can_be_drawn_among_others() -> None:
    spec = replace(SPEC, composition={CellClass.MEGAKARYOCYTE: 1, CellClass.LYMPHOCYTE: 3})
    assert draw_smear(spec).known.composition == {CellClass.LYMPHOCYTE: 3, CellClass.MEGAKARYOCYTE: 1}


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    touching=st.floats(0, 1),
    blasts=st.integers(0, 12),
    neutrophils=st.integers(0, 12),
)
def test_nuclei_never_meet_nor_leave_the_field(seed: int, touching: float, blasts: int, neutrophils: int) -> None:
    composition = {CellClass.LYMPHOBLAST: blasts, CellClass.NEUTROPHIL: neutrophils}
    smear = draw_smear(SmearSpec(width_px=700, height_px=700, seed=seed, composition=composition, touching=touching))
    pieces = cv2.connectedComponents((smear.nuclei > 0).astype(np.uint8))[0] - 1
    assert pieces == blasts + neutrophils == len(np.unique(smear.nuclei)) - 1
    border = np.ones(smear.nuclei.shape, bool)
    border[2:-2, 2:-2] = False
    assert not smear.cells[border].any()


def test_too_many_cells_are_refused() -> None:
    with pytest.raises(BadRequestError, match="do not fit into 200 x 200 px"):
        draw_smear(SmearSpec(width_px=200, height_px=200, seed=1, composition={CellClass.LYMPHOBLAST: 40}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"composition": {CellClass.SMUDGE: 1}}, "not nucleated cells.*smudge"),
        ({"composition": {CellClass.MONOCYTE: -1, CellClass.LYMPHOCYTE: 3}}, "negative.*monocyte"),
        ({"composition": {CellClass.MONOCYTE: 70_000}}, "65535"),
        ({"touching": 1.5}, "share from 0 to 1"),
        ({"clump_sizes": {1: 1.0}}, "two cells or more"),
        ({"clump_sizes": {2: 0.0}}, "weight above 0"),
    ],
)
def test_wrong_specs_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        replace(SPEC, **change)  # type: ignore[arg-type]
