"""What a differential count says besides the two shares that rules judge: lines of cells, M:E ratio, smudge cells.

As the ICSH guideline on marrow specimens has it (Lee et al., Int J Lab Hematol 2008;30:349), smudge cells,
megakaryocytes and platelets stand outside the differential, and the M:E ratio is that of granulocytes, monocytes and
their precursors to erythroblasts. Blasts of another or an unknown line are a line of their own here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from db.counts import SpecimenTally
from db.records import CellClass
from worker.counting.intervals import counted, exact

LINEAGES: Mapping[str, tuple[CellClass, ...]] = MappingProxyType(
    {
        "lymphoid": (CellClass.LYMPHOBLAST, CellClass.LYMPHOCYTE),
        "myeloid": (
            CellClass.IMMATURE_GRANULOCYTE,
            CellClass.NEUTROPHIL,
            CellClass.EOSINOPHIL,
            CellClass.BASOPHIL,
            CellClass.MONOCYTE,
        ),
        "erythroid": (CellClass.ERYTHROBLAST,),
        "plasma": (CellClass.PLASMA_CELL,),
        "other_blasts": (CellClass.BLAST_OTHER,),
    }
)
"""Which classes make up a line; every counted class is in one."""


def lineages(tally: SpecimenTally) -> dict[str, float]:
    """Return each line's share of the counted cells, with `not_called` for the abstained; nothing of no cells."""
    cells = counted(tally)
    if not cells:
        return {}
    shares = {line: _called(tally, classes) / cells for line, classes in LINEAGES.items()}
    return shares | {"not_called": tally.abstained / cells}


def m_e_ratio(tally: SpecimenTally, error: float) -> dict[str, float | None] | None:
    """Return the ratio with its exact interval (of the myeloid part of both, as odds); None without erythroblasts.

    An upper end that is infinite is None.
    """
    myeloid, erythroid = (_called(tally, LINEAGES[line]) for line in ("myeloid", "erythroid"))
    if not erythroid:
        return None
    low, high = exact(myeloid, myeloid + erythroid, error)
    return {
        "value": myeloid / erythroid,
        "ci_low": low / (1 - low),
        "ci_high": high / (1 - high) if high < 1 else None,
    }


def smudge_per_100(tally: SpecimenTally) -> float | None:
    """Return the smudge cells for every hundred counted cells; None when none was counted."""
    cells = counted(tally)
    return 100 * tally.counts.get(CellClass.SMUDGE, 0) / cells if cells else None


def _called(tally: SpecimenTally, classes: tuple[CellClass, ...]) -> int:
    return sum(tally.counts.get(one, 0) for one in classes)
