"""Readers of the public layouts, on trees that are made as the archives unpack."""

import csv
from pathlib import Path

import numpy as np
import pytest

from db.records import CellClass as C
from tests.support.sets import SIGHT, disc_mask, discs, write
from worker.errors import BadRequestError
from worker.training.classification.data import MPP_UM, CropSet
from worker.training.classification.sources import read
from worker.training.classification.sources.matek import KINDS

BLASTS = "lymphoblast|blast_other"


def _on_black(side_px: int = 450) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    cell = discs(side_px, (side_px // 2, side_px // 2), radius_px=90)
    cell[cell[..., 1] > 100] = 0
    return cell


def _table(crops: CropSet) -> set[tuple[str, str, str]]:
    """Return label, group and picture of the crops."""
    return set(zip(crops.keys().tolist(), crops.group.tolist(), crops.picture.tolist(), strict=True))


def test_cnmc_is_read_by_patient_and_its_preliminary_test_by_its_table(tmp_path: Path) -> None:
    root = tmp_path / "PKG - C-NMC 2019"
    for name in ("fold_0/all/UID_11_1_1_all.bmp", "fold_1/all/UID_11_2_1_all.bmp", "fold_2/hem/UID_H2_1_1_hem.bmp"):
        write(root / "C-NMC_training_data" / name, _on_black())
    phase = "C-NMC_test_prelim_phase_data"
    write(root / phase / phase / "1.bmp", _on_black())
    write(root / phase / phase / "2.bmp", _on_black())
    write(root / "C-NMC_test_final_phase_data" / "1.bmp", discs(450, (225, 225), radius_px=5))
    with (root / phase / f"{phase}_labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [
                ["Patient_ID", "new_names", "labels"],
                ["UID_57_29_1_all.bmp", "1.bmp", 1],
                ["UID_H49_35_1_hem.bmp", "2.bmp", 0],
            ]
        )
    crops = read(tmp_path, SIGHT)
    train, test = "cnmc/PKG - C-NMC 2019/C-NMC_training_data", f"cnmc/PKG - C-NMC 2019/{phase}/{phase}"
    assert _table(crops) == {
        ("lymphoblast", "cnmc/11", f"{train}/fold_0/all/UID_11_1_1_all.bmp"),
        ("lymphoblast", "cnmc/11", f"{train}/fold_1/all/UID_11_2_1_all.bmp"),
        ("lymphocyte", "cnmc/H2", f"{train}/fold_2/hem/UID_H2_1_1_hem.bmp"),
        ("lymphoblast", "cnmc/57", f"{test}/1.bmp"),
        ("lymphocyte", "cnmc/H49", f"{test}/2.bmp"),
    }
    assert set(crops.source.tolist()) == {"cnmc"}
    assert (crops.pixels[:, 0, 0] == 230).all()


def test_a_cell_of_cnmc_that_a_mirror_holds_twice_is_read_once(tmp_path: Path) -> None:
    for folder in ("C-NMC_training_data/fold_0/all", "C-NMC_train_merged/all"):
        write(tmp_path / folder / "UID_11_1_1_all.bmp", _on_black())
    assert len(read(tmp_path, SIGHT)) == 1


def test_a_table_of_another_form_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "all" / "UID_11_1_1_all.bmp", _on_black())
    (tmp_path / "x_labels.csv").write_text("name,label\n1.bmp,1\n")
    with pytest.raises(BadRequestError, match=r"x_labels\.csv must have the columns Patient_ID"):
        read(tmp_path, SIGHT)


def test_segpc_tells_plasma_cells_by_all_masks_of_a_field(tmp_path: Path) -> None:
    places = [(250, 250), (550, 250), (250, 550), (550, 550)]
    top = tmp_path / "TCIA_SegPC_dataset" / "TCIA_SegPC_dataset"
    write(top / "train" / "train" / "x" / "106.bmp", discs(800, *places, radius_px=80))
    for number, place in enumerate(places[:2], 1):
        mask = disc_mask(800, place, radius_px=100, value=20)
        write(top / "train" / "train" / "y" / f"106_{number}.bmp", mask)
    write(top / "test" / "x" / "1800.bmp", discs(800, *places, radius_px=80))
    crops = read(tmp_path, SIGHT)
    picture = "segpc/TCIA_SegPC_dataset/TCIA_SegPC_dataset/train/train/x/106.bmp"
    assert sorted(crops.keys().tolist()) == ["not plasma_cell"] * 2 + ["plasma_cell"] * 2
    assert set(crops.group.tolist()) == {"segpc/b0100"}
    assert set(crops.picture.tolist()) == {picture}


