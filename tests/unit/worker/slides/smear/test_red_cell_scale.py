from __future__ import annotations

import cv2
import numpy as np
import pytest

from db.records import CellClass
from tests.support.painted import CHROMATIN, GLASS, RED_CELL, Disc, field
from tests.support.slide_files import MemorySlide, data_folder
from worker.drawing.smear import SmearSpec, draw_smear
from worker.slides.reader import LocalReader
from worker.slides.slide import RgbImage
from worker.slides.smear import red_cell_scale
from worker.slides.smear.red_cell_scale import RED_CELL_ERROR, estimate, estimate_from

DRAWN_UM = 7.35
"""The middle diameter of the drawn red cells."""


def drawn(mpp_um: float, side_px: int) -> RgbImage:
    composition = {CellClass.NEUTROPHIL: 2, CellClass.LYMPHOBLAST: 2}
    spec = SmearSpec(width_px=side_px, height_px=side_px, mpp_um=mpp_um, seed=3, composition=composition)
    return draw_smear(spec).rgb


def grid(radii: list[float], pitch: int = 60, colour: tuple[int, int, int] = RED_CELL) -> list[Disc]:
    return [(40 + pitch * (i % 8), 40 + pitch * (i // 8), radius, colour) for i, radius in enumerate(radii)]


@pytest.mark.parametrize(("mpp_um", "side_px"), [(0.09, 1400), (0.25, 640), (0.6, 512)])
def test_a_drawn_smear_tells_its_scale(mpp_um: float, side_px: int) -> None:
    found = estimate_from([drawn(mpp_um, side_px)])
    assert found is not None
    assert found.mpp_um * DRAWN_UM / 7.5 == pytest.approx(mpp_um, rel=0.05)
    assert RED_CELL_ERROR <= found.error_um / found.mpp_um < 0.08
    assert abs(found.mpp_um - mpp_um) < 2 * found.error_um


def test_fourteen_cells_do_not_tell_and_sixteen_do() -> None:
    assert estimate_from([field(560, 200, grid([15.0] * 14))]) is None
    found = estimate_from([field(560, 200, grid([15.0] * 16))])
    assert found is not None
    assert found.n_red_cells == 16
    assert found.mpp_um == pytest.approx(7.5 / 31, rel=0.03)


def test_fields_of_one_slide_are_taken_together() -> None:
    one = field(560, 140, grid([15.0] * 8))
    assert estimate_from([one]) is None
    assert estimate_from([one, one]) is not None


def test_two_sizes_of_cells_do_not_tell() -> None:
    assert estimate_from([field(560, 400, grid([22.0] * 16 + [11.0] * 24))]) is not None
    assert estimate_from([field(560, 520, grid([18.0] * 20 + [12.0] * 40))]) is None


def test_a_wide_spread_does_not_tell() -> None:
    assert estimate_from([field(560, 300, grid(list(np.linspace(12, 21, 32))))]) is None


def test_cells_too_small_to_be_seen_whole_do_not_tell() -> None:
    assert estimate_from([field(560, 300, grid([4.3] * 32))]) is None
    assert estimate_from([field(560, 300, grid([5.6] * 32))]) is not None


def test_a_squeezed_picture_does_not_tell() -> None:
    rgb = drawn(0.25, 640)
    assert estimate_from([np.asarray(cv2.resize(rgb, (530, 640), interpolation=cv2.INTER_AREA))]) is None


def test_specks_beside_heaps_of_cells_do_not_tell() -> None:
    heap = [(60.0 + 14 * i, 300.0 + 45 * (i % 5), 30.0, RED_CELL) for i in range(32)]
    assert estimate_from([field(560, 500, [*grid([5.5] * 20), *heap])]) is None


@pytest.mark.parametrize(
    "rgb", [np.full((300, 300, 3), 240, np.uint8), field(560, 300, grid([15.0] * 30, 60, CHROMATIN))]
)
def test_glass_and_nuclei_do_not_tell(rgb: RgbImage) -> None:
    assert estimate_from([rgb]) is None


def test_a_slide_is_read_where_its_film_is_thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(red_cell_scale, "_WHOLE_PX", 1024)
    monkeypatch.setattr(red_cell_scale, "_FIELD_PX", 512)
    rgb = np.full((3000, 2600, 3), GLASS, np.uint8)
    rgb[:1000] = (90, 50, 130)  # a heap of nuclei
    rgb[2100:2600, 1560:2060] = field(500, 500, grid([15.0] * 56))
    found = estimate(LocalReader(MemorySlide([rgb])))
    assert found is not None
    assert found.mpp_um == pytest.approx(7.5 / 31, rel=0.03)


def test_no_more_fields_are_read_than_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(red_cell_scale, "_ENOUGH", 50)
    fields = iter([field(560, 300, grid([15.0] * 32))] * 5)
    found = estimate_from(fields)
    assert found is not None
    assert (found.n_red_cells, len(list(fields))) == (64, 3)


def test_a_small_slide_is_read_whole() -> None:
    found = estimate(LocalReader(MemorySlide([field(560, 600, grid([15.0] * 40))])))
    assert found is not None
    assert found.n_red_cells == 40


def test_sections_do_not_tell() -> None:
    for path in sorted(data_folder("bm_graz_HE_ood").glob("*.jpg")):
        rgb = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)  # type: ignore[arg-type]
        assert estimate_from([np.asarray(rgb, np.uint8)]) is None


def test_photographed_blood_tells_about_what_was_declared() -> None:
    paths = sorted((data_folder("pbc_normal_wbc") / "lymphocyte").glob("*.jpg"))
    fields = [np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)[..., ::-1] for path in paths[:40]]
    found = estimate_from([np.ascontiguousarray(one) for one in fields])
    assert found is not None
    assert found.mpp_um == pytest.approx(0.1, rel=0.1)
