"""What a certificate says of a finding: what it takes to recognise it again, and how it was verified."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from typing import Any

from worker.errors import ProofError
from worker.proof.certificate import TYPE
from worker.proof.proof import Proof

_VERSION = 1
_USE = "research use only, not for diagnostic procedures"


def statement(proof: Proof, issued_at: datetime) -> dict[str, Any]:
    """Return the content of a certificate; raises ProofError where something differs, as then nothing is certified."""
    if proof.differences:
        raise ProofError(f"no certificate for what differs: {proof.differences[0]}")
    report, recorded = proof.case.report, proof.recorded
    return {
        "type": TYPE,
        "version": _VERSION,
        "use": _USE,
        "issued_at": issued_at.isoformat(timespec="seconds"),
        "package": version("marrowline"),
        "lab": report.lab,
        "patient": report.patient,
        "finding": report.finding,
        "reason": report.reason,
        "rule": report.rule,
        "cells": report.cells,
        "shares": {name: asdict(share) for name, share in report.shares.items()},
        "specimens": [asdict(one) for one in recorded.tally.specimens],
        "slides": _slides(proof),
        "slides_open": report.slides_open,
        "slides_quarantined": report.slides_quarantined,
        "model": {"name": recorded.model.name, "weights_sha256": recorded.model.weights_sha256},
        "preprocess": dict(recorded.model.preprocess),
        "inputs_digest": recorded.tally_digest,
        "verdict_rev": recorded.verdict["rev"],
        "reported_at": report.reported_at.isoformat(),
        "audit_head": proof.audit_head,
        "verified": _verified(proof),
    }


def _slides(proof: Proof) -> list[dict[str, Any]]:
    return [
        {
            "slide_id": slide.slide_id,
            "sha256": slide.sha256,
            "specimen": slide.specimen,
            "cells": slide.cells,
            "plan_digest": proof.recorded.plan_digests[slide.run_id],
        }
        for slide in proof.case.read
        if slide.run_id is not None
    ]


def _verified(proof: Proof) -> dict[str, Any]:
    return {
        "batches_of_each_slide": proof.request.sample,
        "seed": proof.request.seed,
        "batches": proof.batches,
        "checks": [{"what": one.what, "checked": one.checked} for one in proof.checks],
    }
