from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from worker.cells.learned import picture_cells, picture_maps, predict_maps, segment_image
from worker.cells.maps import Maps
from worker.cells.segment import CellMask
from worker.cells.stain import Pixels
from worker.nets.reach import RECEPTIVE_PX
from worker.nets.segmenter_cards import SegmenterCard
from worker.nets.segmenters import Segmenter, ready
from worker.nets.segnet import WIDTHS, SegNet

CPU = torch.device("cpu")
CARD = SegmenterCard(
    name="test", widths=WIDTHS, created="2026-11-23", mpp_um=0.25, mean=(0.76, 0.66, 0.72), std=(0.18, 0.22, 0.16)
)
PAINTED = SegmenterCard(
    name="painted", widths=WIDTHS, created="2026-11-23", mpp_um=0.25, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
)
LOGITS = 20.0


class Painted(SegNet):
    """Reads its answer from the colours: red is cell, green nucleus, blue the depth in steps of the maps."""

    def forward(self, pixels: Tensor) -> Tensor:
        assert pixels.shape[0] == 1
        assert pixels.shape[2] % 16 == pixels.shape[3] % 16 == 0
        red, green, blue = pixels[0]
        return torch.stack([(red - 0.5) * LOGITS, (green - 0.5) * LOGITS, blue * (255 / 16)])[None]


PAINTER = Segmenter(card=PAINTED, net=Painted(), device=CPU)


@cache
def seeded() -> Segmenter:
    """Return a network of the shipped size with weights drawn at random."""
    torch.manual_seed(11)
    net = SegNet(WIDTHS)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_var = torch.rand_like(layer.weight) / 2 + 0.1
            layer.weight.data.uniform_(0.5, 1.5)
    nn.init.normal_(net.head.weight, std=0.5)
    return ready(net, CARD, CPU)


@cache
def noise() -> Pixels:
    return np.random.default_rng(8).integers(0, 256, (768, 768, 3), dtype=np.uint8)


def scene(shape: tuple[int, int], cells: list[tuple[float, float, float, float]], scale: float = 1.0) -> Pixels:
    """Paint cells (x, y, radius, nucleus's radius in px of 0.25 µm) at `scale` px per such px."""
    rows, columns = (np.mgrid[: round(shape[0] * scale), : round(shape[1] * scale)] + 0.5) / scale
    inside = np.stack([radius - np.hypot(columns - x, rows - y) for x, y, radius, _ in cells])
    nucleus = np.stack([radius - np.hypot(columns - x, rows - y) for x, y, _, radius in cells]).max(axis=0)
    outermost = np.sort(inside, axis=0)
    depth = outermost[-1] if len(cells) == 1 else np.minimum(outermost[-1], (outermost[-1] - outermost[-2]) / 2)
    planes = (np.where(inside.max(axis=0) > 0, 255, 0), np.where(nucleus > 0, 255, 0), depth.clip(0) * 4)
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


def planes(maps: Maps) -> Pixels:
    return np.stack([maps.cell, maps.nucleus, maps.depth])


@cache
def noise_seen_whole() -> Pixels:
    return planes(predict_maps(noise(), seeded()))


@pytest.mark.parametrize("shape", [(96, 128), (97, 143), (5, 7), (1, 1)])
def test_maps_have_the_tiles_shape_and_whole_steps(shape: tuple[int, int]) -> None:
    tile = noise()[: shape[0], : shape[1]]
    maps = predict_maps(tile, PAINTER)
    assert np.array_equal(maps.depth, tile[..., 2])
    for plane, channel in ((maps.cell, tile[..., 0]), (maps.nucleus, tile[..., 1])):
        expected = 255 / (1 + np.exp(-LOGITS * (channel / 255 - 0.5)))
        assert np.abs(plane - expected).max() < 0.51


class Deep(Painted):
    """Answers with depths from -2 to 38 µm."""

    def forward(self, pixels: Tensor) -> Tensor:
        out = super().forward(pixels)
        out[0, 2] = pixels[0, 2] * 40 - 2
        return out


def test_depths_are_rounded_to_steps_and_end_where_the_steps_do() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(16, axis=0)
    maps = predict_maps(ramp, Segmenter(card=PAINTED, net=Deep(), device=CPU))
    expected = ((np.arange(256) / 255 * 40 - 2) * 16).clip(0, 255)
    assert np.abs(maps.depth[3] - expected).max() <= 0.51
    assert (maps.depth[3, 0], maps.depth[3, 255]) == (0, 255)


def test_pixels_are_normalised_as_the_card_says() -> None:
    card = SegmenterCard(
        name="shifted", widths=WIDTHS, created="2026-11-23", mpp_um=0.25, mean=(0.2, 0.1, 0.0), std=(2.0, 1.0, 0.5)
    )
    tile = np.full((16, 16, 3), 102, np.uint8)  # 0.4
    maps = predict_maps(tile, Segmenter(card=card, net=Painted(), device=CPU))
    expected = [255 / (1 + np.exp(-LOGITS * (value - 0.5))) for value in (0.1, 0.3)]
    assert (int(maps.cell[0, 0]), int(maps.nucleus[0, 0])) == (round(expected[0]), round(expected[1]))
    assert maps.depth[0, 0] == 204


def test_what_a_card_calls_likely_lies_at_128() -> None:
    card = SegmenterCard(**{**vars(PAINTED), "cell_above": 0.9, "nucleus_above": 0.2})
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(16, axis=0)
    maps = predict_maps(ramp, Segmenter(card=card, net=Painted(), device=CPU))
    probability = 1 / (1 + np.exp(-LOGITS * (np.arange(256) / 255 - 0.5)))
    assert np.array_equal(maps.cell[0] >= 128, probability >= 0.9)
    assert np.array_equal(maps.nucleus[0] >= 128, probability >= 0.2)


