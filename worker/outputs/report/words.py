"""How a report names classes and writes numbers: for people, in per cent, without a digit that says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from db.records import NOT_COUNTED, CellClass, Specimen
from worker.counting.differential import LINEAGES as LINES

NOTICE = "Research use only, not for diagnostic procedures"

NOTHING = "\u2013"
"""Stands where a number is not known."""
TO = "\u2060\u2013\u2060"
"""A dash between two numbers, at which no line breaks."""
SINGULAR: Mapping[CellClass, str] = {
    CellClass.LYMPHOBLAST: "lymphoblast",
    CellClass.BLAST_OTHER: "other blast",
    CellClass.PLASMA_CELL: "plasma cell",
    CellClass.LYMPHOCYTE: "lymphocyte",
    CellClass.MONOCYTE: "monocyte",
    CellClass.NEUTROPHIL: "neutrophil",
    CellClass.EOSINOPHIL: "eosinophil",
    CellClass.BASOPHIL: "basophil",
    CellClass.IMMATURE_GRANULOCYTE: "immature granulocyte",
    CellClass.ERYTHROBLAST: "erythroblast",
    CellClass.MEGAKARYOCYTE: "megakaryocyte",
    CellClass.PLATELET: "platelet",
    CellClass.SMUDGE: "smudge cell",
    CellClass.ARTEFACT: "artefact",
}
LINEAGES: Mapping[str, tuple[CellClass, ...]] = {
    "Lymphoid": LINES["lymphoid"],
    "Plasma": LINES["plasma"],
    "Blasts of another or an unknown line": LINES["other_blasts"],
    "Myeloid": LINES["myeloid"],
    "Erythroid": LINES["erythroid"],
}
"""The counted classes by lineage, in the order of a differential."""
ORDER: tuple[CellClass, ...] = (*(one for group in LINEAGES.values() for one in group), *sorted(NOT_COUNTED))
UNSTATED = "a specimen that is not stated"
DISEASES: Mapping[str, str] = {"ALL": "acute lymphoblastic leukaemia", "MM": "multiple myeloma"}


def specimen(name: str) -> str:
    """Return what was smeared, as it stands after "in": `marrow`, `a specimen that is not stated`."""
    return UNSTATED if name == Specimen.UNKNOWN else name


def the_specimen(name: str) -> str:
    """Return what was smeared, as it stands after "of": `the marrow`, `a specimen that is not stated`."""
    return UNSTATED if name == Specimen.UNKNOWN else f"the {name}"


def plural(cell_class: str) -> str:
    """Return a class as it is called when there are many: `plasma_cell` is `plasma cells`."""
    return SINGULAR[CellClass(cell_class)] + "s"


def title(text: str) -> str:
    """Return the text with its first letter large and the others as they are."""
    return text[:1].upper() + text[1:]


def percent(share: float) -> str:
    """Return a share of 0 to 1 in per cent with one decimal: `56.2 %`, with a narrow space that does not break."""
    return f"{100 * share:.1f}\u202f%"


def span(low: float, high: float) -> str:
    """Return an interval of shares in per cent: `52.4-60.0 %`, with a dash."""
    return f"{100 * low:.1f}{TO}{100 * high:.1f}\u202f%"


def threshold(share: float) -> str:
    """Return a threshold as a rule states it: `20 %`."""
    return f"{100 * share:g}\u202f%"


def count(number: int) -> str:
    """Return a whole number with thousands apart: `1,989`."""
    return f"{number:,}"


def number_of(number: int, singular: str) -> str:
    """Return how many there are of what: `1 slide`, `2 slides`."""
    return f"{number:,} {singular}{'' if number == 1 else 's'}"


def moment(at: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def chance(probability: float) -> str:
    """Return a probability without false certainty at its ends: `> 99.9 %`, on one line."""
    if probability > 0.999:
        return ">\u00a099.9\u202f%"
    return "<\u00a00.1\u202f%" if probability < 0.001 else percent(probability)


def sureness(probability: float) -> str:
    """Return how sure a call is, never wholly: `97 %`."""
    return ">\u00a099\u202f%" if probability >= 0.995 else f"{100 * probability:.0f}\u202f%"


def p_value(p: float) -> str:
    """Return what a test says: `p = 0.27`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
