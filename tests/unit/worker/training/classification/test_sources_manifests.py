from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from db.records import CellClass
from tests.support.sets import CLASSICAL, PURPLE, SIGHT, disc_mask, discs, write, write_manifest
from worker.cells.preprocess import Pixels
from worker.drawing.smear import SmearSpec, draw_smear
from worker.errors import BadRequestError
from worker.training.classification.data import MPP_UM, STORED_PX
from worker.training.classification.sources import folders, manifests
from worker.training.classification.sources.labels import NOT_PLASMA

_FIELDS = ("file", "label", "group_id", "mask", "note")


def _collection(folder: Path, rows: list[dict[str, str]], pictures: dict[str, Pixels]) -> Path:
    for name, picture in pictures.items():
        write(folder / name, picture)
    return write_manifest(folder, [dict.fromkeys(_FIELDS, "") | row for row in rows])


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
    crop, label, group, picture = next(manifests.single_cells(folder, MPP_UM, CLASSICAL))
    assert crop.shape == (STORED_PX, STORED_PX, 3)
    assert (label, group, picture) == (frozenset({CellClass.LYMPHOCYTE}), "g", "a.png")


def test_nuclei_inside_the_masks_are_plasma_cells_and_the_others_only_known_not_to_be(
    tmp_path: Path,
    field: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    row = {"file": "f.png", "label": "MM", "group_id": "b1", "mask": "m.png"}
    folder = _collection(tmp_path, [row], {"f.png": field[0], "m.png": field[1]})
    labels = [label for _, label, _, _ in manifests.plasma_fields(folder, MPP_UM, CLASSICAL)]
    assert 2 <= labels.count(frozenset({CellClass.PLASMA_CELL})) <= 5
    assert set(labels) == {frozenset({CellClass.PLASMA_CELL}), NOT_PLASMA}


def test_a_field_without_a_mask_says_nothing(
    tmp_path: Path,
    field: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    folder = _collection(tmp_path, [{"file": "f.png", "label": "MM", "group_id": "b1"}], {"f.png": field[0]})
    assert list(manifests.plasma_fields(folder, MPP_UM, CLASSICAL)) == []


def test_a_cut_out_cell_is_put_on_glass(tmp_path: Path) -> None:
    picture = np.zeros((450, 450, 3), dtype=np.uint8)
    cv2.circle(picture, (225, 225), 90, (90, 50, 110), -1)
    folder = _collection(tmp_path, [{"file": "c.png", "label": "ALL_blast", "group_id": "7"}], {"c.png": picture})
    crop, label, group, _ = next(manifests.cells_on_black(folder, 0.07, CLASSICAL))
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
    for _, label, group, _ in manifests.leukaemia_fields(
        _collection(tmp_path, rows, {"f.png": small}), 0.37, CLASSICAL
    ):
        labels[group].add(label)
    assert all(CellClass.LYMPHOBLAST in label for label in labels["ALL"])
    assert not any(CellClass.LYMPHOBLAST in label for label in labels["normal"])


def test_white_cells_are_taken_from_fields_that_name_one_type(tmp_path: Path) -> None:
    picture, mask = discs(200, (60, 100), (140, 100)), disc_mask(200, (60, 100))
    rows = [
        {"file": "f.png", "group_id": "b01", "mask": "m.png", "note": "WBC type(s): MONOCYTE"},
        {"file": "f.png", "group_id": "b01", "mask": "m.png", "note": "WBC type(s): MONOCYTE, NEUTROPHIL"},
    ]
    folder = _collection(tmp_path, rows, {"f.png": picture, "m.png": mask})
    found = list(manifests.blood_fields(folder, MPP_UM, SIGHT))
    assert [label for _, label, _, _ in found] == [frozenset({CellClass.MONOCYTE})]
    assert found[0][0][56, 56].tolist() == list(PURPLE)


def test_nuclei_of_tissue_fit_no_class_and_are_grouped_by_slide(tmp_path: Path) -> None:
    rows = [{"file": "BM_GRAZ_HE_0002_01.png", "label": "ood_HE_trephine"}]
    folder = _collection(tmp_path, rows, {rows[0]["file"]: discs(200, (60, 100), (140, 100))})
    found = list(manifests.outlier_fields(folder, MPP_UM, SIGHT))
    assert [(label, group) for _, label, group, _ in found] == [(frozenset(), "0002")] * 2


def test_letterbox_bars_are_not_taken_for_background(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 12, (200, 200, 3), dtype=np.uint8)
    field = discs(200, (60, 100), (140, 100)) - noise
    barred = np.concatenate([np.full((80, 200, 3), 208, dtype=np.uint8), field])
    mask = np.concatenate([np.zeros((80, 200), dtype=np.uint8), disc_mask(200, (60, 100))])
    row = {"file": "f.png", "label": "MM", "group_id": "b1", "mask": "m.png"}
    plain = _collection(tmp_path / "a", [row], {"f.png": field, "m.png": disc_mask(200, (60, 100))})
    with_bars = _collection(tmp_path / "b", [row], {"f.png": barred, "m.png": mask})
    one, other = (list(manifests.plasma_fields(folder, MPP_UM, SIGHT)) for folder in (plain, with_bars))
    assert all((a[0] == b[0]).all() and a[1:] == b[1:] for a, b in zip(one, other, strict=True))


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = _collection(tmp_path, [{"file": "gone.png", "label": "lymphocyte", "group_id": "g"}], {})
    with pytest.raises(BadRequestError, match=r"gone\.png"):
        next(manifests.single_cells(folder, 0.1, SIGHT))


def test_a_short_row_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,label,group_id\na.png\n")
    for reader in (manifests.single_cells, manifests.cells_on_black, folders.manifest_rows):
        with pytest.raises(BadRequestError, match=r"manifest\.csv: row 1 below the head has no label"):
            next(reader(tmp_path, 0.1, SIGHT))


@pytest.mark.parametrize("source", manifests.SOURCES, ids=lambda source: source.folder)
def test_a_known_collection_without_its_columns_is_refused_with_their_names(
    tmp_path: Path, source: manifests.Source
) -> None:
    write_manifest(tmp_path, [{"label": "lymphocyte"}])
    with pytest.raises(BadRequestError, match=r"manifest\.csv lacks the columns file"):
        next(source.read(tmp_path, 0.1, SIGHT))


@pytest.mark.parametrize("column", ["mask", "note"])
def test_a_column_of_blood_fields_that_is_missing_is_named(tmp_path: Path, column: str) -> None:
    write_manifest(tmp_path, [{name: "x" for name in _FIELDS if name != column}])
    with pytest.raises(BadRequestError, match=f"lacks the columns {column}"):
        next(manifests.blood_fields(tmp_path, 0.1, SIGHT))


def test_files_numbered_closely_are_one_group_where_none_is_stated(tmp_path: Path) -> None:
    rows = [
        {"file": name, "label": "basophil"} for name in ("BA_101611.png", "BA_101999.png", "BA_102000.png", "7.png")
    ]
    folder = _collection(tmp_path, rows, {row["file"]: discs(360, (180, 180), radius_px=40) for row in rows})
    groups = [group for _, _, group, _ in manifests.single_cells(folder, 0.1, SIGHT)]
    assert groups == ["basophil-101", "basophil-101", "basophil-102", "7"]