def test_a_tile_that_must_not_be_written_to_is_read() -> None:
    tile = noise()[:64, :64].copy()
    tile.flags.writeable = False
    before = tile.copy()
    predict_maps(tile, PAINTER)
    assert np.array_equal(tile, before)


@pytest.mark.parametrize(
    ("x", "y", "width", "height"), [(64, 128, 384, 384), (0, 64, 704, 432), (320, 192, 400, 576), (128, 0, 640, 320)]
)
def test_a_pixels_maps_are_the_same_in_every_tile_on_the_lattice(x: int, y: int, width: int, height: int) -> None:
    whole = noise_seen_whole()
    tile = planes(predict_maps(noise()[y : y + height, x : x + width], seeded()))
    inner = slice(RECEPTIVE_PX, height - RECEPTIVE_PX), slice(RECEPTIVE_PX, width - RECEPTIVE_PX)
    assert tile[:, *inner].std(axis=(1, 2)).min() > 3, "the maps tell something"
    assert np.array_equal(tile[:, *inner], whole[:, y : y + height, x : x + width][:, *inner])


def test_windows_leave_no_trace_in_a_large_picture() -> None:
    picture = noise()[:150, :260]
    whole, parts = picture_maps(picture, seeded()), picture_maps(picture, seeded(), window_px=128)
    assert np.array_equal(planes(whole), planes(parts))


def test_cells_of_a_large_picture_are_found_once_whatever_the_windows() -> None:
    rng = np.random.default_rng(2)
    grid = [(x + rng.uniform(-4, 4), y + rng.uniform(-4, 4)) for x in range(8, 330, 44) for y in range(8, 240, 44)]
    maps = predict_maps(scene((240, 330), [(x, y, 22.0, 14.0) for x, y in grid]), PAINTER)
    whole, parts = picture_cells(maps, 0.25), picture_cells(maps, 0.25, window_px=64)
    assert len(whole) == len(grid)
    assert sorted(map(described, parts)) == sorted(map(described, whole))


def described(cell: CellMask) -> tuple[object, ...]:
    place = (cell.x_tile, cell.y_tile, cell.sum_x, cell.sum_y, cell.count)
    return (*place, cell.nucleus.tobytes(), cell.cell.tobytes())


CELLS = [(60.0, 60.0, 26.0, 15.0), (104.0, 64.0, 24.0, 13.0), (150.0, 110.0, 20.0, 14.0)]


def test_a_picture_at_the_networks_scale_gets_its_cells_by_number() -> None:
    picture = scene((160, 200), CELLS)
    cells, nuclei = segment_image(picture, 0.25, PAINTER)
    assert cells.shape == nuclei.shape == (160, 200)
    assert cells.dtype == nuclei.dtype == np.int32
    at_centres = [int(cells[int(y), int(x)]) for x, y, _, _ in CELLS]
    assert sorted(at_centres) == [1, 2, 3]
    assert [int(nuclei[int(y), int(x)]) for x, y, _, _ in CELLS] == at_centres
    assert np.count_nonzero((cells > 0) != (picture[..., 0] > 0)) < 0.01 * np.count_nonzero(cells)
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()


@pytest.mark.parametrize("mpp_um", [0.073, 0.163, 0.25, 0.37])
def test_outlines_are_those_of_the_picture_at_its_own_scale(mpp_um: float) -> None:
    picture = scene((160, 200), CELLS, scale=0.25 / mpp_um)
    cells, nuclei = segment_image(picture, mpp_um, PAINTER)
    for found, true in ((cells, picture[..., 0] > 127), (nuclei, picture[..., 1] > 127)):
        assert int(found.max()) == 3
        assert 2 * np.count_nonzero((found > 0) & true) / (np.count_nonzero(found) + np.count_nonzero(true)) > 0.97


def test_no_nucleus_is_drawn_beyond_its_cell() -> None:
    picture = scene((100, 100), [(50.0, 50.0, 18.0, 40.0)], scale=3.0)
    picture[..., 0] = cv2.GaussianBlur(picture[..., 0], (0, 0), 4.0)
    cells, nuclei = segment_image(picture, 0.25 / 3, PAINTER)
    assert np.array_equal(nuclei > 0, (cells > 0) & (nuclei > 0))
    assert np.count_nonzero(nuclei) > 0.95 * np.count_nonzero(cells)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_cell_that_the_pictures_edge_cuts_is_kept_up_to_the_edge(scale: float) -> None:
    picture = scene((100, 120), [(4.0, 50.0, 24.0, 15.0), (118.0, 50.0, 24.0, 1.0)], scale=scale)
    cells, _ = segment_image(picture, 0.25 / scale, PAINTER)
    assert int(cells.max()) == 1
    assert cells[round(50 * scale), 0] == 1


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (3, 90)])
def test_a_picture_smaller_than_its_margin_has_no_cells(shape: tuple[int, int]) -> None:
    cells, nuclei = segment_image(noise()[: shape[0], : shape[1]], 0.25, seeded())
    assert cells.shape == nuclei.shape == shape
    assert not nuclei.any()


def test_the_edge_of_an_even_picture_cannot_be_seen() -> None:
    even = np.full((256, 272, 3), (190, 150, 180), np.uint8)
    small, large = picture_maps(even[:64, :80], seeded()), picture_maps(even, seeded())
    assert np.array_equal(planes(small), planes(large)[:, :64, :80])
    assert not np.array_equal(planes(predict_maps(even[:64, :80], seeded())), planes(small))
