from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.slide_files import info_of
from worker.errors import BadSlideError
from worker.geometry import LATTICE_PX
from worker.slides.scale import Scale, ScaleEstimate, plane_for, resolve


@pytest.mark.parametrize(
    ("header", "declared", "site", "expected"),
    [
        (0.25, 0.04, 0.1, (0.25, "header")),
        (None, 0.04, 0.1, (0.04, "sidecar")),
        (None, None, 0.1, (0.1, "site")),
    ],
)
def test_the_header_comes_first_then_the_sidecar_then_the_site(
    header: float | None, declared: float | None, site: float | None, expected: tuple[float, str]
) -> None:
    scale = resolve(info_of(10, 10, mpp_um=header), declared, site)
    assert (scale.mpp_um, scale.source) == expected


@pytest.mark.parametrize(("declared", "site"), [(None, None), (353.0, 0.1), (0.0, None), (float("nan"), None)])
def test_a_scale_is_never_guessed(declared: float | None, site: float | None) -> None:
    with pytest.raises(BadSlideError) as caught:
        resolve(info_of(10, 10, mpp_um=None), declared, site)
    assert caught.value.code == "scale_unknown"
    assert "--mpp" in caught.value.remedy


def test_an_estimate_is_asked_for_last_and_keeps_its_error() -> None:
    read_off = ScaleEstimate(mpp_um=0.3, error_um=0.02, n_red_cells=40)

    def never() -> ScaleEstimate | None:
        raise AssertionError("a stated scale needs no estimate")

    assert resolve(info_of(10, 10, mpp_um=None), None, 0.1, never).source == "site"
    assert resolve(info_of(10, 10, mpp_um=None), None, None, lambda: read_off) == Scale(
        mpp_um=0.3, source="estimated", error_um=0.02
    )


def test_an_estimate_that_is_none_or_absurd_leaves_the_scale_unknown() -> None:
    for answer in (None, ScaleEstimate(mpp_um=0.019, error_um=0.001, n_red_cells=40)):
        with pytest.raises(BadSlideError, match="scale_unknown"):
            resolve(info_of(10, 10, mpp_um=None), None, None, lambda answer=answer: answer)  # type: ignore[misc]


@given(st.floats(0.02, 5.0), st.floats(0.1, 1.0), st.integers(1, 200_000), st.integers(1, 200_000))
def test_the_plane_covers_the_slide_and_no_pixel_more(mpp_um: float, target: float, width: int, height: int) -> None:
    info = info_of(width, height)
    scale = Scale(mpp_um=mpp_um, source="header")
    if min(width, height) * mpp_um < 7 or mpp_um > 4 * target:
        with pytest.raises(BadSlideError, match=r"too_small|too_coarse"):
            plane_for(info, scale, target)
        return
    plane = plane_for(info, scale, target)
    assert plane.factor == plane.factor_64ths / 64
    assert (LATTICE_PX * plane.factor).is_integer()
    assert abs(plane.mpp_um - target) <= max(mpp_um / 64, 0.031 * target)
    assert (plane.width_work - 1) * plane.factor < width <= plane.width_work * plane.factor
    assert (plane.height_work - 1) * plane.factor < height <= plane.height_work * plane.factor


def test_a_slide_at_the_target_keeps_its_pixels() -> None:
    plane = plane_for(info_of(1000, 700), Scale(mpp_um=0.25, source="header"), 0.25)
    assert (plane.factor, plane.box.width, plane.box.height) == (1.0, 1000, 700)


def test_a_scale_mistyped_tenfold_is_refused_before_it_costs_hours() -> None:
    with pytest.raises(BadSlideError, match="too_coarse"):
        plane_for(info_of(2000, 2000), Scale(mpp_um=2.5, source="sidecar"), 0.25)


def factor(mpp_um: float, target: float = 0.25, **info: Any) -> float:
    return plane_for(info_of(1000, 700, **info), Scale(mpp_um=mpp_um, source="header"), target).factor


@pytest.mark.parametrize("mpp_um", [0.2428, 0.2465, 0.25, 0.2525, 0.2574])
def test_a_scanner_near_the_models_scale_is_read_by_its_own_pixels(mpp_um: float) -> None:
    plane = plane_for(info_of(1000, 700), Scale(mpp_um=mpp_um, source="header"), 0.25)
    assert plane.factor == 1.0
    assert plane.mpp_um == mpp_um  # measures in µm stay true


@pytest.mark.parametrize(("mpp_um", "expected"), [(0.2420, 66 / 64), (0.2600, 62 / 64), (0.22, 73 / 64)])
def test_beyond_three_percent_a_slide_is_resampled_to_the_models_scale(mpp_um: float, expected: float) -> None:
    assert factor(mpp_um) == expected


def test_half_and_twice_the_size_are_taken_too() -> None:
    assert (factor(0.499), factor(0.1255)) == (0.5, 2.0)


def test_the_scale_of_a_level_is_taken_where_its_own_pixels_are_read() -> None:
    sizes: dict[str, Any] = {"level_sizes": ((1000, 700), (333, 233)), "level_downsamples": (1.0, 3.0)}
    assert factor(0.0823, whole_px_levels=(True, True), **sizes) == 3.0
    assert factor(0.0823, whole_px_levels=(True, False), **sizes) == 194 / 64


@given(st.floats(0.05, 0.9), st.floats(0.1, 1.0))
def test_no_factor_is_further_off_than_three_percent_or_a_64th(mpp_um: float, target: float) -> None:
    if mpp_um <= 4 * target:
        taken, wanted = factor(mpp_um, target), target / mpp_um
        assert abs(taken - wanted) <= max(0.03 * taken, 0.5 / 64)
