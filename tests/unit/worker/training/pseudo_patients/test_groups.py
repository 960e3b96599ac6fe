from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from db.records import Specimen
from worker.training.pseudo_patients.groups import PseudoPatient, all_of
from worker.training.pseudo_patients.sheet import Pixels


def write_set(folder: Path, rows: Sequence[dict[str, str]], pixels: Pixels) -> None:
    for row in rows:
        (folder / row["file"]).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / row["file"]), pixels)
    lines = [",".join(row[name] for name in ("file", "label", "group_id")) for row in rows]
    (folder / "manifest.csv").write_text("\n".join(["file,label,group_id", *lines]))


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)


def named(data: Path) -> dict[str, PseudoPatient]:
    return {one.name: one for one in all_of(data)}


def test_a_folder_without_sets_has_no_pseudo_patients(tmp_path: Path) -> None:
    assert named(tmp_path) == {}


def test_myeloma_patients_share_no_group_and_lose_their_letterbox(tmp_path: Path) -> None:
    letterboxed = np.full((60, 60, 3), 200, np.uint8)
    letterboxed[10:50] = noise(40, 60)
    rows = [{"file": f"{n:03}.png", "label": "MM", "group_id": f"g{n // 7}"} for n in range(30)]
    write_set(tmp_path / "segpc_mm_512", rows, letterboxed)
    first, second = named(tmp_path).values()
    assert [len(sheet) for sheet in first.sheets] == [20, 1]  # up to the group that ends after the middle
    assert [len(sheet) for sheet in second.sheets] == [9]
    assert {picture.shape for sheet in (*first.sheets, *second.sheets) for picture in sheet} == {(40, 60, 3)}


def test_leukaemia_fields_are_blood_without_their_scale_bar(tmp_path: Path) -> None:
    field = np.full((224, 224, 3), 220, np.uint8)
    field[200:210, 170:200] = 0
    rows = [{"file": f"{kind}/1.png", "label": "ALL", "group_id": "r"} for kind in ("Benign", "Early", "Pre", "Pro")]
    write_set(tmp_path / "taleqani_all", rows, field)
    found = named(tmp_path)
    assert list(found) == ["taleqani-benign", "taleqani-early", "taleqani-pre", "taleqani-pro"]
    assert {one.specimen for one in found.values()} == {Specimen.BLOOD}
    assert all((picture == 220).all() for one in found.values() for picture in one.sheets[0])


def test_no_cell_of_normal_blood_lies_on_both_sheets(tmp_path: Path) -> None:
    kinds = ("neutrophil", "basophil", "platelet")
    rows = [{"file": f"{kind}/{n}.png", "label": kind, "group_id": ""} for kind in kinds for n in range(4)]
    write_set(tmp_path / "pbc_normal_wbc", rows, noise(20, 20))
    assert [len(sheet) for sheet in named(tmp_path)["pbc-normal"].sheets] == [4 + 2, 2]


@pytest.mark.parametrize("told", [False, True])
def test_sections_are_read_as_they_are_and_as_smears_too(tmp_path: Path, told: bool) -> None:
    write_set(tmp_path / "bm_graz_HE_ood", [{"file": "a.jpg", "label": "x", "group_id": ""}], noise(20, 20))
    found = named(tmp_path)["section-told-smear" if told else "section"]
    assert (found.files, found.is_smear, found.strange) == ((tmp_path / "bm_graz_HE_ood" / "a.jpg",), told, True)
