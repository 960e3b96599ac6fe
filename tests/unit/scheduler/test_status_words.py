from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from db.statuses import UploadStanding
from scheduler.status_words import Status, is_final, status_of

WAITING = UploadStanding(
    key="lab/p/x.svs",
    slide_id=7,
    patient_id=3,
    object_state="current",
    state="waiting",
    error_code=None,
    cause=None,
    remedy=None,
    cells=None,
    finding="incomplete",
    reason="1 slide waiting",
    rule="rule-1",
    model_version="m1",
)
READ = replace(WAITING, state="done", cells=523)


def _told(slide: UploadStanding | None, refusal: str | None = None) -> Status:
    found = status_of(slide, refusal)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("state", "object_state", "told"),
    [
        ("waiting", "current", "queued"),
        ("reading", "current", "reading"),
        ("done", "current", "done"),
        ("quarantined", "current", "quarantined"),
        ("cancelled", "current", "cancelled"),
        ("waiting", "incomplete", "incomplete"),
        ("waiting", "missing", "missing"),
    ],
)
def test_every_standing_has_a_word(state: str, object_state: str, told: str) -> None:
    found = _told(replace(WAITING, state=state, object_state=object_state))
    assert found.state == told
    assert found.says.endswith(".")


def test_a_withdrawn_slide_that_is_gone_is_told_as_withdrawn() -> None:
    gone = replace(WAITING, state="cancelled", object_state="missing", error_code="withdrawn")
    assert _told(gone).state == "cancelled"


def test_cause_and_remedy_are_told_as_they_stand() -> None:
    bad = replace(WAITING, state="quarantined", error_code="truncated", cause="half is absent", remedy="upload again")
    found = _told(bad)
    assert (found.code, found.cause, found.remedy) == ("truncated", "half is absent", "upload again")


def test_what_is_tried_again_by_itself_is_told() -> None:
    assert "by itself" in (_told(replace(WAITING, error_code="no_space", cause="no room")).remedy or "")
    assert _told(WAITING).remedy is None


@pytest.mark.parametrize("code", ["device", "model", "sandbox", "store_refused", "unknown_rule"])
def test_what_only_the_site_can_mend_is_told_as_that(code: str) -> None:
    remedy = _told(replace(WAITING, error_code=code, cause="cuda:0 is not there")).remedy or ""
    assert "whoever runs Marrowline must mend this" in remedy


def test_the_finding_is_told_once_the_slide_is_read() -> None:
    assert _told(WAITING).finding is None
    found = _told(replace(READ, finding="no_evidence", reason="below every threshold")).finding
    assert found is not None
    assert (found.value, found.reason, found.rule, found.model) == (
        "no_evidence",
        "below every threshold",
        "rule-1",
        "m1",
    )


def test_an_incomplete_finding_is_told_alike_however_many_slides_are_open() -> None:
    one, other = _told(replace(READ, reason="1 slide waiting")), _told(replace(READ, reason="2 slides waiting"))
    assert one.digest() == other.digest() != _told(replace(READ, cells=1)).digest()


def test_only_a_finding_over_all_slides_is_final_and_then_for_each_of_them() -> None:
    for state in ("done", "cancelled", "quarantined"):
        assert is_final(replace(READ, state=state, finding="no_evidence"))
    for slide in (READ, replace(READ, finding=None)):
        assert not is_final(slide)


def test_a_refused_upload_is_told_why() -> None:
    found = _told(None, "sidecar field mpp: too large")
    assert (found.state, found.cause) == ("refused", "sidecar field mpp: too large")
    assert "upload again" in (found.remedy or "")


def test_a_refusal_stands_beside_what_was_read_before() -> None:
    found = _told(READ, "sidecar field mpp: too large")
    assert (found.state, found.cells) == ("done", 523)
    assert (found.refused or "").startswith("sidecar field mpp: too large")


def test_of_nothing_nothing_is_told() -> None:
    assert status_of(None, None) is None


def test_the_document_says_when_and_for_what_use_and_nothing_empty() -> None:
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    document = json.loads(_told(WAITING).document(at))
    assert document["updated_at"] == "2026-11-23T12:00:00+00:00"
    assert "research use only" in document["notice"]
    assert None not in document.values()
    assert "patient" not in json.dumps(document)