def test_snam_labels_cells_by_their_field_and_passes_over_masks(tmp_path: Path) -> None:
    root = tmp_path / "PKG - SN-AM"
    for name in ("ALL/5_ALL.bmp", "MM/5_also_ref_image_MM.bmp"):
        write(root / name, discs(600, (300, 300), radius_px=95))
        write(root / name.replace(".bmp", "_nucleus_mask.bmp"), discs(600, (300, 300), radius_px=95))
    crops = read(tmp_path, SIGHT)
    assert _table(crops) == {
        ("lymphoblast", "snam/ALL/5_ALL", "snam/PKG - SN-AM/ALL/5_ALL.bmp"),
        (f"not {BLASTS}", "snam/MM/5_also_ref_image_MM", "snam/PKG - SN-AM/MM/5_also_ref_image_MM.bmp"),
    }


def test_small_nuclei_of_an_all_field_of_snam_may_be_lymphocytes_too(tmp_path: Path) -> None:
    for name in ("ALL/1_ALL.bmp", "MM/1_MM.bmp"):
        write(tmp_path / name, discs(600, (300, 300), radius_px=60))
    leukaemia = read(tmp_path, SIGHT).keys().tolist()[0]
    assert leukaemia == "lymphoblast|lymphocyte|erythroblast|platelet|smudge|artefact"


def test_allidb_marks_blasts_by_their_places_and_single_cells_by_their_names(tmp_path: Path) -> None:
    places = [(150, 200), (450, 200)]
    for name, marked in (("Im006_1", "155\t204\n"), ("Im034_0", "")):
        write(tmp_path / "ALL_IDB1" / "im" / f"{name}.jpg", discs(600, *places, radius_px=40))
        xyc = tmp_path / "ALL_IDB1" / "xyc" / f"{name}.xyc"
        xyc.parent.mkdir(exist_ok=True)
        xyc.write_text(marked)
    for name in ("Im001_1", "Im131_0"):
        write(tmp_path / "ALL_IDB2" / "img" / f"{name}.tif", discs(257, (128, 128), radius_px=60))
    crops = read(tmp_path, SIGHT, mpp_um=0.1)
    assert _table(crops) == {
        ("lymphoblast", "all_idb/field Im006_1", "all_idb/ALL_IDB1/im/Im006_1.jpg"),
        (f"not {BLASTS}", "all_idb/field Im006_1", "all_idb/ALL_IDB1/im/Im006_1.jpg"),
        (f"not {BLASTS}", "all_idb/field Im034_0", "all_idb/ALL_IDB1/im/Im034_0.jpg"),
        ("lymphoblast", "all_idb/cell Im001_1", "all_idb/ALL_IDB2/img/Im001_1.tif"),
        (f"not {BLASTS}", "all_idb/cell Im131_0", "all_idb/ALL_IDB2/img/Im131_0.tif"),
    }
    assert len(crops) == 6


def test_places_that_are_no_pairs_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "Im006_1.jpg", discs(300, (150, 150)))
    (tmp_path / "Im006_1.xyc").write_text("155 204 7")
    with pytest.raises(BadRequestError, match=r"Im006_1\.xyc must hold pairs"):
        read(tmp_path, SIGHT, mpp_um=0.2)


def test_allidb_without_a_scale_asks_for_it(tmp_path: Path) -> None:
    write(tmp_path / "Im001_1.tif", discs(257, (128, 128), radius_px=60))
    with pytest.raises(BadRequestError, match="mpp_um"):
        read(tmp_path, SIGHT)


def test_the_marrow_cells_are_read_by_their_kinds_and_grouped_by_their_numbers(tmp_path: Path) -> None:
    names = ["BLA/0001-1000/BLA_00020.jpg", "BLA/1001-2000/BLA_01001.jpg", "PLM/0001-1000/PLM_00030.jpg"]
    for name in [*names, "NIF/NIF_00001.jpg"]:
        write(tmp_path / "BM_cytomorphology_data" / name, discs(250, (125, 125), radius_px=50))
    crops = read(tmp_path, SIGHT)
    found = {(label, group) for label, group, _ in _table(crops)}
    assert found == {
        (BLASTS, "matek/BLA_b000"),
        (BLASTS, "matek/BLA_b040"),
        ("plasma_cell", "matek/PLM_b001"),
        ("outlier", "matek/NIF_b000"),
    }
    assert (crops.pixels[:, 56, 56] < 150).all()


def test_a_scale_that_is_given_goes_before_the_estimate(tmp_path: Path) -> None:
    for kind in ("BLA", "LYT"):
        write(tmp_path / kind / f"{kind}_00020.jpg", discs(400, (200, 200), radius_px=20))
    middles = [read(tmp_path, SIGHT, mpp_um=mpp_um).pixels[0, 56] for mpp_um in (0.1, MPP_UM)]
    sizes = [np.count_nonzero((middle < 150).all(axis=1)) for middle in middles]
    assert sizes[0] == pytest.approx(0.4 * sizes[1], abs=2)
    assert sizes[1] == pytest.approx(41, abs=2)


def test_every_abbreviation_of_the_marrow_cells_has_a_meaning() -> None:
    assert len(KINDS) == 21
    assert KINDS["BLA"] == {C.LYMPHOBLAST, C.BLAST_OTHER}
