from __future__ import annotations

import numpy as np
import pytest

from worker.cells import preprocess
from worker.cells.preprocess import Pixels
from worker.nets.cards import Colour, Denoise


def noise(height: int, width: int, seed: int = 7) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size_px", [7, 8])
def test_the_centre_pixel_of_a_crop_is_the_one_asked_for(size_px: int) -> None:
    tile = noise(40, 50)
    got = preprocess.crop(tile, 20, 15, size_px)
    assert got.shape == (size_px, size_px, 3)
    assert np.array_equal(got[size_px // 2, size_px // 2], tile[15, 20])
    assert np.array_equal(got, tile[15 - size_px // 2 :, 20 - size_px // 2 :][:size_px, :size_px])


def test_a_crop_over_the_edge_repeats_the_border() -> None:
    tile = noise(10, 12)
    got = preprocess.crop(tile, 0, 9, 6)
    assert np.array_equal(got[:4, 3:], tile[6:10, 0:3])
    assert (got[:4, :3] == tile[6:10, :1]).all()
    assert (got[4:, 3:] == tile[9:, 0:3]).all()


def test_a_crop_does_not_share_memory_with_its_tile() -> None:
    tile = noise(30, 30)
    before = tile.copy()
    preprocess.crop(tile, 15, 15, 8)[:] = 0
    assert np.array_equal(tile, before)


@pytest.mark.parametrize("centre", [(-1, 3), (3, -1), (12, 3), (3, 10)])
def test_a_centre_outside_the_tile_is_refused(centre: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside the 12 x 10 tile"):
        preprocess.crop(noise(10, 12), *centre, 6)


def test_crops_are_the_single_crops_in_order() -> None:
    tile = noise(40, 40)
    centres = [(3, 4), (20, 20), (39, 0)]
    got = preprocess.crops(tile, centres, 8)
    assert got.shape == (3, 8, 8, 3)
    for row, (x, y) in zip(got, centres, strict=True):
        assert np.array_equal(row, preprocess.crop(tile, x, y, 8))
    assert preprocess.crops(tile, [], 8).shape == (0, 8, 8, 3)


def test_input_is_normalised_channel_first_and_contiguous() -> None:
    batch = np.stack([noise(6, 5, 1), noise(6, 5, 2)])
    mean, std = (0.5, 0.25, 0.75), (0.2, 0.4, 0.1)
    got = preprocess.to_input(batch, mean, std)
    wanted = (batch / 255.0 - np.array(mean)) / np.array(std)
    assert got.shape == (2, 3, 6, 5)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, wanted.transpose(0, 3, 1, 2), rtol=1e-6, atol=1e-6)


def test_an_empty_batch_gives_an_empty_input() -> None:
    got = preprocess.to_input(np.empty((0, 6, 5, 3), np.uint8), (0, 0, 0), (1, 1, 1))
    assert got.shape == (0, 3, 6, 5)


def test_input_refuses_floats_missing_channels_and_zero_std() -> None:
    good = np.zeros((1, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="uint8"):
        preprocess.to_input(good.astype(np.float32), (0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="uint8"):
        preprocess.to_input(good[..., :2], (0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="std above zero"):
        preprocess.to_input(good, (0, 0, 0), (1, 0, 1))


def test_prepare_is_the_identity_unless_a_card_asks_for_more() -> None:
    batch = noise(8, 8)[None]
    assert np.array_equal(preprocess.prepare(batch), batch)


def test_median_removes_a_single_bad_pixel() -> None:
    batch = np.full((1, 9, 9, 3), 200, np.uint8)
    batch[0, 4, 4] = 0
    assert (preprocess.prepare(batch, denoise=Denoise.MEDIAN) == 200).all()
    softened = preprocess.prepare(batch, denoise=Denoise.GAUSSIAN)
    assert 0 < softened[0, 4, 4, 0] < 200


def test_colour_conversion_gives_the_named_space() -> None:
    red = np.zeros((1, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert preprocess.prepare(red, colour=Colour.HSV)[0, 0, 0].tolist() == [0, 255, 255]
    assert preprocess.prepare(red, colour=Colour.LAB)[0, 0, 0].tolist() == [136, 208, 195]


def test_rescale_keeps_the_field_and_a_flat_colour() -> None:
    flat = np.full((100, 60, 3), (10, 20, 30), np.uint8)
    for to_mpp_um, shape in ((0.25, (40, 24, 3)), (0.05, (200, 120, 3))):
        got = preprocess.rescale(flat, 0.1, to_mpp_um)
        assert got.shape == shape
        assert (got == (10, 20, 30)).all()
