from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from worker.drawing import artefacts
from worker.drawing.grid import Pixels

SHAPE = (300, 400)


def picture() -> Pixels:
    rng = np.random.default_rng(2)
    smooth = ndimage.gaussian_filter(rng.random((*SHAPE, 3)), (2, 2, 0))
    return np.asarray(120 + 130 * (smooth - smooth.min()) / np.ptp(smooth), dtype=np.uint8)


@pytest.mark.parametrize("pen", artefacts.PENS)
def test_ink_hides_what_it_covers_and_nothing_else(pen: str) -> None:
    inked = artefacts.inked(picture(), [(50, 150), (350, 150)], pen=pen, width_px=60)
    assert np.abs(inked[150, 200].astype(int) - artefacts.PENS[pen]).max() <= 1
    assert (inked[:100] == picture()[:100]).all()


def test_blur_takes_detail_only_where_it_is_wanted() -> None:
    where = artefacts.patch(SHAPE, (200, 150), 100, seed=1)
    blurred = artefacts.defocused(picture(), where, sigma_px=8)
    assert blurred[where == 1].std() < 0.5 * picture()[where == 1].std()
    assert (blurred[where == 0] == picture()[where == 0]).all()


def test_layers_darken() -> None:
    where = artefacts.disc(SHAPE, (200, 150), 80)
    means = [artefacts.layered(picture(), where, layers=layers)[150, 150:250].mean() for layers in (1, 3, 6)]
    assert means[0] > means[1] > means[2]


def test_a_bubble_has_a_dark_rim_about_a_blurred_inside() -> None:
    bubble = artefacts.bubbled(picture(), (200, 150), radius_px=90, rim_px=24)
    assert bubble[150, 110].max() < 60
    assert bubble[120:180, 170:230].std() < picture()[120:180, 170:230].std()
    assert (bubble[:20] == picture()[:20]).all()


def test_the_same_seed_gives_the_same_patch() -> None:
    one, same, other = (artefacts.patch(SHAPE, (200, 150), 60, seed=seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()
