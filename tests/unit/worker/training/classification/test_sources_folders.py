"""Sets of anybody's own: a manifest beside the pictures, or a folder per class."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.sets import SIGHT, disc_mask, discs, write, write_manifest
from worker.errors import BadRequestError
from worker.training.classification.data import MPP_UM
from worker.training.classification.sources import read

CELL = discs(160, (80, 80))


def _classes(folder: Path, words: object) -> None:
    (folder / "classes.json").write_text(json.dumps(words))


def test_a_manifest_of_single_cells_is_grouped_by_patient_before_group_before_picture(tmp_path: Path) -> None:
    rows = [
        {"file": "a.png", "label": "lymphocyte", "patient_id": "P1", "group_id": "g"},
        {"file": "b.png", "label": "Monocyte", "patient_id": "", "group_id": "g"},
        {"file": "c.png", "label": "blast", "patient_id": "", "group_id": ""},
    ]
    for row in rows:
        write(tmp_path / "mine" / row["file"], CELL)
    crops = read(write_manifest(tmp_path / "mine", rows), SIGHT, mpp_um=MPP_UM)
    assert crops.keys().tolist() == ["lymphocyte", "monocyte", "lymphoblast|blast_other"]
    assert crops.group.tolist() == ["mine/P1", "mine/g", "mine/c"]
    assert crops.picture.tolist() == ["mine/a.png", "mine/b.png", "mine/c.png"]


def test_a_mask_says_which_nuclei_of_a_field_the_label_is_for(tmp_path: Path) -> None:
    write(tmp_path / "f.png", discs(240, (70, 120), (170, 120)))
    write(tmp_path / "m.png", disc_mask(240, (70, 120), radius_px=20))
    write_manifest(tmp_path, [{"file": "f.png", "label": "plasma_cell", "mask": "m.png"}])
    crops = read(tmp_path, SIGHT, mpp_um=MPP_UM)
    assert crops.keys().tolist() == ["plasma_cell"]
    right_of_it = crops.pixels[0, 56, 56 + 30 :]
    assert (right_of_it > 200).all()


def test_each_row_may_state_its_own_scale(tmp_path: Path) -> None:
    rows = [{"file": f"{mpp_um}.png", "label": "lymphocyte", "mpp_um": mpp_um} for mpp_um in ("0.25", "0.125")]
    for row in rows:
        write(tmp_path / row["file"], CELL)
    crops = read(write_manifest(tmp_path, rows), SIGHT)
    widths = (crops.pixels[:, 56] < 150).all(axis=2).sum(axis=1)
    assert widths.tolist() == pytest.approx([29, 14], abs=2)


@pytest.mark.parametrize("scale", ["0", "-1", "fine"])
def test_a_scale_that_is_none_is_refused(tmp_path: Path, scale: str) -> None:
    write(tmp_path / "a.png", CELL)
    write_manifest(tmp_path, [{"file": "a.png", "label": "lymphocyte", "mpp_um": scale}])
    with pytest.raises(BadRequestError, match=r"a\.png needs an mpp_um above zero"):
        read(tmp_path, SIGHT)


def test_the_set_itself_says_what_its_labels_mean(tmp_path: Path) -> None:
    for kind in ("Blasts", "junk", "lymphocyte"):
        write(tmp_path / kind / "1.png", CELL)
    _classes(tmp_path, {"Blasts": ["lymphoblast", "blast_other"], "junk": [], "lymphocyte": "plasma_cell"})
    crops = read(tmp_path, SIGHT, mpp_um=MPP_UM)
    assert crops.keys().tolist() == ["lymphoblast|blast_other", "outlier", "plasma_cell"]


def test_a_folder_between_class_and_picture_is_the_group(tmp_path: Path) -> None:
    for name in ("lymphocyte/P1/1.png", "lymphocyte/P1/2.png", "monocyte/P1/1.png", "monocyte/3.png"):
        write(tmp_path / "mine" / name, CELL)
    crops = read(tmp_path / "mine", SIGHT, mpp_um=MPP_UM)
    assert crops.group.tolist() == ["mine/P1", "mine/P1", "mine/monocyte/3", "mine/P1"]
    assert crops.picture.tolist()[0] == "mine/lymphocyte/P1/1.png"


def test_an_unknown_label_is_named_with_those_that_are_known(tmp_path: Path) -> None:
    write(tmp_path / "lymphocyte" / "1.png", CELL)
    write(tmp_path / "lymphozyt" / "1.png", CELL)
    with pytest.raises(BadRequestError, match=r"'lymphozyt'.*classes\.json.*lymphocyte, macrophage"):
        read(tmp_path, SIGHT, mpp_um=MPP_UM)


@pytest.mark.parametrize("words", [{"a": ["lymphozyt"]}, {"a": 3}, ["a"]])
def test_classes_that_are_none_are_refused_by_file(tmp_path: Path, words: object) -> None:
    write(tmp_path / "a" / "1.png", CELL)
    _classes(tmp_path, words)
    with pytest.raises(BadRequestError, match=r"classes\.json must map labels to classes"):
        read(tmp_path, SIGHT, mpp_um=MPP_UM)


def test_a_picture_without_a_nucleus_is_cut_in_its_middle(tmp_path: Path) -> None:
    glass = np.full((160, 160, 3), 230, dtype=np.uint8)
    glass[80, 80] = (200, 0, 0)
    write(tmp_path / "platelet" / "1.png", glass)
    assert read(tmp_path, SIGHT, mpp_um=MPP_UM).pixels[0, 56, 56].tolist() == [200, 0, 0]


def test_a_set_without_a_scale_asks_for_it(tmp_path: Path) -> None:
    write(tmp_path / "lymphocyte" / "1.png", CELL)
    with pytest.raises(BadRequestError, match=r"the scale is not known.*mpp_um"):
        read(tmp_path, SIGHT)
