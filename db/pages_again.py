"""Patients' reports that a person wants written once more: those given up, those gone from the bucket, or all."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, case, func, select, update

from db.page_tables import report_page as page
from db.pages import GIVEN_UP, OPEN, SHOWN
from db.patients import names
from db.records import Finding
from db.tables import patient
from db.verdict_tables import verdict


def try_again(conn: Connection) -> list[tuple[str, str]]:
    """Give reports that were given up all their tries back; return lab and pseudonym of the patients."""
    fresh = {"tries": 0, "error_code": None, "next_at": func.now()}
    in_order = select(page.c.patient_id).where(OPEN, *GIVEN_UP).order_by(page.c.patient_id)  # as patients are judged
    lost = conn.execute(in_order.with_for_update()).scalars().all()
    conn.execute(update(page).where(page.c.patient_id.in_(lost)).values(fresh))
    return names(conn, lost)


def keys(conn: Connection) -> dict[int, str]:
    """Return by patient where the reports lie that were written, that are not due, and whose finding may be told."""
    told = select(page.c.patient_id, page.c.key).join_from(page, patient).join(verdict, SHOWN)
    wanted = told.where(~OPEN, page.c.key.is_not(None), verdict.c.finding != Finding.INCOMPLETE.value)
    return {row.patient_id: row.key for row in conn.execute(wanted)}


def write_again(conn: Connection, patient_ids: Iterable[int]) -> list[tuple[str, str]]:
    """Make written reports due once more, as a new verdict does; return lab and pseudonym of the patients."""
    of_these = page.c.patient_id.in_(list(patient_ids))
    due = conn.execute(select(page.c.patient_id).where(of_these).order_by(page.c.patient_id).with_for_update())
    anew = {
        "wanted": page.c.wanted + 1,
        "tries": 0,
        "error_code": None,
        "next_at": case((page.c.error_code.is_(None), page.c.next_at), else_=func.now()),
    }
    found = due.scalars().all()
    conn.execute(update(page).where(page.c.patient_id.in_(found)).values(anew))
    return names(conn, found)
