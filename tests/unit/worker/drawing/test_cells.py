"""worker.drawing.cells: sizes, proportions and colours by which the classes are told apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest

from db.records import NOT_COUNTED, CellClass
from worker.drawing.cells import CellSprite, draw_cell, draw_red_cell
from worker.drawing.stain import Stain

MPP_UM = 0.25
NUCLEATED = [c for c in CellClass if c not in NOT_COUNTED]


@cache
def cells(cell_class: CellClass) -> tuple[CellSprite, ...]:
    rng, count = np.random.default_rng(11), 4 if cell_class is CellClass.MEGAKARYOCYTE else 30
    return tuple(draw_cell(cell_class, rng, mpp_um=MPP_UM, stain=Stain.usual()) for _ in range(count))


def median(cell_class: CellClass, of: Callable[[CellSprite], float]) -> float:
    return float(np.median([of(cell) for cell in cells(cell_class)]))


def diameter_um(cell: CellSprite) -> float:
    return float(2 * np.sqrt(cell.cell.sum() / np.pi)) * MPP_UM


def nc_ratio(cell: CellSprite) -> float:
    return float(cell.nucleus.sum() / cell.cell.sum())


def nucleus_green(cell: CellSprite) -> float:
    return float(np.median(cell.rgb[..., 1][cell.nucleus]))


def cytoplasm(cell: CellSprite) -> tuple[float, float, float]:
    inner = cv2.erode(cell.cell.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    outer = cv2.dilate(cell.nucleus.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    if np.count_nonzero(inner & outer) < 8:  # a blast may show next to none
        return 255.0, 255.0, 255.0
    red, green, blue = np.median(cell.rgb[inner & outer], axis=0)
    return float(red), float(green), float(blue)


@pytest.mark.parametrize("cell_class", CellClass)
def test_sprite_is_consistent(cell_class: CellClass) -> None:
    for cell in cells(cell_class)[:8]:
        assert cell.rgb.shape == (*cell.alpha.shape, 3)
        assert cell.rgb.dtype == np.uint8
        assert cell.cell_class is cell_class
        assert cell.cell.any()
        assert not (cell.nucleus & ~cell.cell).any()
        edge = np.concatenate([cell.alpha[0], cell.alpha[-1], cell.alpha[:, 0], cell.alpha[:, -1]])
        assert float(edge.max()) == 0.0  # nothing is cut off


@pytest.mark.parametrize("cell_class", NUCLEATED)
def test_nucleus_is_one_piece(cell_class: CellClass) -> None:
    pieces = [cv2.connectedComponents(cell.nucleus.astype(np.uint8))[0] - 1 for cell in cells(cell_class)]
    assert pieces == [1] * len(pieces)


@pytest.mark.parametrize("cell_class", NUCLEATED)
def test_nucleus_is_darker_than_its_cytoplasm(cell_class: CellClass) -> None:
    for cell in cells(cell_class):
        assert cytoplasm(cell)[1] - nucleus_green(cell) > 25


@pytest.mark.parametrize(
    ("cell_class", "low_um", "high_um"),
    [
        (CellClass.LYMPHOBLAST, 10, 17),
        (CellClass.BLAST_OTHER, 12.5, 20),
        (CellClass.PLASMA_CELL, 11, 19),
        (CellClass.LYMPHOCYTE, 7, 13.5),
        (CellClass.MONOCYTE, 12.5, 20),
        (CellClass.NEUTROPHIL, 10.5, 15.5),
        (CellClass.EOSINOPHIL, 11, 16.5),
        (CellClass.BASOPHIL, 9, 14),
        (CellClass.IMMATURE_GRANULOCYTE, 11, 21.5),
        (CellClass.ERYTHROBLAST, 7.5, 13.5),
        (CellClass.MEGAKARYOCYTE, 30, 62),
        (CellClass.PLATELET, 1.5, 5),
    ],
)
def test_diameters_are_those_of_a_smear(cell_class: CellClass, low_um: float, high_um: float) -> None:
    usual = np.percentile([diameter_um(cell) for cell in cells(cell_class)], [5, 95])
    assert low_um < usual[0]
    assert usual[1] < high_um


def test_nuclei_fill_their_cells_in_the_known_order() -> None:
    order = [CellClass.LYMPHOBLAST, CellClass.BLAST_OTHER, CellClass.MONOCYTE, CellClass.PLASMA_CELL]
    ratios = [median(c, nc_ratio) for c in order]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 0.75
    assert median(CellClass.LYMPHOCYTE, nc_ratio) > median(CellClass.ERYTHROBLAST, nc_ratio)


def test_chromatin_darkens_from_blast_to_erythroblast() -> None:
    order = [CellClass.BLAST_OTHER, CellClass.LYMPHOBLAST, CellClass.LYMPHOCYTE, CellClass.ERYTHROBLAST]
    greens = [median(c, nucleus_green) for c in order]
    assert greens == sorted(greens, reverse=True)


def test_plasma_cell_nucleus_lies_off_centre() -> None:
    def eccentricity(cell: CellSprite) -> float:
        nucleus, body = np.argwhere(cell.nucleus).mean(axis=0), np.argwhere(cell.cell).mean(axis=0)
        return float(np.hypot(*(nucleus - body))) * MPP_UM / diameter_um(cell)

    assert median(CellClass.PLASMA_CELL, eccentricity) > 2 * median(CellClass.LYMPHOBLAST, eccentricity)


def test_plasma_cell_pales_beside_its_nucleus() -> None:
    def paler(cell: CellSprite) -> float:
        nucleus, body = np.argwhere(cell.nucleus).mean(axis=0), np.argwhere(cell.cell).mean(axis=0)
        step = (body - nucleus) / np.hypot(*(body - nucleus))
        reach = np.sqrt(cell.nucleus.sum() / np.pi) + 1.2 / MPP_UM
        row, col = np.round(nucleus + step * reach).astype(int)
        return float(cell.rgb[row, col, 1]) - cytoplasm(cell)[1]

    assert median(CellClass.PLASMA_CELL, paler) > 15


def test_cytoplasm_has_the_colour_of_its_class() -> None:
    plasma = [cytoplasm(cell) for cell in cells(CellClass.PLASMA_CELL)]
    eosinophil = [cytoplasm(cell) for cell in cells(CellClass.EOSINOPHIL)]
    neutrophil = [cytoplasm(cell) for cell in cells(CellClass.NEUTROPHIL)]
    assert all(blue > red + 20 for red, _, blue in plasma)
    assert all(red > blue + 25 for red, _, blue in eosinophil)
    assert all(red > green for red, green, _ in neutrophil)
    assert np.median([green for _, green, _ in neutrophil]) > np.median([g for _, g, _ in eosinophil]) + 25


@pytest.mark.parametrize("cell_class", [CellClass.PLATELET, CellClass.ARTEFACT])
def test_bodies_without_a_nucleus_have_none(cell_class: CellClass) -> None:
    assert not any(cell.nucleus.any() for cell in cells(cell_class))


def test_neutrophils_are_lobed() -> None:
    def solidity(cell: CellSprite) -> float:
        outlines, _ = cv2.findContours(cell.nucleus.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(outlines, key=cv2.contourArea)
        return cv2.contourArea(outline) / cv2.contourArea(cv2.convexHull(outline))

    assert median(CellClass.NEUTROPHIL, solidity) < 0.8
    assert median(CellClass.LYMPHOCYTE, solidity) > 0.93


@pytest.mark.parametrize("mpp_um", [0.06, 0.125, 0.5])
def test_size_in_micrometres_holds_at_every_scale(mpp_um: float) -> None:
    rng = np.random.default_rng(3)
    drawn = [draw_cell(CellClass.LYMPHOBLAST, rng, mpp_um=mpp_um, stain=Stain.usual()) for _ in range(25)]
    area_um2 = np.mean([cell.cell.sum() for cell in drawn]) * mpp_um**2
    usual_um2 = np.mean([cell.cell.sum() for cell in cells(CellClass.LYMPHOBLAST)]) * MPP_UM**2
    assert area_um2 == pytest.approx(usual_um2, rel=0.2)


def test_same_random_numbers_same_cell() -> None:
    first, again = (
        draw_cell(CellClass.BASOPHIL, np.random.default_rng(5), mpp_um=MPP_UM, stain=Stain.usual()) for _ in range(2)
    )
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.alpha, again.alpha)


def test_red_cells_are_paler_in_the_middle_and_seven_micrometres_wide() -> None:
    rng = np.random.default_rng(2)
    drawn = [draw_red_cell(rng, mpp_um=0.25, stain=Stain.usual()).passed[..., 1] for _ in range(40)]
    widths = [2 * np.sqrt((light < 235).sum() / np.pi) * 0.25 for light in drawn]
    pallor = [float(light[tuple(n // 2 for n in light.shape)]) - float(light[light < 235].mean()) for light in drawn]
    assert 6.3 < np.median(widths) < 8.2
    assert np.median(pallor) > 8
