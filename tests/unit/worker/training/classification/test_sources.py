import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from db.records import CellClass
from worker.cells.preprocess import Pixels
from worker.cells.segment import CellMask, fit_stain, segment
from worker.drawing.smear import SmearSpec, draw_smear
from worker.training.classification import sources
from worker.training.classification.data import MPP_UM, STORED_PX

_FIELDS = ("file", "label", "group_id", "mask", "note")


def _collection(folder: Path, rows: list[dict[str, str]], pictures: dict[str, NDArray[np.uint8]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / name), picture[..., ::-1] if picture.ndim == 3 else picture)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, _FIELDS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _find(picture: Pixels) -> list[CellMask]:
    return segment(picture, fit_stain(picture, MPP_UM), MPP_UM)


@pytest.fixture(scope="module")
def field() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A drawn field with five cells of each of two classes, and the mask of its plasma cells' bodies."""
    composition = {CellClass.PLASMA_CELL: 5, CellClass.LYMPHOCYTE: 5}
    drawn = draw_smear(SmearSpec(width_px=640, height_px=640, seed=9_200_000, composition=composition, touching=0.0))
    plasma = [n for n, cell in enumerate(drawn.truth, 1) if cell.cell_class is CellClass.PLASMA_CELL]
    return drawn.rgb, np.isin(drawn.cells, plasma).astype(np.uint8) * 255


def test_a_single_cell_is_centred_on_its_nucleus(tmp_path: Path) -> None:
    drawn = draw_smear(
        SmearSpec(width_px=160, height_px=160, seed=9_200_001, composition={CellClass.LYMPHOCYTE: 1}, touching=0.0)
    )
    folder = _collection(tmp_path, [{"file": "a.png", "label": "lymphocyte", "group_id": "g"}], {"a.png": drawn.rgb})
    crop, label, group, picture = next(sources.single_cells(folder, MPP_UM, _find))
    assert crop.shape == (STORED_PX, STORED_PX, 3)
    assert (label, group, picture) == (frozenset({CellClass.LYMPHOCYTE}), "g", "a.png")


def test_nuclei_inside_the_masks_are_plasma_cells_and_the_others_only_known_not_to_be(
    tmp_path: Path,
    field: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    row = {"file": "f.png", "label": "MM", "group_id": "b1", "mask": "m.png"}
    folder = _collection(tmp_path, [row], {"f.png": field[0], "m.png": field[1]})
    labels = [label for _, label, _, _ in sources.plasma_fields(folder, MPP_UM, _find)]
    assert 2 <= labels.count(frozenset({CellClass.PLASMA_CELL})) <= 5
    assert set(labels) == {frozenset({CellClass.PLASMA_CELL}), sources.NOT_PLASMA}


def test_a_field_without_a_mask_says_nothing(
    tmp_path: Path,
    field: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    folder = _collection(tmp_path, [{"file": "f.png", "label": "MM", "group_id": "b1"}], {"f.png": field[0]})
    assert list(sources.plasma_fields(folder, MPP_UM, _find)) == []


def test_a_cut_out_cell_is_put_on_glass(tmp_path: Path) -> None:
    picture = np.zeros((450, 450, 3), dtype=np.uint8)
    cv2.circle(picture, (225, 225), 90, (90, 50, 110), -1)
    folder = _collection(tmp_path, [{"file": "c.png", "label": "ALL_blast", "group_id": "7"}], {"c.png": picture})
    crop, label, group, _ = next(sources.cells_on_black(folder, 0.07, _find))
    assert crop[0, 0].tolist() == [230, 230, 230]
    assert crop[56, 56].max() < 225
    assert (label, group) == (frozenset({CellClass.LYMPHOBLAST}), "7")


def test_the_two_kinds_of_fields_give_different_weak_labels(
    tmp_path: Path,
    field: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    small = np.asarray(cv2.resize(field[0], (432, 432), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    rows = [{"file": "f.png", "label": label, "group_id": label} for label in ("ALL", "normal")]
    labels = {"ALL": set(), "normal": set()}  # type: dict[str, set[frozenset[CellClass]]]
    for _, label, group, _ in sources.leukaemia_fields(_collection(tmp_path, rows, {"f.png": small}), 0.37, _find):
        labels[group].add(label)
    assert all(CellClass.LYMPHOBLAST in label for label in labels["ALL"])
    assert not any(CellClass.LYMPHOBLAST in label for label in labels["normal"])


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = _collection(tmp_path, [{"file": "gone.png", "label": "lymphocyte", "group_id": "g"}], {})
    with pytest.raises(ValueError, match=r"gone\.png"):
        next(sources.single_cells(folder, 0.1, _find))


def test_only_folders_that_are_there_are_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of"):
        sources.read_all(tmp_path, _find)
    picture = np.full((360, 363, 3), 230, dtype=np.uint8)
    rows = [{"file": "BA_101611.png", "label": "basophil"}]
    _collection(tmp_path / "pbc_normal_wbc", rows, {"BA_101611.png": picture})
    crops = sources.read_all(tmp_path, _find)
    assert [len(s) for s in crops] == [1]
    assert crops[0].group.tolist() == ["pbc_normal_wbc/basophil-101"]
