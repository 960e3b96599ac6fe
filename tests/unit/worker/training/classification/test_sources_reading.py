"""How a folder finds its reader."""

from pathlib import Path

import pytest

from tests.support.sets import discs, find, write, write_manifest
from worker.errors import BadRequestError
from worker.training.classification.sources import read, read_all

CELL = discs(250, (125, 125), radius_px=50)


def _pbc(data: Path) -> Path:
    folder = data / "pbc_normal_wbc"
    write(folder / "BA_101611.png", CELL)
    return write_manifest(folder, [{"file": "BA_101611.png", "label": "basophil", "group_id": ""}])


def _matek(folder: Path) -> Path:
    for kind in ("BLA", "LYT"):
        write(folder / kind / f"{kind}_00001.png", CELL)
    return folder


def test_a_collection_that_is_known_by_name_is_read_at_its_scale(tmp_path: Path) -> None:
    crops = read(_pbc(tmp_path), find)
    assert crops.source.tolist() == ["pbc_normal_wbc"]
    assert crops.group.tolist() == ["pbc_normal_wbc/basophil-101"]
    assert read(_pbc(tmp_path), find, mpp_um=0.2).pixels.mean() < crops.pixels.mean()


def test_all_sets_below_a_folder_are_read_and_other_folders_passed_over(tmp_path: Path) -> None:
    _pbc(tmp_path)
    _matek(tmp_path / "marrow")
    write_manifest(tmp_path / "wsi", [{"file": "good/a.svs", "note": "a slide"}])
    write(tmp_path / "notes" / "figure.png", CELL)
    said: list[str] = []
    found = read_all(tmp_path, find, said.append)
    assert [set(crops.source.tolist()) for crops in found] == [{"pbc_normal_wbc"}, {"matek"}]
    assert said == ["pbc_normal_wbc: 1 crops", "marrow: 2 crops"]


def test_a_folder_that_is_a_set_itself_is_read(tmp_path: Path) -> None:
    assert [len(crops) for crops in read_all(_matek(tmp_path), find, lambda _: None)] == [2]
    assert [len(crops) for crops in read_all(_pbc(tmp_path / "data"), find, lambda _: None)] == [1]


def test_a_folder_of_no_known_layout_is_told_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "pictures" / "1.png", CELL)
    for reader in (read, read_all):
        with pytest.raises(BadRequestError, match=r"no data set.*C-NMC 2019.*SN-AM.*manifest\.csv.*folder per class"):
            reader(tmp_path, find)
        with pytest.raises(BadRequestError, match="gone is not a folder"):
            reader(tmp_path / "gone", find)


def test_a_set_without_a_usable_cell_says_so(tmp_path: Path) -> None:
    write(tmp_path / "ALL" / "1_ALL.bmp", discs(300))
    write(tmp_path / "MM" / "1_MM.bmp", discs(300))
    with pytest.raises(BadRequestError, match="no cell that can be used"):
        read(tmp_path, find)
