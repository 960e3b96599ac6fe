"""What is asked of a verification, and what it found: plain values, without pixels."""

from __future__ import annotations

from dataclasses import dataclass

from db.audit import AuditReport
from db.cases import Case
from db.proofs import Recorded
from worker.proof.checks import Check


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be verified, and how much of it is read again."""

    patient: str
    lab: str | None = None
    sample: int = 2  # batches of each slide; all where it has no more
    seed: int


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was verified, and everything that did not agree."""

    request: Request
    case: Case
    recorded: Recorded
    audited: AuditReport
    checks: tuple[Check, ...]
    notes: tuple[str, ...]  # what a reader should know who finds a difference
    batches: int  # read again

    @property
    def differences(self) -> tuple[str, ...]:
        """All differences, in the order of the checks."""
        return tuple(one for each in self.checks for one in each.differences)

    @property
    def audit_head(self) -> str | None:
        """The last entry of the audit as `db verify-audit --head` takes it."""
        head = self.audited.head
        return f"{head.seq}:{head.hash}" if head else None
