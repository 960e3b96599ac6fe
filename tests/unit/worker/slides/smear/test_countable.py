from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from db.records import CellClass
from tests.support.slide_files import MemorySlide, data_folder, plane_of, pyramid
from worker.drawing import artefacts
from worker.drawing.grid import Pixels
from worker.drawing.smear import DrawnSmear, SmearSpec, draw_smear
from worker.errors import BadSlideError
from worker.geometry import Box
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader
from worker.slides.scale import Scale, plane_for
from worker.slides.slide import RgbImage
from worker.slides.smear import countable, marks, quality, stained
from worker.slides.smear.absorbance import glass_colour
from worker.slides.smear.countable import Reason, Reasons
from worker.slides.smear.readable import Readable, readable_squares

SIDE = 2048
CELLS = {CellClass.NEUTROPHIL: 60, CellClass.LYMPHOBLAST: 60, CellClass.ERYTHROBLAST: 30}


@cache
def drawn() -> DrawnSmear:
    """Return a smear with all its cells known."""
    return draw_smear(SmearSpec(width_px=SIDE, height_px=SIDE, seed=21, composition=CELLS))


def reasons_of(rgb: RgbImage) -> Reasons:
    """Return the reason of every square of a picture of 0.25 µm/px."""
    slide = MemorySlide(pyramid(rgb, (1, 4, 16)))
    return readable_squares(LocalReader(slide), plane_of(slide.info, 64)).reasons


def inside(shape_px: np.ndarray, *, least: float) -> np.ndarray:
    """Return the squares of which at least that share lies in a mask."""
    side = SIDE // 64
    return np.asarray(shape_px.reshape(side, 64, side, 64).mean(axis=(1, 3)) >= least)


def assert_excluded(rgb: Pixels, where: np.ndarray, reason: Reason, *, least: float) -> None:
    """Check that most squares wholly inside have the reason, and that none far outside is left out."""
    reasons = reasons_of(rgb)
    assert (reasons[inside(where, least=1.0)] == reason).mean() >= least
    outside = inside(where, least=1e-9)
    for _ in range(2):
        outside = stained.with_neighbours(outside)
    assert np.isin(reasons[~outside], (Reason.COUNTABLE, Reason.GLASS)).all()


