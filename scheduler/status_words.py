"""What a lab is told of one upload: a small JSON document in plain words, without anything that it did not send."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime

from db.records import Finding
from db.statuses import UploadStanding
from db.tallies import WITHDRAWN

_SAYS = {
    "queued": "Waiting to be read.",
    "reading": "Being read now.",
    "done": "Read.",
    "quarantined": "Could not be read.",
    "cancelled": "Withdrawn: it is not read, and nothing rests on it.",
    "incomplete": "Waiting for the rest of its files.",
    "missing": "Gone from the bucket.",
    "refused": "Not taken in.",
}
_NOTICE = "research use only, not for diagnostic procedures"
_CORRECT = "correct this and upload again; it is looked at by itself"
_BY_ITSELF = "nothing: it is tried again by itself"
_BY_THE_SITE = "nothing of yours: whoever runs Marrowline must mend this, and then it is read by itself"
_OF_THE_SITE = frozenset({"device", "model", "sandbox", "store_refused", "unknown_rule"})
"""Codes of causes that last until somebody mends the installation."""
_NOT_YET = "not all slides of this patient are read, or some could not be"


@dataclass(frozen=True, kw_only=True)
class FindingTold:
    """What the patient's slides say together."""

    value: str
    reason: str
    rule: str | None
    model: str | None


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is told of an upload."""

    state: str
    says: str
    code: str | None = None
    cause: str | None = None
    remedy: str | None = None
    slide_id: int | None = None
    cells: int | None = None
    finding: FindingTold | None = None
    report: str | None = None  # key of the patient's report in this bucket
    refused: str | None = None  # why what was uploaded since was not taken in
    notice: str = _NOTICE

    def digest(self) -> str:
        """Return what changes when something else is told."""
        return hashlib.sha256(json.dumps(asdict(self)).encode("utf-8", "surrogateescape")).hexdigest()

    def document(self, at: datetime) -> bytes:
        """Return the file that is written."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({**told, "updated_at": at.isoformat()}, indent=1, ensure_ascii=False).encode()


def status_of(slide: UploadStanding | None, refusal: str | None, *, report: str | None = None) -> Status | None:
    """Return what to tell; None when there is nothing under the key."""
    if slide is None:
        return _refused(refusal) if refusal else None
    state = _state(slide)
    return Status(
        state=state,
        says=_SAYS[state],
        code=slide.error_code,
        cause=slide.cause,
        remedy=slide.remedy or (_remedy(slide.error_code) if state == "queued" and slide.cause else None),
        slide_id=slide.slide_id,
        cells=slide.cells,
        finding=_finding(slide) if state == "done" else None,
        report=report,
        refused=f"{refusal}; {_CORRECT}" if refusal else None,
    )


def _refused(reason: str) -> Status:
    return Status(state="refused", says=_SAYS["refused"], code="refused", cause=reason, remedy=_CORRECT)


def is_final(slide: UploadStanding) -> bool:
    """Tell whether the slide's patient has a finding that may be told."""
    return slide.finding not in (None, Finding.INCOMPLETE)


def _state(slide: UploadStanding) -> str:
    if slide.object_state != "current" and slide.error_code != WITHDRAWN:
        return slide.object_state
    return "queued" if slide.state == "waiting" else slide.state


def _remedy(code: str | None) -> str:
    """Return what a lab can do about a cause that keeps its slide waiting."""
    return _BY_THE_SITE if code in _OF_THE_SITE else _BY_ITSELF


def _finding(slide: UploadStanding) -> FindingTold | None:
    """Return the finding; the reason of an incomplete one would change with every slide, and is not told."""
    if slide.finding is None or slide.reason is None:
        return None
    reason = _NOT_YET if slide.finding == Finding.INCOMPLETE else slide.reason
    return FindingTold(value=slide.finding, reason=reason, rule=slide.rule, model=slide.model_version)
