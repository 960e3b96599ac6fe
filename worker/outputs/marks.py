"""The letters and colours that stand for classes of cells in every picture and file."""

from __future__ import annotations

from collections.abc import Mapping

from db.records import CellClass
from worker.outputs.panel import Rgb

MARKS: Mapping[CellClass, tuple[str, Rgb]] = {
    CellClass.LYMPHOBLAST: ("LB", (213, 60, 0)),
    CellClass.BLAST_OTHER: ("BO", (230, 140, 0)),
    CellClass.PLASMA_CELL: ("PC", (160, 0, 140)),
    CellClass.LYMPHOCYTE: ("LY", (0, 90, 178)),
    CellClass.MONOCYTE: ("MO", (0, 150, 215)),
    CellClass.NEUTROPHIL: ("NE", (0, 132, 88)),
    CellClass.EOSINOPHIL: ("EO", (150, 120, 0)),
    CellClass.BASOPHIL: ("BA", (60, 60, 150)),
    CellClass.IMMATURE_GRANULOCYTE: ("IG", (90, 160, 40)),
    CellClass.ERYTHROBLAST: ("EB", (120, 50, 30)),
    CellClass.MEGAKARYOCYTE: ("MK", (40, 44, 52)),
    CellClass.PLATELET: ("PL", (110, 110, 60)),
    CellClass.SMUDGE: ("SM", (90, 80, 100)),
    CellClass.ARTEFACT: ("AR", (70, 70, 70)),
}
"""Letters and colour of each class; the letters tell classes apart where colours do not."""

ABSTAINED: Rgb = (120, 120, 120)
"""Of cells that the model would not call."""
