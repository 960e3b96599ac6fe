"""Labs and what holds for all their slides unless a slide says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from db import absence, patients
from db.counts import Decide
from db.errors import NotFoundError
from db.records import Specimen
from db.tables import lab, patient


@dataclass(frozen=True, kw_only=True)
class LabDefaults:
    """What a lab that is new starts with."""

    specimen: Specimen
    site_mpp_um: float | None
    rule: str
    max_attempts: int


def ensure_patient(conn: Connection, code: str, pseudonym: str, defaults: LabDefaults) -> tuple[int, Specimen]:
    """Return the patient's id and the lab's default specimen; both are created when they are new."""
    new = {
        "code": code,
        "rule": defaults.rule,
        "default_specimen": defaults.specimen.value,
        "site_mpp_um": defaults.site_mpp_um,
    }
    conn.execute(insert(lab).values(new).on_conflict_do_nothing(constraint="uq_lab_code"))
    lab_id, specimen = conn.execute(select(lab.c.id, lab.c.default_specimen).where(lab.c.code == code)).one()
    known = {"lab_id": lab_id, "pseudonym": pseudonym}
    conn.execute(insert(patient).values(known).on_conflict_do_nothing(constraint="uq_patient_lab_id_pseudonym"))
    same = (patient.c.lab_id == lab_id, patient.c.pseudonym == pseudonym)
    return conn.execute(select(patient.c.id).where(*same)).scalar_one(), Specimen(specimen)


def set_site_mpp(conn: Connection, site_mpp_um: float | None) -> None:
    """Make a changed site default hold for every lab, for slides that are read from now on."""
    conn.execute(update(lab).where(lab.c.site_mpp_um.is_distinct_from(site_mpp_um)).values(site_mpp_um=site_mpp_um))


def rules(conn: Connection) -> dict[str, str]:
    """Return the name of each lab's rule set, by the lab's code."""
    return {row.code: row.rule for row in conn.execute(select(lab.c.code, lab.c.rule).order_by(lab.c.code))}


def change_rule(conn: Connection, code: str, rule: str, decide: Decide) -> None:
    """Judge a lab's patients by another rule set, all of them at once. Raises NotFoundError."""
    # Locked as for a deletion: whoever is inserting a patient of the lab has ended then, and the next one waits.
    lab_id = conn.execute(select(lab.c.id).where(lab.c.code == code).with_for_update()).scalar_one_or_none()
    if lab_id is None:
        raise NotFoundError(absence.unknown(conn, lab=code) or f"no lab {code}")
    conn.execute(update(lab).where(lab.c.id == lab_id).values(rule=rule))
    members = conn.execute(select(patient.c.id).where(patient.c.lab_id == lab_id)).scalars().all()
    patients.recompute_all(conn, members, decide)
