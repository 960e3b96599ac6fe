from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.records import CellClass
from tests.support.slide_files import texture
from worker.cells.stain import Pixels, fit_stain, optical_density
from worker.cells.stain_norm import IDENTITY, MAX_GAIN, REFERENCE, StainNorm, fit_norm
from worker.cells.stain_profile import StainProfile, measure
from worker.drawing.smear import SmearSpec, draw_smear

PALE = StainProfile(
    background=(200.0, 200.0, 196.0), nucleus=(0.5, 0.9, 0.2), red_cell=(0.1, 0.24, 0.17), cytoplasm=(0.22, 0.25, 0.05)
)
densities = st.tuples(*[st.floats(-0.3, 2.4)] * 3)


def restained(rgb: Pixels, gains: tuple[float, float, float], glass: tuple[int, int, int]) -> Pixels:
    """Return a smear as another laboratory would have stained and photographed it."""
    fit = fit_stain(rgb, 0.25)
    density = optical_density(rgb, np.array([fit.background_r, fit.background_g, fit.background_b]))
    return np.asarray(np.clip(np.rint(np.array(glass) * np.exp(-density * gains)), 0, 255), np.uint8)


def seen(rgb: Pixels) -> StainProfile:
    return measure(rgb, 0.25, fit_stain(rgb, 0.25))


def test_one_smear_in_different_stains_comes_to_the_same_colours() -> None:
    composition = {CellClass.PLASMA_CELL: 8, CellClass.LYMPHOBLAST: 8}
    rgb = draw_smear(SmearSpec(width_px=512, height_px=512, seed=1, composition=composition)).rgb
    stains = [
        ((1.0, 1.0, 1.0), (250, 240, 230)),
        ((0.65, 0.7, 0.6), (200, 205, 190)),
        ((1.2, 0.9, 1.1), (230, 240, 250)),
    ]
    before = [restained(rgb, gains, glass) for gains, glass in stains]
    after = [fit_norm(seen(one)).apply(one) for one in before]
    for part in ("background", "nucleus", "red_cell"):
        spread = [np.ptp([getattr(seen(one), part) for one in pictures], axis=0).sum() for pictures in (before, after)]
        assert spread[1] < 0.4 * spread[0], part
    assert np.abs(np.subtract(seen(after[1]).background, REFERENCE.background)).max() <= 4


def test_the_reference_itself_stays() -> None:
    rgb = texture(40, 40)
    norm = fit_norm(REFERENCE)
    assert norm.is_identity or np.abs(norm.apply(rgb).astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("missing", ["nucleus", "red_cell"])
def test_without_nuclei_or_red_cells_nothing_changes(missing: str) -> None:
    norm = fit_norm(replace(PALE, **{missing: None}))  # type: ignore[arg-type]
    assert norm == IDENTITY
    rgb = texture(10, 10)
    assert np.array_equal(norm.apply(rgb), rgb)


def test_without_basophilic_cytoplasm_the_other_anchors_serve() -> None:
    norm = fit_norm(replace(PALE, cytoplasm=None))
    assert not norm.is_identity


@given(densities, densities, densities)
def test_no_colour_is_strengthened_or_weakened_beyond_the_bound(
    nucleus: tuple[float, float, float], red_cell: tuple[float, float, float], cytoplasm: tuple[float, float, float]
) -> None:
    profile = StainProfile(background=(220.0, 220.0, 220.0), nucleus=nucleus, red_cell=red_cell, cytoplasm=cytoplasm)
    gains = np.linalg.svd(np.array(fit_norm(profile).matrix).reshape(3, 3) / 1024, compute_uv=False)
    assert gains.max() <= MAX_GAIN + 0.01
    assert gains.min() >= 1 / MAX_GAIN - 0.01


def test_a_pixel_comes_out_the_same_in_every_picture() -> None:
    norm, rgb = fit_norm(PALE), texture(64, 50)
    whole = norm.apply(rgb)
    assert np.array_equal(norm.apply(rgb[7:31, 3:4]), whole[7:31, 3:4])
    assert np.array_equal(norm.apply(rgb.reshape(5, -1, 3)), whole.reshape(5, -1, 3))
    assert whole.dtype == np.uint8


def test_glass_goes_to_glass_and_anchors_go_near_the_reference() -> None:
    norm = fit_norm(PALE)

    def colour(density: tuple[float, float, float] | None, glass: tuple[float, float, float]) -> list[int]:
        assert density is not None
        return [round((g + 1) * float(np.exp(-d)) - 1) for g, d in zip(glass, density, strict=True)]

    pixels = np.array(
        [colour(d, PALE.background) for d in ((0.0, 0.0, 0.0), PALE.nucleus, PALE.red_cell)], dtype=np.uint8
    )
    wanted = [colour(d, REFERENCE.background) for d in ((0.0, 0.0, 0.0), REFERENCE.nucleus, REFERENCE.red_cell)]
    got = norm.apply(pixels).astype(int)
    assert np.abs(got[0] - wanted[0]).max() <= 1
    assert np.abs(got[1:] - wanted[1:]).max() <= 16


def test_a_norm_survives_json() -> None:
    norm = fit_norm(PALE)
    assert StainNorm.from_json(json.loads(json.dumps(norm.to_json()))) == norm
    with pytest.raises(ValueError, match="9 numbers"):
        StainNorm.from_json({**norm.to_json(), "matrix": [1, 2]})
    with pytest.raises(KeyError):
        StainNorm.from_json({})
