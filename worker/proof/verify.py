"""Verifies one patient's finding from the bottom up: bytes, plans, cells, counts, verdict, audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from db import audit, proofs
from db.audit import AuditReport
from db.cases import Case, case_of
from db.model_rows import differing
from db.proofs import Recorded
from db.records import Batch
from worker.errors import ModelError
from worker.nets.cards import version_of
from worker.nets.registry import Model, load
from worker.proof.cells import compared
from worker.proof.checks import Check, check, one_of_many
from worker.proof.plans import check_plans, is_whole
from worker.proof.proof import Proof, Request
from worker.proof.reread import Again, fresh_cache, read_again
from worker.proof.verdicts import check_verdict
from worker.workshop import Tell, Workshop


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """What the database holds, all of it as one moment saw it."""

    case: Case
    recorded: Recorded
    miscounted: Mapping[int, list[str]]
    audited: AuditReport
    samples: Mapping[int, tuple[Batch, ...]]  # by slide


def verify(shop: Workshop, request: Request, tell: Tell) -> Proof:
    """Hold a patient's finding against its slides, its model, its rule and the audit.

    Raises NotFoundError and NotAllowedError as `case_of` does, ServiceError when bucket or sandbox do not serve.
    """
    with proofs.one_moment(shop.engine) as conn:
        stored = _stored(conn, request)
    checked_model, model = _model(shop, stored.recorded)
    again = _read_again(shop, stored, model, tell)
    checks = (
        check("slides, fetched again: SHA-256", (one.fault for one in again.values())),
        check_plans(stored.case, stored.recorded),
        checked_model,
        _check_cells(stored, again),
        check("counts, against all cells", map(one_of_many, stored.miscounted.values())),
        check_verdict(stored.recorded),
        _check_audit(stored.audited),
    )
    return Proof(
        request=request,
        case=stored.case,
        recorded=stored.recorded,
        audited=stored.audited,
        checks=checks,
        notes=_notes(stored.case, model),
        batches=sum(len(one.batches) for one in again.values()),
    )


def _stored(conn: Connection, request: Request) -> _Stored:
    case = case_of(conn, request.patient, request.lab)
    runs = {slide.slide_id: slide.run_id for slide in case.read if slide.run_id is not None}
    samples = {}
    for slide in case.read:
        numbers = proofs.batch_numbers(conn, runs[slide.slide_id])
        drawn = np.random.default_rng([request.seed, slide.slide_id]).permutation(numbers)[: request.sample]
        samples[slide.slide_id] = proofs.batches_of(conn, slide, sorted(map(int, drawn)))
    return _Stored(
        case=case,
        recorded=proofs.recorded(conn, case),
        miscounted=proofs.miscounted(conn, runs.values()),
        audited=audit.verify(conn),
        samples=samples,
    )


def _model(shop: Workshop, recorded: Recorded) -> tuple[Check, Model | None]:
    """Load the model that the slides were read with; None where this machine has not exactly that one."""
    name = recorded.model.name
    try:
        model = load(name, shop.models_dir, shop.settings.device)
    except ModelError as error:
        return check("model", [str(error)]), None
    others = differing(version_of(model.card), recorded.model)
    if others:
        return check("model", [f"{name} is installed here with other {', '.join(others)} than it is registered"]), None
    return check("model", [None]), model


def _read_again(shop: Workshop, stored: _Stored, model: Model | None, tell: Tell) -> dict[int, Again]:
    found: dict[int, Again] = {}
    with fresh_cache(shop.cache) as cache:
        for slide in stored.case.read:
            numbers = [batch.no for batch in stored.samples[slide.slide_id]]
            reader = model if is_whole(slide, stored.recorded) else None  # an altered plan could ask for anything
            found[slide.slide_id] = read_again(shop, slide, numbers, model=reader, cache=cache)
            tell(f"slide {slide.slide_id}", len(found), len(stored.case.read))
    return found


def _check_cells(stored: _Stored, again: Mapping[int, Again]) -> Check:
    found: list[str | None] = []
    for slide_id, one in again.items():
        now = {batch.no: batch for batch in one.batches}
        for before in stored.samples[slide_id] if now else ():
            faults = compared(before, now[before.no]) if before.no in now else [f"batch {before.no} is not in its plan"]
            found += [fault and f"slide {slide_id}, {fault}" for fault in faults]
    return check("cells, read again: place, class, features", found)


def _check_audit(audited: AuditReport) -> Check:
    entries = audited.head.seq if audited.head else 0
    faults = tuple(audited.faults)
    return Check(what="audit: entries", checked=entries, agreed=max(0, entries - len(faults)), differences=faults)


def _notes(case: Case, model: Model | None) -> tuple[str, ...]:
    engines = {slide.plan["engine"] for slide in case.read if slide.plan}
    here = model.device.type if model else None
    if here is None or engines <= {here}:
        return ()
    return (f"read on {', '.join(sorted(engines))} then, on {here} now: last digits of a network's sums may differ",)
