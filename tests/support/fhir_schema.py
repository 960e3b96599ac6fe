"""The JSON schema of FHIR R4 (4.0.1) as HL7 publishes it, byte for byte, in `fhir_r4/fhir.schema.json.xz`.

From http://hl7.org/fhir/R4/fhir.schema.json.zip, SHA-256 of the unpacked file 92c2b35f7e2bb559; CC0
(http://hl7.org/fhir/R4/license.html). HL7 and FHIR are trademarks of Health Level Seven International.
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft6Validator

_FILE = Path(__file__).parent / "fhir_r4" / "fhir.schema.json.xz"


def faults(resource: dict[str, Any]) -> list[str]:
    """Return what the schema finds wrong with a resource; those within a bundle are held against their own types."""
    found = [
        f"{error.json_path}: {error.message}" for error in _validator(resource["resourceType"]).iter_errors(resource)
    ]
    for entry in resource.get("entry", ()) if not found else ():
        found += faults(entry["resource"])
    return found


@cache
def _validator(kind: str) -> Draft6Validator:
    """Return what checks one type: of a bundle's entries only that each is some resource, which is told quickly."""
    schema = _schema()
    definitions = schema["definitions"] | {"ResourceList": {"type": "object", "required": ["resourceType"]}}
    if kind not in schema["discriminator"]["mapping"]:
        raise ValueError(f"FHIR R4 has no resource {kind!r}")
    return Draft6Validator({"definitions": definitions, "$ref": f"#/definitions/{kind}"})


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(lzma.decompress(_FILE.read_bytes()))
    return schema
