from __future__ import annotations

import pytest

from worker.errors import BadSlideError
from worker.slides.slide import check_limits, plausible_mpp_um, whole_downsample


@pytest.mark.parametrize(
    ("mpp_x_um", "mpp_y_um", "expected"),
    [
        (0.25, 0.25, 0.25),
        (0.25, 0.254, 0.252),
        (0.25, 0.3, None),  # no single scale describes it
        (352.78, 352.78, None),  # 72 dots per inch
        (0.0, 0.0, None),
        (float("nan"), float("nan"), None),
        (0.02, 0.02, 0.02),
        (5.0, 5.0, 5.0),
    ],
)
def test_only_a_plausible_scale_is_taken_over(mpp_x_um: float, mpp_y_um: float, expected: float | None) -> None:
    assert plausible_mpp_um(mpp_x_um, mpp_y_um) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("size_l0", "size_lv", "expected"),
    [
        ((300, 250), (300, 250), 1),
        ((300, 250), (75, 62), 4),  # rounded down
        ((300, 250), (75, 63), 4),  # rounded up
        ((300, 250), (120, 100), None),  # 2.5
        ((300, 250), (75, 125), None),  # axes differ
        ((10, 10), (40, 40), None),
    ],
)
def test_a_whole_downsample_is_recognised_through_rounding(
    size_l0: tuple[int, int], size_lv: tuple[int, int], expected: int | None
) -> None:
    assert whole_downsample(size_l0, size_lv) == expected


@pytest.mark.parametrize(
    ("sizes", "code"),
    [
        (((2**20, 2**20),), "too_large"),
        (((2**21, 10),), "too_large"),
        (((10, 10),) * 33, "too_large"),
        (((10, 10), (0, 5)), "damaged"),
    ],
)
def test_headers_beyond_the_limits_are_refused(sizes: tuple[tuple[int, int], ...], code: str) -> None:
    with pytest.raises(BadSlideError) as caught:
        check_limits(sizes)
    assert caught.value.code == code


def test_the_largest_scans_are_allowed() -> None:
    check_limits(((500_000, 300_000), (250_000, 150_000)))
