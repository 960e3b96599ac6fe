from db.records import CellClass
from tests.support.crops import discs, one_of_each
from worker.training.classification.data import joined
from worker.training.classification.provenance import limits_of, terms_of

PLASMA = frozenset({CellClass.PLASMA_CELL})
BLAST = frozenset({CellClass.LYMPHOBLAST})


def test_terms_are_those_of_the_sets_that_are_there() -> None:
    own = discs(one_of_each(1), source="our_lab")
    assert terms_of(own) == "Trained with our_lab: terms not known here."
    told = terms_of(joined([own, discs([PLASMA], source="segpc"), discs([PLASMA], source="drawn_cells")]))
    assert "SegPC-2021 (CC BY-NC-SA 4.0)" in told
    assert "non-commercial purposes only" in told
    assert "Taleqani" not in told
    assert "drawn" not in told


def test_limits_come_from_the_crops() -> None:
    whole = discs([PLASMA] * 9, source="segpc_mm_512")
    told = limits_of(joined([whole, discs([*one_of_each(1)], source="our_lab")]))
    assert "plasma_cell 90% from SegPC-2021" in told
    assert "smudge" in told.partition("labelled as:")[2].partition(".")[0]
    assert "weak" not in told
    assert "unknown lineage" not in told
    assert "unknown lineage" in limits_of(discs([BLAST | {CellClass.BLAST_OTHER}]))
    two = joined([discs([PLASMA, BLAST], source=source) for source in ("taleqani_all", "snam")])
    assert "plasma_cell" not in limits_of(two)
    assert "mostly weak" in limits_of(two)
