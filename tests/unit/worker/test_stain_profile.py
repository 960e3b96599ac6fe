from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.painted import BLUE_CYTOPLASM, CHROMATIN, GLASS, MPP_UM, RED_CELL, field, plasma_cell, red_cell
from worker.cells.stain import Pixels, fit_stain, optical_density
from worker.cells.stain_profile import FLOORS, LEAST_SLIDES, NAMES, Profile, StainProfile, drift, measure

RED_CELLS = [disc for x in range(30, 600, 60) for y in (40, 360) for disc in red_cell(x, y)]
PLASMA_CELLS = [disc for x in range(60, 560, 90) for disc in plasma_cell(x, 200)]


def profile_of(sample: Pixels) -> StainProfile:
    return measure(sample, MPP_UM, fit_stain(sample, MPP_UM))


def density(colour: tuple[int, int, int]) -> list[float]:
    return [float(one) for one in optical_density(np.array(colour, np.uint8), np.array(GLASS, float))]


def test_each_part_has_its_own_colour() -> None:
    found = profile_of(field(600, 400, [*RED_CELLS, *PLASMA_CELLS]))
    assert found.background == pytest.approx(GLASS, abs=2)
    assert found.nucleus == pytest.approx(density(CHROMATIN), abs=0.05)
    assert found.red_cell == pytest.approx(density(RED_CELL), abs=0.05)
    assert found.cytoplasm == pytest.approx(density(BLUE_CYTOPLASM), abs=0.05)


def test_what_is_not_there_is_absent() -> None:
    found = profile_of(field(600, 400, RED_CELLS))
    assert found.nucleus is None
    assert found.cytoplasm is None
    assert found.red_cell is not None
    assert found.components()[3:6] == (None, None, None)
    empty = profile_of(np.full((60, 60, 3), 230, np.uint8))
    assert empty.components()[3:] == (None,) * 9


def test_blue_far_from_nuclei_is_no_cytoplasm() -> None:
    assert profile_of(field(600, 400, [*RED_CELLS, (300, 200, 60, (170, 170, 205))])).cytoplasm is None


def test_components_follow_the_names() -> None:
    found = profile_of(field(600, 400, [*RED_CELLS, *PLASMA_CELLS]))
    by_name = dict(zip(NAMES, found.components(), strict=True))
    assert len(FLOORS) == len(NAMES)
    assert (by_name["nucleus_g"], by_name["red_cell_r"]) == (found.nucleus[1], found.red_cell[0])  # type: ignore[index]


USUAL = (236.0, 228.0, 220.0, 0.81, 1.45, 0.34, 0.19, 0.25, 0.155, 0.29, 0.32, 0.1)


def moved_by(floors: float) -> Profile:
    return tuple(value + floors * floor for value, floor in zip(USUAL, FLOORS, strict=True))


def slides(number: int, seed: int = 1) -> list[Profile]:
    rng = np.random.default_rng(seed)
    return [tuple(float(v + 2 * f * rng.normal()) for v, f in zip(USUAL, FLOORS, strict=True)) for _ in range(number)]


def test_a_usual_slide_lies_about_one_deviation_away_and_a_strange_one_far() -> None:
    earlier = slides(60)
    usual = [drift(one, earlier) for one in slides(30, seed=2)]
    assert 0.8 < float(np.median([one for one in usual if one is not None])) < 1.25
    strange = drift(moved_by(12), earlier)
    assert strange == pytest.approx(6, rel=0.3)


def test_a_few_odd_slides_in_the_history_change_little() -> None:
    earlier = slides(60)
    assert drift(USUAL, [*earlier, *[moved_by(100)] * 5]) == pytest.approx(drift(USUAL, earlier), abs=0.2)


def test_equal_slides_do_not_make_every_breath_a_drift() -> None:
    assert drift(moved_by(1), [USUAL] * LEAST_SLIDES) == pytest.approx(1.0)


def test_too_few_earlier_slides_say_nothing() -> None:
    assert drift(USUAL, [USUAL] * (LEAST_SLIDES - 1)) is None
    assert drift((None,) * len(NAMES), [USUAL] * LEAST_SLIDES) is None


@given(st.sets(st.integers(0, len(NAMES) - 1), max_size=len(NAMES) - 1))
def test_absent_components_are_left_out_on_either_side(absent: set[int]) -> None:
    moved = moved_by(3)
    thinned: Profile = tuple(None if place in absent else value for place, value in enumerate(moved))
    assert drift(thinned, [USUAL] * LEAST_SLIDES) == pytest.approx(3.0)
    partly: list[Profile] = [tuple(None if p in absent else v for p, v in enumerate(USUAL))] * LEAST_SLIDES
    assert drift(moved, partly) == pytest.approx(3.0)


def test_a_fit_without_nuclei_does_not_shift_the_red_cells() -> None:
    sample = field(600, 400, RED_CELLS)
    fit = fit_stain(sample, MPP_UM)
    assert measure(sample, MPP_UM, replace(fit, threshold=0.9)).red_cell == measure(sample, MPP_UM, fit).red_cell
