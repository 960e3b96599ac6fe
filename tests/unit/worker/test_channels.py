from __future__ import annotations

import numpy as np
import pytest

from tests.support.painted import BLUE_CYTOPLASM, CHROMATIN, GLASS, MPP_UM, RED_CELL, Rgb, field, lymphocyte, red_cell
from worker.cells.channels import OD_SCALE, ZERO, above, channels, level
from worker.cells.stain import StainFit, fit_stain


@pytest.fixture(scope="module")
def fit() -> StainFit:
    discs = [*lymphocyte(60, 60), *lymphocyte(160, 60), *(d for x in range(30, 300, 60) for d in red_cell(x, 150))]
    return fit_stain(field(300, 200, discs), MPP_UM)


def nuclear(colour: Rgb, fit: StainFit) -> int:
    flat = np.empty((16, 16, 3), np.uint8)
    flat[:] = colour
    return int(channels(flat, fit).nuclear[8, 8])


def test_only_chromatin_exceeds_the_threshold(fit: StainFit) -> None:
    limit = level(fit.threshold)
    assert nuclear(CHROMATIN, fit) > limit
    assert max(nuclear(colour, fit) for colour in (GLASS, RED_CELL, BLUE_CYTOPLASM, (20, 20, 20))) < limit


def test_half_the_light_leaves_the_nucleus_channel_as_it_is(fit: StainFit) -> None:
    red, green, blue = CHROMATIN
    dim = (red * 3 // 4, green * 3 // 4, blue * 3 // 4)
    assert nuclear(dim, fit) == pytest.approx(nuclear(CHROMATIN, fit), abs=4)


def test_deep_blue_cytoplasm_is_pulled_down_by_its_red_density(fit: StainFit) -> None:
    deep_blue = (70, 66, 160)  # OD green - OD blue alone would be 0.87
    assert nuclear(deep_blue, fit) < level(fit.threshold) < level(0.8)


def test_levels_are_densities_in_grey_levels() -> None:
    assert level(1.0) == OD_SCALE
    assert level(-0.1, ZERO) == ZERO - 8
    assert (level(-1.0), level(9.0)) == (0, 255)


def test_above_is_strict() -> None:
    channel = np.array([[39, 40, 41]], np.uint8)
    assert above(channel, 0.5).tolist() == [[0, 0, 255]]
