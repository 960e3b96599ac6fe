from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ImageCms

from tests.support.icc_profiles import SRGB_PRIMARIES, matrix_profile
from tests.support.slide_files import texture
from worker.slides import colour
from worker.slides.colour import MAX_PROFILE_BYTES, ProfileUse, ToSrgb, read_profile
from worker.slides.slide import RgbImage

GAMMA_18 = matrix_profile(gamma=1.8)
RED_AND_BLUE_SWAPPED = matrix_profile(SRGB_PRIMARIES[::-1], gamma=2.2)


def conversion(icc: bytes) -> ToSrgb:
    found = read_profile(icc).to_srgb
    assert found is not None
    return found


def srgb_encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def colours(number: int, seed: int = 0) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (1, number, 3), dtype=np.uint8)


def test_a_camera_of_another_gamma_comes_out_as_srgb() -> None:
    rgb = colours(4000)
    expected = srgb_encoded((rgb / 255) ** 1.8)
    assert np.abs(conversion(GAMMA_18)(rgb) - expected).max() <= 1.5


def test_other_primaries_are_mixed() -> None:
    got = conversion(RED_AND_BLUE_SWAPPED)(np.array([[[255, 0, 0], [0, 0, 255], [255, 255, 255]]], np.uint8))
    assert np.abs(got[0].astype(int) - [[0, 0, 255], [255, 0, 0], [255, 255, 255]]).max() <= 2


def test_white_of_a_yellowish_medium_becomes_white() -> None:
    convert = conversion(matrix_profile(gamma=1.8, white=(0.93, 0.96, 0.62)))
    assert convert(np.full((1, 1, 3), 255, np.uint8)).tolist() == [[[255, 255, 255]]]


def test_the_table_gives_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colour, "_COLOURS", 2**16)  # a table of the colours without blue
    monkeypatch.setattr(colour, "_BAND", 2**12)
    rgb = texture(300, 300)
    rgb[..., 2] = 0
    remembered, computed = conversion(GAMMA_18), conversion(GAMMA_18)
    first = remembered(rgb)
    assert np.array_equal(remembered(rgb), first)
    assert np.array_equal(computed(rgb[:9]), first[:9])


def test_a_pixel_does_not_depend_on_its_box_or_thread() -> None:
    rgb, convert = texture(200, 310), conversion(RED_AND_BLUE_SWAPPED)
    whole = convert(rgb)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(convert, [rgb[:, x : x + 31] for x in range(0, 310, 31)]))
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_srgb_and_no_profile_leave_the_pixels_alone() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_profile(srgb).use is ProfileUse.SRGB
    assert read_profile(None).use is ProfileUse.ABSENT
    assert read_profile(b"").use is ProfileUse.ABSENT
    assert read_profile(srgb).to_srgb is None


@pytest.mark.parametrize(
    ("icc", "said"),
    [
        (b"no profile", "cannot be read"),
        (GAMMA_18[:200], "cannot be read"),
        (matrix_profile(space=b"CMYK"), "not the profile of an RGB device"),
        (matrix_profile(kind=b"abst"), "not the profile of an RGB device"),
        (matrix_profile([(0.0, 0.0, 0.0)] * 3), "light from dark"),
        (GAMMA_18 + bytes(MAX_PROFILE_BYTES), "over the limit"),
    ],
)
def test_a_profile_that_makes_no_sense_is_left_aside_with_its_reason(icc: bytes, said: str) -> None:
    judged = read_profile(icc)
    assert (judged.use, judged.to_srgb) == (ProfileUse.UNUSABLE, None)
    assert said in judged.reason
    assert "\n" not in judged.reason


@given(st.lists(st.tuples(st.integers(0, len(GAMMA_18) - 1), st.integers(0, 255)), max_size=12))
def test_altered_bytes_never_raise(changes: list[tuple[int, int]]) -> None:
    icc = bytearray(GAMMA_18)
    for place, value in changes:
        icc[place] = value
    judged = read_profile(bytes(icc))
    assert (judged.to_srgb is not None) == (judged.use is ProfileUse.APPLIED)
