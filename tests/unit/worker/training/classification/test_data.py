from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.records import CellClass
from tests.support.crops import discs, one_of_each
from worker.training.classification.data import (
    CLASSES,
    SHARES,
    capped,
    crop_set,
    is_drawn,
    joined,
    key,
    split,
    store,
    stored,
)

BLAST = frozenset({CellClass.LYMPHOBLAST, CellClass.BLAST_OTHER})


def test_no_class_is_wider_than_a_crop() -> None:
    assert CellClass.MEGAKARYOCYTE not in CLASSES
    assert len(CLASSES) == 13


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (frozenset({CellClass.LYMPHOCYTE}), "lymphocyte"),
        (BLAST, "lymphoblast|blast_other"),
        (frozenset(map(CellClass, CLASSES)) - {CellClass.PLASMA_CELL}, "not plasma_cell"),
        (frozenset(), "outlier"),
    ],
)
def test_a_label_is_written_by_its_shorter_side(label: frozenset[CellClass], text: str) -> None:
    assert discs([label]).keys().tolist() == [text]
    assert key(discs([label]).allowed[0]) == text


@settings(max_examples=25, deadline=None)
@given(per_group=st.integers(1, 9), seed=st.integers(0, 10_000))
def test_no_group_is_divided_between_parts(per_group: int, seed: int) -> None:
    crops = discs(one_of_each(12), per_group=per_group)
    parts = split(crops, seed)
    assert sum(len(part) for part in parts.values()) == len(crops)
    groups = [set(part.group.tolist()) for part in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_every_label_of_every_source_is_divided_near_the_shares() -> None:
    crops = joined([discs(one_of_each(40), source=name, per_group=1) for name in ("one", "other")])
    for name, part in split(crops, 5).items():
        for source in ("one", "other"):
            counts = np.unique(part.keys()[part.source == source], return_counts=True)[1]
            assert counts == pytest.approx(np.full(3, SHARES[name] * 40), abs=1.5)


def test_a_further_source_moves_no_group() -> None:
    one, other = discs(one_of_each(10), source="one"), discs(one_of_each(10), source="other")
    alone, both = split(one, 3)["test"], split(joined([one, other]), 3)["test"]
    assert set(alone.group) == {group for group in both.group if group.startswith("one/")}


def test_two_folders_of_the_same_fields_share_their_groups() -> None:
    crop = discs(one_of_each(1)).pixels[0]
    rows = [(crop, BLAST, "field-1", "1.png")]
    coarse, fine = crop_set(rows, "coarse"), crop_set(rows, "fine", groups_of="coarse")
    assert coarse.group.tolist() == fine.group.tolist() == ["coarse/field-1"]


def test_a_stored_set_comes_back(tmp_path: Path) -> None:
    crops = discs(one_of_each(2))
    store(crops, tmp_path / "crops.npz")
    again = stored(tmp_path / "crops.npz")
    assert (again.pixels == crops.pixels).all()
    assert (again.allowed == crops.allowed).all()
    assert (again.group.tolist(), again.picture.tolist()) == (crops.group.tolist(), crops.picture.tolist())
    assert again.classes == crops.classes


def test_a_capped_set_keeps_rare_labels_whole() -> None:
    crops = discs([*one_of_each(6), BLAST, BLAST])
    counts = dict(zip(*np.unique(capped(crops, 3, 1).keys(), return_counts=True), strict=True))
    assert counts == {"lymphocyte": 3, "eosinophil": 3, "plasma_cell": 3, "lymphoblast|blast_other": 2}


def test_drawn_sources_are_told_by_their_name() -> None:
    crops = joined([discs(one_of_each(1), source="drawn_cells"), discs(one_of_each(1), source="blood")])
    assert is_drawn(crops).tolist() == [True] * 3 + [False] * 3
