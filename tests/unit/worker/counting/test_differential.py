from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.counts import SpecimenTally
from db.records import NOT_COUNTED, CellClass, Specimen
from worker.counting.adequacy import adequacy
from worker.counting.differential import LINEAGES, lineages, m_e_ratio, smudge_per_100


def marrow(counts: dict[CellClass, int], *, abstained: int = 0, specimen: Specimen = Specimen.MARROW) -> SpecimenTally:
    called = {name.value: n for name, n in counts.items()}
    return SpecimenTally(specimen=specimen, counts=called, abstained=abstained, slides_done=1)


NORMAL = {
    CellClass.NEUTROPHIL: 150,
    CellClass.IMMATURE_GRANULOCYTE: 120,
    CellClass.MONOCYTE: 20,
    CellClass.EOSINOPHIL: 8,
    CellClass.BASOPHIL: 2,
    CellClass.ERYTHROBLAST: 100,
    CellClass.LYMPHOCYTE: 60,
    CellClass.LYMPHOBLAST: 5,
    CellClass.PLASMA_CELL: 10,
    CellClass.SMUDGE: 95,
    CellClass.MEGAKARYOCYTE: 3,
}


def test_every_counted_class_is_in_one_line() -> None:
    named = [one for line in LINEAGES.values() for one in line]
    assert sorted(named) == sorted(set(CellClass) - NOT_COUNTED)


@given(st.dictionaries(st.sampled_from(CellClass), st.integers(0, 900)), st.integers(0, 90))
def test_lines_and_what_was_not_called_make_up_all_counted_cells(counts: dict[CellClass, int], abstained: int) -> None:
    shares = lineages(marrow(counts, abstained=abstained))
    assert not shares or sum(shares.values()) == pytest.approx(1.0)


def test_a_normal_marrow_by_hand() -> None:
    tally = marrow(NORMAL)
    assert lineages(tally)["myeloid"] == pytest.approx(300 / 475)
    ratio = m_e_ratio(tally, 0.05)
    assert ratio is not None
    assert ratio == pytest.approx({"value": 3.0, "ci_low": 2.386, "ci_high": 3.794}, abs=0.01)
    assert smudge_per_100(tally) == pytest.approx(20.0)


def test_without_erythroblasts_or_cells_there_is_no_ratio() -> None:
    assert m_e_ratio(marrow({CellClass.NEUTROPHIL: 300}), 0.05) is None
    only = m_e_ratio(marrow({CellClass.ERYTHROBLAST: 300}), 0.05)
    assert only is not None
    assert (only["value"], only["ci_low"]) == (0.0, 0.0)
    assert (lineages(marrow({})), smudge_per_100(marrow({}))) == ({}, None)


def test_adequacy_is_the_share_of_dividing_precursors_among_cells_of_no_disease() -> None:
    found = adequacy(marrow(NORMAL, abstained=40), 0.20)
    assert found is not None
    assert found.index == pytest.approx(220 / 460)
    assert found.adequate
    diluted = adequacy(marrow(NORMAL | {CellClass.NEUTROPHIL: 900}), 0.20)
    assert diluted is not None
    assert (diluted.adequate, "diluted by blood: 220 dividing precursors among 1210" in diluted.reason) == (False, True)


def test_what_no_cell_tells_is_not_adequate_and_blood_is_not_asked() -> None:
    found = adequacy(marrow({CellClass.PLASMA_CELL: 400}, abstained=40), 0.20)
    assert found is not None
    assert (found.index, found.adequate) == (None, False)
    assert adequacy(marrow(NORMAL, specimen=Specimen.BLOOD), 0.20) is None
