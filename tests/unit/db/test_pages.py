from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from db.cases import Case
from db.pages import PageClaim, document_of
from tests.support.cases import NORMAL, case

WHOLE = case(quarantined=1)


def claim(document: object) -> PageClaim:
    stored = json.loads(json.dumps(document, allow_nan=False))
    return PageClaim(patient_id=1, fence=1, tries=1, wanted=1, rev=1, document=stored)


@pytest.mark.parametrize(
    "of", [WHOLE, case(NORMAL, patient="患者 '\"<&>"), replace(WHOLE, slides=())], ids=["whole", "name", "no slides"]
)
def test_a_case_that_was_handed_out_is_the_same_case(of: Case) -> None:
    assert claim(document_of(of)).case() == of


@dataclass(frozen=True, kw_only=True)
class ModelBefore0012:
    """What a case held of a model version when migration 0011 was the newest."""

    model_version: str
    created: date | None
    registered_at: datetime
    active: bool
    activated_at: datetime | None
    weights_sha256: str
    arch: str | None
    classes: list[str]
    figures: Mapping[str, Any] | None
    limits: str | None
    terms: str | None
    slides_read: int
    slides_quarantined: int
    slides_queued: int
    patients_shown: int


def test_a_worker_of_the_version_before_reads_the_model_of_a_case() -> None:
    document = json.loads(json.dumps(document_of(WHOLE)))
    before = TypeAdapter(ModelBefore0012).validate_python(document["model"])
    assert (before.model_version, before.classes) == (WHOLE.model.model_version, WHOLE.model.classes)


def test_what_another_version_put_there_is_refused_as_a_value() -> None:
    document = document_of(case(patient="Jane Doe"))
    del document["slides"], document["report"]["finding"]
    with pytest.raises(ValueError, match=r"report\.finding, slides$") as refused:
        claim(document).case()
    assert "Jane" not in str(refused.value)
    assert refused.value.__context__ is None  # a log shows it too
