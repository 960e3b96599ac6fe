"""The marrow cells of Matek et al. 2021 (Munich Leukemia Laboratory): 171,374 single cells of 21 kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from db.records import CellClass as C
from worker.training.classification.data import Label, Row
from worker.training.classification.sources.labels import BLAST, OUTLIER, is_
from worker.training.classification.sources.pictures import Sight, at_work_scale, pictures_below, rgb, single_cell

KINDS: Mapping[str, Label] = {
    "ABE": is_(C.EOSINOPHIL),  # abnormal eosinophil
    "ART": is_(C.ARTEFACT),
    "BAS": is_(C.BASOPHIL),
    "BLA": BLAST,  # of any lineage
    "EBO": is_(C.ERYTHROBLAST),
    "EOS": is_(C.EOSINOPHIL),
    "FGC": is_(C.IMMATURE_GRANULOCYTE, C.BLAST_OTHER),  # faggot cell: a promyelocyte that counts as a blast
    "HAC": is_(C.LYMPHOCYTE),  # hairy cell
    "KSC": is_(C.SMUDGE),
    "LYI": is_(C.LYMPHOCYTE, C.LYMPHOBLAST),  # immature lymphocyte
    "LYT": is_(C.LYMPHOCYTE),
    "MMZ": is_(C.IMMATURE_GRANULOCYTE),  # metamyelocyte
    "MON": is_(C.MONOCYTE),
    "MYB": is_(C.IMMATURE_GRANULOCYTE),  # myelocyte
    "NGB": is_(C.NEUTROPHIL),  # band
    "NGS": is_(C.NEUTROPHIL),  # segmented
    "NIF": OUTLIER,  # not identifiable
    "OTH": OUTLIER,  # none of the other kinds
    "PEB": is_(C.ERYTHROBLAST),  # proerythroblast
    "PLM": is_(C.PLASMA_CELL),
    "PMO": is_(C.IMMATURE_GRANULOCYTE),  # promyelocyte
}
_MPP_UM = 0.1
_PER_KIND = 1000
"""Most cells of one kind that are read, from all over the set: some kinds have thirty thousand."""
_BLOCK = 25


def has_matek(folder: Path) -> bool:
    """Tell whether folders named by the set's abbreviations lie below the folder."""
    return len(_folders(folder)) > 1


def matek_rows(folder: Path, mpp_um: float | None, sight: Sight) -> Iterator[Row]:
    """Yield up to 1,000 cells of each kind; no patients are stated, so the group is a block of 25 file numbers."""
    for parent in _folders(folder):
        paths = pictures_below(parent)
        chosen = np.linspace(0, len(paths) - 1, min(_PER_KIND, len(paths))).round().astype(int)
        for path in (paths[i] for i in chosen):
            image = at_work_scale(rgb(path), mpp_um or _MPP_UM)
            number = path.stem.rpartition("_")[2]
            group = f"{parent.name}_b{int(number) // _BLOCK:03d}" if number.isdigit() else path.stem
            yield single_cell(image, sight), KINDS[parent.name], group, path.relative_to(folder).as_posix()


def _folders(folder: Path) -> list[Path]:
    found = [path for pattern in ("*/", "*/*/", "*/*/*/") for path in folder.glob(pattern) if path.name in KINDS]
    return sorted(path for path in found if pictures_below(path))
