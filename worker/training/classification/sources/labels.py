"""What the labels of data sets mean: each is the set of our classes that a crop so labelled may belong to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from db.records import CellClass as C
from worker.errors import BadRequestError
from worker.training.classification.data import CLASSES, Label

BLAST: Label = frozenset({C.LYMPHOBLAST, C.BLAST_OTHER})
NOT_PLASMA: Label = frozenset(map(C, CLASSES)) - {C.PLASMA_CELL}
NOT_BLAST: Label = frozenset(map(C, CLASSES)) - BLAST
NO_BLAST: Label = NOT_PLASMA - BLAST
UNREADABLE: Label = frozenset({C.ARTEFACT, C.SMUDGE})
OUTLIER: Label = frozenset()

OWN_FILE = "classes.json"
"""Beside the pictures of a set: what its labels mean, `{"label": "class" or ["class", …] or []}`; [] is an outlier."""
_SMALL_UM2 = 40.0
"""Nuclei of mature lymphocytes are mostly smaller, those of lymphoblasts mostly larger."""


def is_(*classes: C) -> Label:
    """Return the label of these classes."""
    return frozenset(classes)


KNOWN: Mapping[str, Label] = {
    **{name: is_(C(name)) for name in CLASSES},
    "band_neutrophil": is_(C.NEUTROPHIL), "segmented_neutrophil": is_(C.NEUTROPHIL),
    "promyelocyte": is_(C.IMMATURE_GRANULOCYTE), "myelocyte": is_(C.IMMATURE_GRANULOCYTE),
    "metamyelocyte": is_(C.IMMATURE_GRANULOCYTE), "ig": is_(C.IMMATURE_GRANULOCYTE),
    "proerythroblast": is_(C.ERYTHROBLAST), "basophilic_erythroblast": is_(C.ERYTHROBLAST),
    "polychromatic_erythroblast": is_(C.ERYTHROBLAST), "orthochromatic_erythroblast": is_(C.ERYTHROBLAST),
    "blast": BLAST, "blast_any_lineage": BLAST, "not_identifiable": OUTLIER, "macrophage": OUTLIER,
    "all_blast": is_(C.LYMPHOBLAST), "normal_cell": is_(C.LYMPHOCYTE),
}  # fmt: skip
"""Labels, in small letters, that need no further word: our classes, and what public sets call theirs."""


def label_of(name: str, own: Mapping[str, Label], where: Path) -> Label:
    """Return the meaning of a label, by the set's own words first.

    Raises BadRequestError, listing the labels that are known, for one that is not.
    """
    if name in own:
        return own[name]
    if name.lower() in KNOWN:
        return KNOWN[name.lower()]
    raise BadRequestError(
        f"{where}: what the label {name!r} means is not known. Say it in {where / OWN_FILE}, as in "
        f'{{"{name}": ["lymphoblast", "blast_other"]}}, or use one of: {", ".join(sorted({*own, *KNOWN}))}'
    )


def own_labels(folder: Path) -> dict[str, Label]:
    """Return what `classes.json` in the folder says, or nothing without one; BadRequestError where it is not valid."""
    file = folder / OWN_FILE
    if not file.is_file():
        return {}
    try:
        words = json.loads(file.read_text(encoding="utf-8"))
        return {str(label): _classes(told) for label, told in words.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise BadRequestError(f"{file} must map labels to classes out of {', '.join(CLASSES)}: {error}") from error


def weak_label(*, of_leukaemia: bool, nucleus_um2: float) -> Label:
    """Return what a nucleus may be whose field is only known as a whole, to be of ALL or of a benign marrow.

    Large nuclei of an ALL field count as lymphoblasts, small ones may be lymphocytes too; in a benign field small ones
    are lymphocytes (haematogones among them) and large ones anything but blasts and plasma cells.
    """
    is_large = nucleus_um2 > _SMALL_UM2
    if of_leukaemia:
        other = is_(C.LYMPHOCYTE, C.ERYTHROBLAST, C.PLATELET) | UNREADABLE
        return is_(C.LYMPHOBLAST) if is_large else is_(C.LYMPHOBLAST) | other
    return NO_BLAST if is_large else is_(C.LYMPHOCYTE)


def _classes(told: str | Iterable[str]) -> Label:
    names = [told] if isinstance(told, str) else list(told)
    if unknown := sorted(set(names) - set(CLASSES)):
        raise ValueError(f"{', '.join(unknown)} is none")
    return frozenset(map(C, names))