def test_every_cell_of_a_clean_smear_is_counted() -> None:
    reasons = reasons_of(drawn().rgb)
    assert all(reasons[int(cell.y_l0 // 64), int(cell.x_l0 // 64)] == Reason.COUNTABLE for cell in drawn().truth)
    assert np.isin(reasons, (Reason.COUNTABLE, Reason.GLASS)).all()


@pytest.mark.parametrize("pen", artefacts.PENS)
def test_a_pens_stroke_is_left_out(pen: str) -> None:
    rgb = artefacts.inked(drawn().rgb, [(300, 500), (1500, 1300)], pen=pen, width_px=260)
    changed = np.abs(rgb.astype(int) - drawn().rgb).max(axis=2) > 25
    assert_excluded(rgb, changed, Reason.INK, least=0.95)


def test_a_place_out_of_focus_is_left_out() -> None:
    where = artefacts.patch((SIDE, SIDE), (1000, 1000), 500, seed=3)
    rgb = artefacts.defocused(drawn().rgb, where, sigma_px=10)
    assert_excluded(rgb, where > 0.5, Reason.BLURRED, least=0.8)


def test_a_little_defocus_is_borne() -> None:
    everywhere = np.ones((SIDE, SIDE), np.float32)
    reasons = reasons_of(artefacts.defocused(drawn().rgb, everywhere, sigma_px=3))
    assert not (reasons == Reason.BLURRED).any()


def test_a_clot_is_left_out() -> None:
    where = artefacts.patch((SIDE, SIDE), (1000, 1000), 500, seed=4)
    rgb = artefacts.layered(drawn().rgb, where, layers=14)
    assert_excluded(rgb, where > 0.5, Reason.CROWDED, least=0.8)


def test_a_bubble_is_left_out_with_what_it_encloses() -> None:
    rgb = artefacts.bubbled(drawn().rgb, (1000, 1000), radius_px=340, rim_px=70)
    assert_excluded(rgb, artefacts.disc((SIDE, SIDE), (1000, 1000), 330) > 0.5, Reason.BUBBLE, least=0.9)


def test_what_a_pen_rings_is_counted() -> None:
    ring = [(round(1000 + 600 * np.cos(a)), round(1000 + 600 * np.sin(a))) for a in np.linspace(0, 6.4, 60)]
    reasons = reasons_of(artefacts.inked(drawn().rgb, ring, pen="black", width_px=120))
    assert (reasons[8:23, 11:20] == Reason.COUNTABLE).mean() > 0.97
    assert (reasons == Reason.INK).sum() > 60


def test_specks_far_from_any_cell_are_too_thin_to_count() -> None:
    rgb = np.full((SIDE, SIDE, 3), (240, 236, 230), np.uint8)
    rgb[100:600, 100:600] = drawn().rgb[100:600, 100:600]
    rgb[1500:1516, 1500:1516] = (96, 94, 95)
    reasons = reasons_of(rgb)
    assert reasons[23, 23] == Reason.TOO_THIN
    assert (reasons[2:9, 2:9] == Reason.COUNTABLE).all()


def test_a_place_that_cannot_be_read_stays_countable() -> None:
    class Torn(MemorySlide):
        def read_lv(self, level: int, box_lv: Box) -> RgbImage:
            if level == 1:
                raise BadSlideError("unreadable_region", "torn", "none")
            return super().read_lv(level, box_lv)

    rgb = artefacts.defocused(drawn().rgb, np.ones((SIDE, SIDE), np.float32), sigma_px=12)
    slide = Torn(pyramid(rgb, (1, 4, 16)))
    plane = plane_of(slide.info, 64)
    reader = LocalReader(slide)
    assert not quality.measure(reader, plane, (240, 236, 230), np.ones((32, 32), np.bool_)).measured.any()
    assert (readable_squares(reader, plane).reasons != Reason.BLURRED).all()


def test_one_layer_of_cells_without_gaps_is_counted() -> None:
    layer = np.exp(-np.array([0.22, 0.32, 0.23]))  # of red cells that touch all around
    rgb = drawn().rgb.copy()
    rgb[500:1500, 500:1500] = np.minimum(rgb[500:1500, 500:1500], np.percentile(rgb, 90, axis=(0, 1)) * layer)
    assert (reasons_of(rgb)[9:22, 9:22] == Reason.COUNTABLE).all()


def test_white_where_the_scanner_left_out_is_not_taken_for_the_glass() -> None:
    rgb = np.full((SIDE, SIDE * 2, 3), 255, np.uint8)
    rgb[:, :SIDE] = (208, 205, 200)
    rgb[1500:1516, 1500:1516] = (96, 94, 95)
    assert reasons_of(rgb)[23, 23] == Reason.TOO_THIN


def test_the_choice_does_not_depend_on_how_the_slide_is_stored() -> None:
    spoilt = artefacts.inked(drawn().rgb, [(300, 500), (1500, 1300)], pen="blue", width_px=260)
    spoilt = artefacts.defocused(spoilt, artefacts.patch((SIDE, SIDE), (1500, 500), 300, seed=5), sigma_px=10)
    flat = MemorySlide([spoilt])
    whole = readable_squares(LocalReader(flat), plane_of(flat.info, 64)).reasons
    assert (whole == reasons_of(spoilt)).mean() > 0.995


@pytest.mark.parametrize(
    ("folder", "pattern", "mpp_um"),
    [
        ("segpc_mm_native", "images/*.jpg", 0.041),
        ("segpc_mm_512", "images/*.jpg", 0.163),
        ("bccd_fields", "images/*.jpg", 0.073),
        ("taleqani_all", "*/*.jpg", 0.37),
    ],
)
def test_real_fields_that_people_chose_are_countable(folder: str, pattern: str, mpp_um: float) -> None:
    files = sorted(data_folder(folder).glob(pattern))
    readers = [LocalReader(open_slide_file(file)) for file in files[:: len(files) // 9][:9]]
    fields = [
        reader.region(0, Box(x=0, y=0, width=reader.info.width_l0, height=reader.info.height_l0)) for reader in readers
    ]
    height, width = (min(field.shape[axis] for field in fields) for axis in (0, 1))
    fields = [field[:height, :width] for field in fields]
    slide = MemorySlide([np.vstack([np.hstack(fields[start : start + 3]) for start in (0, 3, 6)])])
    assert np.isin(judged(slide, mpp_um), (Reason.COUNTABLE, Reason.GLASS)).all()


def judged(slide: MemorySlide, mpp_um: float) -> Reasons:
    """Return the reasons of a picture however small it is."""
    reader, plane = LocalReader(slide), plane_for(slide.info, Scale(mpp_um=mpp_um, source="sidecar"), 0.25)
    overview = reader.overview(max(1, plane.factor_64ths // 4))
    glass = glass_colour(overview.rgb)
    squares = stained.stained_squares(overview, plane)
    measured = quality.measure(reader, plane, glass, squares)
    return countable.reasons_of(squares, marks.marks_of(overview, plane, glass), measured)


def test_a_readable_value_tells_its_share() -> None:
    assert Readable(reasons=np.array([[0, 1], [2, 0]], dtype=np.uint8)).share == 0.5


@pytest.mark.parametrize(("fine", "expected"), [(0.5, Reason.COUNTABLE), (0.0, Reason.BUBBLE)])
def test_a_frame_around_a_sparse_smear_is_a_bubble_only_where_its_cells_are_out_of_focus(
    fine: float, expected: Reason
) -> None:
    rim = np.zeros((40, 40), dtype=np.float32)
    rim[2, 2:38] = rim[37, 2:38] = rim[2:38, 2] = rim[2:38, 37] = 1
    cells = np.zeros((40, 40), dtype=np.bool_)
    cells[8:34:8, 8:34:8] = True
    ones = cells.astype(np.float32)
    measures = dict.fromkeys(("covered", "between", "between_od", "pale"), ones * 0.3)
    found = quality.Quality(
        measured=cells,
        nuclear=ones * 0.1,
        nuclear_od=ones * 0.1,
        fine=ones * fine,
        coarse=ones,
        red_cell_od=0.3,
        **measures,
    )
    seen = countable.reasons_of(cells, marks.Marks(ink=np.zeros_like(rim), rim=rim), found)
    assert (seen[cells] == expected).all()
