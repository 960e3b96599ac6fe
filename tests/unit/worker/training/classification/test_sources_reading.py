"""How a folder finds its reader."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.sets import SIGHT, disc_mask, discs, write, write_manifest
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
    crops = read(_pbc(tmp_path), SIGHT)
    assert crops.source.tolist() == ["pbc_normal_wbc"]
    assert crops.group.tolist() == ["pbc_normal_wbc/basophil-101"]
    assert read(_pbc(tmp_path), SIGHT, mpp_um=0.2).pixels.mean() < crops.pixels.mean()


def test_all_sets_below_a_folder_are_read_and_other_folders_passed_over(tmp_path: Path) -> None:
    _pbc(tmp_path)
    _matek(tmp_path / "marrow")
    write_manifest(tmp_path / "wsi", [{"file": "good/a.svs", "note": "a slide"}])
    write(tmp_path / "notes" / "figure.png", CELL)
    said: list[str] = []
    found = read_all(tmp_path, SIGHT, said.append)
    assert [set(crops.source.tolist()) for crops in found] == [{"pbc_normal_wbc"}, {"matek"}]
    assert said == ["pbc_normal_wbc: 1 crops", "marrow: 2 crops"]


def test_a_folder_that_is_a_set_itself_is_read(tmp_path: Path) -> None:
    assert [len(crops) for crops in read_all(_matek(tmp_path), SIGHT, lambda _: None)] == [2]
    assert [len(crops) for crops in read_all(_pbc(tmp_path / "data"), SIGHT, lambda _: None)] == [1]


def _cnmc(root: Path) -> Path:
    for name in ("fold_0/all/UID_11_1_1_all.png", "fold_1/hem/UID_H2_1_1_hem.png"):
        write(root / "C-NMC_training_data" / name, CELL)
    write(root / "C-NMC_test_prelim" / "1.png", CELL)
    (root / "C-NMC_test_prelim_labels.csv").write_text("Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.png,1\n")
    return root


def _segpc(root: Path) -> Path:
    for part, number in (("train", 1), ("validation", 2)):
        write(root / part / "x" / f"{number}.png", discs(800, (400, 400), radius_px=80))
        write(root / part / "y" / f"{number}_1.png", disc_mask(800, (400, 400), radius_px=100))
    return root


def _sample(root: Path) -> Path:
    folder = root / "cnmc2019_sample"
    write(folder / "all" / "UID_11_1_1_all.png", CELL)
    row = {"file": "all/UID_11_1_1_all.png", "label": "ALL_blast", "group_id": "11"}
    return write_manifest(folder, [row])


@pytest.mark.parametrize(
    ("tree", "source", "pictures"),
    [
        (_cnmc, "cnmc", ["C-NMC_test_prelim/1.png", "C-NMC_training_data/fold_0/all/UID_11_1_1_all.png"]),
        (_segpc, "segpc", ["train/x/1.png", "validation/x/2.png"]),
        (_sample, "cnmc2019_sample", ["all/UID_11_1_1_all.png"]),
    ],
)
def test_a_root_whose_parts_look_like_sets_is_read_as_one(
    tmp_path: Path, tree: Callable[[Path], Path], source: str, pictures: list[str]
) -> None:
    [crops] = read_all(tree(tmp_path), SIGHT, lambda _: None)
    assert sorted(crops.picture.tolist())[: len(pictures)] == [f"{source}/{name}" for name in pictures]


def test_sets_of_two_layouts_side_by_side_stay_two(tmp_path: Path) -> None:
    _segpc(tmp_path / "plasma")
    _matek(tmp_path / "marrow")
    found = read_all(tmp_path, SIGHT, lambda _: None)
    assert [set(crops.source.tolist()) for crops in found] == [{"matek"}, {"segpc"}]


def test_a_folder_of_no_known_layout_is_told_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "pictures" / "1.png", CELL)
    for reader in (read, read_all):
        with pytest.raises(BadRequestError, match=r"no data set.*C-NMC 2019.*SN-AM.*manifest\.csv.*folder per class"):
            reader(tmp_path, SIGHT)
        with pytest.raises(BadRequestError, match="gone is not a folder"):
            reader(tmp_path / "gone", SIGHT)


def test_a_set_without_a_usable_cell_says_so(tmp_path: Path) -> None:
    write(tmp_path / "ALL" / "1_ALL.bmp", discs(300))
    write(tmp_path / "MM" / "1_MM.bmp", discs(300))
    with pytest.raises(BadRequestError, match="no cell that can be used"):
        read(tmp_path, SIGHT)
