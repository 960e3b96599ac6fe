"""Codes, quantities and references that the resources are made of.

LOINC codes stand only where a term means just what is said, its method included: most terms for a marrow differential
are of a manual count, which this is none. This material contains content from LOINC (http://loinc.org). LOINC is
copyright © Regenstrief Institute, Inc. and the Logical Observation Identifiers Names and Codes (LOINC) Committee and
is available at no cost under the license at http://loinc.org/license.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias
from uuid import uuid5

from db.records import CellClass, Specimen
from worker.cell_ids import SPACE

Json: TypeAlias = dict[str, Any]

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
OWN = f"urn:uuid:{uuid5(SPACE, 'codes of observations')}"
"""The system of this project's own codes: their meaning stands in docs/interchange.md."""
REPORT = ("11502-2", "Laboratory report")
MARROW = {
    "cells": ("38257-2", "Cells Counted Total [#] in Bone marrow"),
    "abstained": ("43415-9", "Unidentified cells/cells in Bone marrow"),
    "m_e_ratio": ("11138-5", "Myeloid cells/Erythroid cells [# Ratio] in Bone marrow"),
    CellClass.EOSINOPHIL.value: ("11152-6", "Eosinophils/cells in Bone marrow"),
}
"""LOINC terms for marrow, by our own codes."""
HL7 = "http://terminology.hl7.org/CodeSystem/"
LABORATORY: Json = {"coding": [{"system": f"{HL7}observation-category", "code": "laboratory", "display": "Laboratory"}]}
HEMATOLOGY: Json = {"coding": [{"system": f"{HL7}v2-0074", "code": "HM", "display": "Hematology"}]}


def urn(*parts: object) -> str:
    """Return the address of a resource: the same whenever it is made of the same parts."""
    return f"urn:uuid:{uuid5(SPACE, chr(0).join(map(str, parts)))}"


def own_code(code: str, words: str) -> Json:
    """Return a concept by a code of our own."""
    return {"coding": [{"system": OWN, "code": code, "display": words}], "text": words}


def observed(code: str, words: str, specimen: str) -> Json:
    """Return what an observation is of: by LOINC too where a term fits the specimen."""
    concept = own_code(code, words)
    if specimen == Specimen.MARROW and code in MARROW:
        loinc, display = MARROW[code]
        concept["coding"].insert(0, {"system": LOINC, "code": loinc, "display": display})
    return concept


def percent(share: float) -> Json:
    """Return a share of 0 to 1 as per cent."""
    return {"value": round(100 * share, 4), "unit": "%", "system": UCUM, "code": "%"}


def number(value: float, unit: str = "cells", code: str = "{cells}") -> Json:
    """Return a count, or a ratio, in a unit with its UCUM code."""
    return {"value": round(value, 4), "unit": unit, "system": UCUM, "code": code}


def instant(at: datetime) -> str:
    """Return a moment as FHIR writes it."""
    return at.isoformat(timespec="milliseconds")


def given(**elements: Any) -> Json:
    """Return the elements that have a content: FHIR knows no empty ones."""
    return {name: value for name, value in elements.items() if value not in (None, "", [], {}, ())}
