"""Writes a patient's finding as a FHIR R4 (4.0.1) bundle about a DiagnosticReport, for hospital systems."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any

from db.cases import Case
from db.session import transaction
from worker.outputs.fhir.elements import HEMATOLOGY, LOINC, OWN, REPORT, Json, given, instant, own_code, urn
from worker.outputs.fhir.observations import method_words, observations_of
from worker.outputs.fhir.resources import (
    device_of,
    device_urn,
    patient_of,
    patient_urn,
    specimen_of,
    specimen_urn,
    specimen_words,
)
from worker.outputs.files import patient_stem, whole
from worker.outputs.panel import NOTICE
from worker.outputs.stored_cells import named_cells
from worker.outputs.withdrawal import withdrawal_words
from worker.workshop import Tell, Workshop

_USE = f"{NOTICE[0].upper()}{NOTICE[1:]}."
_NONE: Mapping[str, int] = MappingProxyType({})


def write(workshop: Workshop, case: Case, folder: Path, tell: Tell) -> list[Path]:
    """Write the bundle; return its file. Raises BadRequestError where the folder takes none."""
    path = folder / f"{patient_stem(case.report, 'fhir')}.json"
    with transaction(workshop.engine) as conn:
        named = named_cells(conn, case)
    with whole(path) as file:
        json.dump(bundle_of(case, named), file, ensure_ascii=False, allow_nan=False, indent=1)
        file.write("\n")
    tell(path.name, 1, 1)
    return [path]


def bundle_of(case: Case, named: Mapping[str, int] = _NONE) -> Json:
    """Return the bundle: report, patient, specimens, model and observations, each found by its address.

    `named` is how many cells of each kind of specimen persons named.
    """
    specimens = {specimen_urn(case, one): specimen_of(case, one) for one in _specimens(case)}
    observations = observations_of(case, named)
    address = urn("report", case.report.lab, case.report.patient)
    resources = {
        address: _report(case, specimens, observations, named),
        patient_urn(case): patient_of(case),
        **specimens,
        device_urn(case): device_of(case),
        **observations,
    }
    return {
        "resourceType": "Bundle",
        "meta": {"tag": [{"system": OWN, "code": "research-use-only", "display": NOTICE}]},
        "identifier": {"system": "urn:ietf:rfc:3986", "value": address},
        "type": "collection",
        "timestamp": instant(case.report.reported_at),
        "entry": [{"fullUrl": at, "resource": resource} for at, resource in resources.items()],
    }


def _report(case: Case, specimens: Iterable[str], observations: Mapping[str, Json], named: Mapping[str, int]) -> Json:
    code, display = REPORT
    taken = [slide.taken_at for slide in case.read if slide.taken_at is not None]
    return given(
        resourceType="DiagnosticReport",
        text={"status": "generated", "div": _narrative(case, observations.values(), named)},
        status="preliminary",
        category=[HEMATOLOGY],
        code={"coding": [{"system": LOINC, "code": code, "display": display}], "text": "cell differential of smears"},
        subject={"reference": patient_urn(case)},
        effectiveDateTime=instant(min(taken)) if taken else None,
        issued=instant(case.report.reported_at),
        specimen=[{"reference": at} for at in specimens],
        result=[{"reference": at} for at in observations],
        conclusion=f"{_words(case.report.finding)}: {_reason(case)}. {_USE} Rule: {case.report.rule}.",
        conclusionCode=[own_code(case.report.finding, _words(case.report.finding))],
    )


def _specimens(case: Case) -> list[str]:
    """Return the kinds of specimen in the order in which the evidence has them, those that only wait after them."""
    judged = (str(one["specimen"]) for one in case.evidence.get("specimens", ()))
    return list(dict.fromkeys((*judged, *(slide.specimen for slide in case.slides))))


def _narrative(case: Case, observations: Iterable[Mapping[str, Any]], named: Mapping[str, int]) -> str:
    """Return the report for people, as XHTML."""
    rows: dict[str, str] = {}
    for one in observations:
        value = f"{_plainly(one['valueQuantity']['value'])} {one['valueQuantity']['unit']}"
        row = f"<tr><td>{escape(one['code']['text'])}</td><td>{escape(value)}</td></tr>"
        rows[one["specimen"]["reference"]] = rows.get(one["specimen"]["reference"], "") + row
    tables = "".join(
        f"<p>{escape(specimen_words(specimen))}: {method_words(named.get(specimen, 0))}</p>"
        f"<table><tbody>{rows[specimen_urn(case, specimen)]}</tbody></table>"
        for specimen in _specimens(case)
        if specimen_urn(case, specimen) in rows
    )
    finding = f"<p><b>{escape(_words(case.report.finding))}</b>: {escape(_reason(case))}</p>"
    return f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escape(_USE)}</p>{finding}{tables}</div>'


def _reason(case: Case) -> str:
    return ". ".join(filter(None, (case.report.reason, withdrawal_words(case))))


def _plainly(value: float) -> str:
    """Return a number with all digits of its whole part: `1,234,567`, `1.9034`, `10`."""
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def _words(finding: str) -> str:
    return finding.replace("_", " ")
