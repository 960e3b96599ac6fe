from __future__ import annotations

import json
from dataclasses import replace

import pytest

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


def test_what_another_version_put_there_is_refused_as_a_value() -> None:
    document = document_of(case(patient="Jane Doe"))
    del document["slides"], document["report"]["finding"]
    with pytest.raises(ValueError, match=r"report\.finding, slides$") as refused:
        claim(document).case()
    assert "Jane" not in str(refused.value)
    assert refused.value.__context__ is None  # a log shows it too
