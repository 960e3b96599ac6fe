"""Whether a marrow sample is marrow enough: how far blood has diluted it.

Dividing precursors lie in marrow and hardly in blood, so that blood drawn along dilutes them, while among themselves
their shares stay as they are (Lee et al., Int J Lab Hematol 2008;30:473). The index is their share, immature
granulocytes and erythroblasts, of the called counted cells without blasts and plasma cells, whose number the disease
decides. Marrow of healthy donors has about a third of erythroblasts and half of granulocytes of all stages (Parmentier
et al., Ann Hematol 2020;99:2723): an index near a half. Below the rule's `least_marrow_index`, 0.20, more than half of
such a sample would be blood, which has few plasma cells even in myeloma. Index and limit are chosen, not taken from a
trial: few precursors have other causes too (aplasia, a marrow crowded out); a negative count then excludes as little.
"""

from __future__ import annotations

from dataclasses import dataclass

from db.counts import SpecimenTally
from db.records import CellClass, Specimen
from worker.counting.intervals import counted

_OF_MARROW = (CellClass.IMMATURE_GRANULOCYTE, CellClass.ERYTHROBLAST)
_OF_DISEASE = (CellClass.LYMPHOBLAST, CellClass.BLAST_OTHER, CellClass.PLASMA_CELL)


@dataclass(frozen=True, kw_only=True)
class Adequacy:
    """Whether a marrow sample can exclude a disease of plasma cells."""

    index: float | None  # None: no cell tells
    adequate: bool
    reason: str


def adequacy(tally: SpecimenTally, least: float) -> Adequacy | None:
    """Return how much of the sample is marrow, held against the least; None for any other specimen."""
    if tally.specimen is not Specimen.MARROW:
        return None
    precursors = sum(tally.counts.get(one, 0) for one in _OF_MARROW)
    telling = counted(tally) - tally.abstained - sum(tally.counts.get(one, 0) for one in _OF_DISEASE)
    if not telling:
        return Adequacy(index=None, adequate=False, reason="no called cell tells marrow from blood")
    index = precursors / telling
    held = f"{precursors} dividing precursors among {telling} cells of other lines ({index:.2f} against {least:.2f})"
    if index < least:
        return Adequacy(index=index, adequate=False, reason=f"perhaps diluted by blood: {held}")
    return Adequacy(index=index, adequate=True, reason=f"marrow: {held}")
