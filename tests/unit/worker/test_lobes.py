from __future__ import annotations

import cv2
import numpy as np
import pytest

from worker.cells.cytoplasm import territories
from worker.cells.lobes import group_pieces
from worker.cells.pieces import split_pieces

Disc = tuple[int, int, int]


def cells_of(nuclei: list[Disc], bodies: list[Disc]) -> list[list[int]]:
    chromatin, body = np.zeros((200, 240), np.uint8), np.zeros((200, 240), np.uint8)
    for discs, masks in ((nuclei, (chromatin, body)), (bodies, (body,))):
        for x, y, radius in discs:
            for mask in masks:
                cv2.circle(mask, (x, y), radius, 255, cv2.FILLED)
    pieces = split_pieces(chromatin, 0.25)
    grouped = group_pieces(pieces, territories(pieces.labels, body, 0.25), 0.25)
    assert sorted(piece for cell in grouped for piece in cell) == list(range(1, len(pieces.depth)))
    return grouped


def test_three_lobes_in_one_cytoplasm_are_one_cell() -> None:
    assert len(cells_of([(80, 80, 8), (100, 80, 8), (90, 97, 8)], [(90, 86, 27)])) == 1


def test_the_same_lobes_with_glass_between_them_are_three() -> None:
    assert len(cells_of([(80, 80, 8), (100, 80, 8), (90, 97, 8)], [])) == 3


def test_lobes_further_apart_than_a_gap_are_not_joined_by_their_gap() -> None:
    assert len(cells_of([(60, 80, 9), (110, 80, 9)], [(60, 80, 18), (110, 80, 18), (85, 80, 6)])) == 2


@pytest.mark.parametrize("apart", [30, 33, 38])
def test_two_lymphocytes_side_by_side_are_two_cells(apart: int) -> None:
    places = [(80, 80), (80 + apart, 80)]
    assert len(cells_of([(x, y, 15) for x, y in places], [(x, y, 19) for x, y in places])) == 2


def test_two_nuclei_of_erythroblasts_side_by_side_are_two_cells() -> None:
    places = [(80, 80), (110, 80)]
    assert len(cells_of([(x, y, 13) for x, y in places], [(x, y, 16) for x, y in places])) == 2


def test_a_bilobed_nucleus_with_large_lobes_in_one_round_body_is_one_cell() -> None:
    assert len(cells_of([(75, 80, 14), (105, 80, 14)], [(90, 80, 32)])) == 1


def test_two_plasma_cells_with_fused_cytoplasm_are_two_cells() -> None:
    assert len(cells_of([(70, 80, 15), (130, 80, 15)], [(75, 80, 28), (120, 80, 28)])) == 2


def test_a_bent_nucleus_without_a_neck_is_one_cell() -> None:
    arc = [(int(100 + 22 * np.cos(t)), int(80 + 22 * np.sin(t)), 9) for t in np.linspace(0, np.pi, 12)]
    assert len(cells_of(arc, [(100, 85, 38)])) == 1


def test_a_neighbour_does_not_join_a_lobed_cell() -> None:
    lobes = [(80, 80, 8), (100, 80, 8), (90, 97, 8)]
    cells = cells_of([*lobes, (135, 86, 15)], [(90, 86, 27), (135, 86, 19)])
    assert sorted(len(cell) for cell in cells) == [1, 3]


def test_a_chain_of_small_nuclei_does_not_become_one_cell() -> None:
    row = [(30 + 22 * i, 80, 9) for i in range(9)]
    cells = cells_of(row, [(x, y, 13) for x, y, _ in row])
    assert max(len(cell) for cell in cells) <= 3
