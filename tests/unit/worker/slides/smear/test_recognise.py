from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from db.records import CellClass
from tests.support.slide_files import GLASS, MemorySlide, data_folder
from worker.drawing.smear import SmearSpec, draw_smear
from worker.errors import BadSlideError
from worker.slides.files.formats import open_slide_file
from worker.slides.reader import LocalReader
from worker.slides.slide import RgbImage
from worker.slides.smear.recognise import look_at, refuse_other_than_smear

HAEMATOXYLIN, EOSIN = (0.95, 1.05, 0.55), (0.08, 0.62, 0.28)  # absorbance of H&E photographs, red first


def refusal_of(rgb: RgbImage) -> str | None:
    """Return the code by which a picture is refused, or None."""
    return code_of(LocalReader(MemorySlide([rgb])))


def code_of(reader: LocalReader) -> str | None:
    look = look_at(reader)
    reader.close()
    try:
        refuse_other_than_smear(look)
    except BadSlideError as bad:
        return bad.code
    return None


def glass(height: int, width: int) -> RgbImage:
    """Return empty glass under uneven light, with dust on it."""
    rng = np.random.default_rng(4)
    noise = np.resize(rng.normal(0, 2, 50_021).astype(np.float32), (height, width, 1))
    rgb = np.asarray(GLASS, np.float32) * np.linspace(1.0, 0.92, width, dtype=np.float32)[None, :, None] + noise
    for x, y in rng.integers(20, min(height, width) - 20, (12, 2)):
        cv2.circle(rgb, (int(x), int(y)), 5, (120, 118, 121), -1)
    return np.asarray(np.clip(rgb, 0, 255), dtype=np.uint8)


def section() -> RgbImage:
    """Return pink tissue with dark nuclei and holes of fat, as haematoxylin and eosin leave it."""
    rng = np.random.default_rng(7)
    nuclei, tissue = np.zeros((700, 800), np.float32), np.ones((700, 800), np.float32)
    for x, y in rng.integers(0, 700, (300, 2)):
        cv2.circle(nuclei, (int(x), int(y)), 8, 1.0, -1, cv2.LINE_AA)
    for x, y in rng.integers(0, 700, (8, 2)):
        cv2.circle(tissue, (int(x), int(y)), 60, 0.0, -1, cv2.LINE_AA)
    return stained(nuclei * tissue, HAEMATOXYLIN, tissue, EOSIN)


def stained(first: NDArray[np.float32], dye: object, second: NDArray[np.float32], other: object) -> RgbImage:
    absorbed = first[..., None] * np.asarray(dye) + second[..., None] * np.asarray(other)
    return np.asarray(np.asarray(GLASS) * np.exp(-absorbed), dtype=np.uint8)


def test_a_section_in_haematoxylin_and_eosin_is_refused() -> None:
    assert refusal_of(section()) == "not_a_smear_histology"


def test_a_large_section_is_recognised_by_fields_of_it() -> None:
    canvas = glass(2000, 2100)
    canvas[600:1300, 900:1700] = section()
    assert refusal_of(canvas) == "not_a_smear_histology"


def test_one_of_the_two_dyes_is_not_enough_to_refuse() -> None:
    nuclei = np.zeros((600, 600), np.float32)
    for x, y in np.random.default_rng(7).integers(0, 600, (80, 2)):
        cv2.circle(nuclei, (int(x), int(y)), 9, 1.0, -1, cv2.LINE_AA)
    assert refusal_of(stained(nuclei, HAEMATOXYLIN, nuclei * 0, EOSIN)) is None
    assert refusal_of(stained(nuclei, (1.1, 2.0, 0.5), 1 - nuclei, EOSIN)) is None


def test_a_refusal_says_how_to_overrule_it_on_one_line() -> None:
    with pytest.raises(BadSlideError) as refused:
        refuse_other_than_smear(look_at(LocalReader(MemorySlide([section()]))))
    assert "\n" not in refused.value.cause + refused.value.remedy
    assert '"preparation": "smear"' in refused.value.remedy


def test_fluorescence_is_refused() -> None:
    dark = np.zeros((600, 600, 3), np.uint8)
    for x in range(30, 600, 60):
        cv2.circle(dark, (x, x), 12, (0, 0, 250), -1)
    assert refusal_of(dark) == "not_a_smear_fluorescence"


def test_empty_glass_is_refused() -> None:
    assert refusal_of(glass(700, 900)) == "empty_slide"


def test_a_label_is_refused() -> None:
    label = np.full((600, 900, 3), (244, 240, 228), np.uint8)
    cv2.putText(label, "A-123", (40, 300), cv2.FONT_HERSHEY_SIMPLEX, 5, (25, 24, 26), 18)
    assert refusal_of(label) == "label_only"


def test_glass_with_pen_marks_alone_is_empty() -> None:
    marked = glass(700, 900)
    cv2.line(marked, (100, 100), (600, 600), (20, 60, 190), 25)
    cv2.line(marked, (600, 100), (200, 650), (10, 130, 60), 25)
    assert refusal_of(marked) == "empty_slide"


def test_one_cell_on_a_large_slide_is_not_empty() -> None:
    rgb = glass(2100, 2000)
    cv2.circle(rgb, (1571, 802), 14, (92, 50, 150), -1, cv2.LINE_AA)
    assert refusal_of(rgb) is None


def test_black_outside_the_scanned_part_is_no_fluorescence() -> None:
    spec = SmearSpec(width_px=500, height_px=500, seed=3, composition={CellClass.NEUTROPHIL: 5})
    rgb = np.zeros((1000, 1000, 3), np.uint8)
    rgb[:500, :500] = draw_smear(spec).rgb
    assert refusal_of(rgb) is None


@pytest.mark.parametrize("seed", range(4))
def test_drawn_smears_of_any_stain_are_smears(seed: int) -> None:
    cells = {CellClass.EOSINOPHIL: 4, CellClass.LYMPHOBLAST: 8, CellClass.ERYTHROBLAST: 4}
    assert refusal_of(draw_smear(SmearSpec(width_px=500, height_px=500, seed=seed, composition=cells)).rgb) is None


@pytest.mark.parametrize(
    ("folder", "pattern", "code"),
    [
        ("bm_graz_HE_ood", "*.jpg", "not_a_smear_histology"),
        ("wsi/good", "CMU-1*.svs", "not_a_smear_histology"),
        ("wsi/good", "*.ndpi", "not_a_smear_fluorescence"),
        ("segpc_mm_native", "images/*", None),
        ("segpc_mm_512", "images/*", None),
        ("bccd_fields", "images/*", None),
        ("taleqani_all", "*/*.jpg", None),
        ("pbc_normal_wbc", "*/*.jpg", None),
        ("matek_bone_marrow", "*/*.jpg", None),
        ("marrow_cells_pathbites", "*/*.png", None),
        ("wbcseg_d1_jiangxi", "images/*", None),
        ("wbcseg_d2_cellavision", "images/*", None),
    ],
)
def test_real_pictures_are_what_they_are(folder: str, pattern: str, code: str | None) -> None:
    files = sorted(data_folder(folder).glob(pattern))
    chosen = files[:: -(-len(files) // 12)]
    assert chosen
    assert {code_of(LocalReader(open_slide_file(file))) for file in chosen} == {code}
