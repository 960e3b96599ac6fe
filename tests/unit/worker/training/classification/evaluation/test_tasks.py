from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from db.records import CellClass as C
from tests.support.crops import discs
from tests.support.evaluations import BLAST, LYMPHOCYTE, small_sets
from tests.support.sets import SIGHT, snam_tree, write
from tests.support.sets import discs as picture_of_discs
from worker.errors import BadRequestError
from worker.training.classification.data import CropSet, joined
from worker.training.classification.evaluation import tasks, wording
from worker.training.classification.sources import read

PBC, TALEQANI, SEGPC, MATEK = (tasks.chosen((name,))[0] for name in ("pbc", "taleqani", "segpc", "matek"))
SNAM, ALL_IDB = (tasks.chosen((name,))[0] for name in ("snam", "all_idb"))
NOT_PLASMA = frozenset(C) - {C.PLASMA_CELL, C.MEGAKARYOCYTE}


def _called(crops: CropSet) -> list[str]:
    return [crops.classes[n] for n in crops.allowed.argmax(axis=1)]


def test_all_tasks_are_asked_when_none_is_named() -> None:
    names = ["segpc", "taleqani", "cnmc", "matek", "pbc", "snam", "all_idb"]
    assert [task.name for task in tasks.chosen(())] == names
    assert list(wording.TASKS) == names


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadRequestError, match="no task is called pcb: use segpc"):
        tasks.chosen(("pcb",))


def test_a_label_that_allows_the_marker_is_positive() -> None:
    cells = discs([frozenset({C.PLASMA_CELL}), NOT_PLASMA, frozenset()], source="segpc_mm_512")
    own = tasks.asked(cells, SEGPC)
    assert own.classes == ("other cell", "plasma cell")
    assert _called(own) == ["plasma cell", "other cell"]


def test_blasts_of_any_lineage_are_positive_and_outliers_left_out() -> None:
    labels = [frozenset({C.LYMPHOBLAST, C.BLAST_OTHER}), frozenset({C.MONOCYTE}), frozenset[C]()]
    assert _called(tasks.asked(discs(labels, source="matek_bone_marrow"), MATEK)) == ["blast", "other cell"]


def test_a_cell_that_may_be_a_blast_or_not_is_left_out() -> None:
    labels = [{C.LYMPHOCYTE, C.LYMPHOBLAST}, {C.BLAST_OTHER}, {C.IMMATURE_GRANULOCYTE, C.BLAST_OTHER}, {C.MONOCYTE}]
    own = tasks.asked(discs([frozenset(label) for label in labels], source="matek"), MATEK)
    assert own.picture.tolist() == ["matek/1", "matek/3"]
    assert _called(own) == ["blast", "other cell"]


def test_the_weak_labels_of_a_field_stay_as_they_are() -> None:
    labels = [frozenset({C.LYMPHOBLAST, C.LYMPHOCYTE, C.SMUDGE}), LYMPHOCYTE]
    assert _called(tasks.asked(discs(labels, source="taleqani_all"), TALEQANI)) == ["ALL", "benign"]


def test_without_a_marker_cells_are_asked_for_their_type() -> None:
    own = tasks.asked(small_sets(), PBC)
    assert sorted(own.classes) == ["eosinophil", "lymphocyte", "plasma_cell"]
    labels = small_sets().where(small_sets().source == "pbc_normal_wbc").keys()
    assert _called(own) == labels.tolist()


def test_the_papers_own_set_is_asked_for_all_or_myeloma_by_field(tmp_path: Path) -> None:
    own = tasks.asked(read(snam_tree(tmp_path, fields=2), SIGHT), SNAM)
    assert own.classes == ("MM", "ALL")
    assert dict(zip(own.picture.tolist(), _called(own), strict=True)) == {
        f"snam/{kind}/{n}_{kind}.bmp": kind for kind in ("ALL", "MM") for n in (0, 1)
    }
    assert wording.task("snam").caution.startswith("Both classes are malignant: positive means ALL here")


def test_marked_cells_of_all_idb_are_blasts_and_all_others_are_not(tmp_path: Path) -> None:
    for name in ("Im001_1", "Im131_0"):
        write(tmp_path / "img" / f"{name}.tif", picture_of_discs(257, (128, 128), radius_px=60))
    own = tasks.asked(read(tmp_path, SIGHT, mpp_um=0.1), ALL_IDB)
    assert dict(zip(own.group.tolist(), _called(own), strict=True)) == {
        "all_idb/cell Im001_1": "blast",
        "all_idb/cell Im131_0": "other cell",
    }


def test_a_set_that_is_absent_is_named() -> None:
    with pytest.raises(BadRequestError, match="nothing for the task segpc: it asks segpc_mm_512 or segpc"):
        tasks.asked(small_sets(), SEGPC)
    assert not tasks.is_present(small_sets(), SEGPC)


def test_a_trunk_sees_nothing_of_the_set_nor_of_a_copy_of_it() -> None:
    again = discs([BLAST] * 4, source="segpc_mm_native")
    copied = discs([LYMPHOCYTE] * 4, source="elsewhere", per_group=1)
    asked = discs([BLAST] * 4, source="segpc_mm_512", per_group=4)
    copied = replace(copied, group=np.where(np.arange(4) == 2, asked.group[0], copied.group))
    others = tasks.without(joined([asked, again, copied]), SEGPC)
    assert others.picture.tolist() == ["elsewhere/0", "elsewhere/1", "elsewhere/3"]


def test_a_field_is_one_unit_and_a_cell_another() -> None:
    fields = tasks.asked(small_sets(), TALEQANI)
    first, unit_of = tasks.units(fields, TALEQANI)
    assert len(first) == len(fields) / 2
    assert (fields.picture[first][unit_of] == fields.picture).all()
    assert len(tasks.units(fields, PBC)[0]) == len(fields)


def test_units_have_names_of_their_own() -> None:
    cells = tasks.asked(discs([frozenset({C.PLASMA_CELL})] * 4, source="segpc_mm_512"), SEGPC)
    one_field = replace(cells, picture=np.repeat(cells.picture[:1], 4))
    assert tasks.unit_names(one_field, SEGPC).tolist() == [f"segpc_mm_512/0#{n}" for n in (1, 2, 3, 4)]
