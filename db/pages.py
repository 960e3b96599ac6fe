"""The life of patients' reports in the bucket: due, handed to the workers, claimed, written or given up.

What is due stands in `report_page`, filled by the trigger on verdicts. The scheduler hands out a few at a time: it
puts the case into the row, pseudonym and all, and the case leaves it when the report is written or has failed. So a
worker sees the pseudonym only of patients whose report it is asked to write. Who writes one holds it for a while, as a
worker holds a run; a later writer has a higher fence, and who finds his own outdated has it written once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine, Select, Update, func, select, update

from db.cases import Case, case_of
from db.page_tables import report_page as page
from db.records import Finding
from db.session import transact
from db.steps import in_seconds
from db.tables import lab, patient
from db.verdict_tables import verdict

MOST_TRIES = 8
"""After so many in a row a report is given up, until the patient's next verdict or a person wants it tried again."""
LOST = "worker_lost"
_SOON_S, _LATEST_S = 60.0, 3600.0
_NAMED = 5
_CASE = TypeAdapter(Case)
_PROGRESS: dict[str, Any] = {
    "registered_at": "1970-01-01T00:00:00Z",
    "active": False,
    "activated_at": None,
    "figures": None,
    "slides_read": 0,
    "slides_quarantined": 0,
    "slides_queued": 0,
    "patients_shown": 0,
}
"""What workers before schema 0012 insist on of a model version, and show in no report; it would have to be counted."""
_NO_DOCUMENT: dict[str, Any] = {"document": None, "document_wanted": None, "document_rev": None}
OPEN = page.c.written < page.c.wanted
"""As the index of what is due has it, so that no question goes through all patients."""
_DUE = (OPEN, page.c.tries < MOST_TRIES, page.c.next_at <= func.now())
SHOWN = (verdict.c.patient_id == patient.c.id) & (verdict.c.model_version_id == patient.c.shown_model_id)
"""The verdict that reports show of a patient."""
GIVEN_UP = (page.c.tries >= MOST_TRIES, page.c.error_code.is_not(None))


@dataclass(frozen=True, kw_only=True)
class PageClaim:
    """The right to write one patient's report until the lease ends."""

    patient_id: int
    fence: int
    tries: int  # since one succeeded or the verdict changed, with this one
    wanted: int  # which change it shows
    rev: int  # of the verdict that it shows
    document: Mapping[str, Any]

    def case(self) -> Case:
        """Return what the report is of.

        Raises ValueError, which names no value of it, when another version of the package put it there.
        """
        try:
            return _CASE.validate_python(self.document)
        except ValidationError as error:
            wrong = {".".join(str(part) for part in one["loc"]) for one in error.errors()}
        raise ValueError(f"the case is not as this version knows one: {', '.join(sorted(wrong)[:_NAMED])}")


@dataclass(frozen=True, kw_only=True)
class PageCounts:
    """How many reports in the bucket are still to be written, and how many were given up."""

    due: int
    given_up: int


def document_of(case: Case) -> dict[str, Any]:
    """Return what a worker, of this version or the one before, makes the same case of again, as JSON."""
    document: dict[str, Any] = _CASE.dump_python(case, mode="json")
    document["model"] |= _PROGRESS
    return document


def give_up_lost(conn: Connection) -> list[int]:
    """Give up the reports whose last try ended without a word; return their patients."""
    spent = (OPEN, page.c.tries >= MOST_TRIES, page.c.next_at <= func.now())
    lost = _at_rest(conn, select(page.c.patient_id).where(*spent, page.c.error_code.is_(None)))
    conn.execute(update(page).where(page.c.patient_id.in_(lost)).values(error_code=LOST, **_NO_DOCUMENT))
    return lost


def due(conn: Connection, limit: int) -> list[int]:
    """Return at most `limit` patients whose report is due and not handed out, the longest waiting first."""
    wanted = select(page.c.patient_id).where(*_DUE, page.c.document.is_(None))
    return list(conn.execute(wanted.order_by(page.c.next_at, page.c.patient_id).limit(limit)).scalars())


def handed_out(conn: Connection) -> Mapping[int, bool]:
    """Return the patients whose report a worker has or is to write, and whether one could claim it now."""
    rows = conn.execute(select(page.c.patient_id, *_DUE).where(OPEN, page.c.document.is_not(None)))
    return {row[0]: all(row[1:]) for row in rows}


def take_back(conn: Connection) -> list[int]:
    """Take back the cases that no worker is at and that the verdict has left behind; return their patients."""
    unclaimed = select(page.c.patient_id).join_from(page, patient).join(verdict, SHOWN)
    stale = unclaimed.where(*_DUE, page.c.document.is_not(None), page.c.document_rev != verdict.c.rev)
    taken = _at_rest(conn, stale)
    conn.execute(update(page).where(page.c.patient_id.in_(taken)).values(_NO_DOCUMENT))
    return taken


def hand_out(conn: Connection, patient_id: int) -> bool:
    """Put the patient's case where a worker takes it from; False: there is nothing to write.

    What is written stands, as a verdict that may not be told does not make a report due. The change that is written is
    read first: one that comes between makes the report due once more.
    """
    row = select(page.c.wanted, page.c.fence).where(page.c.patient_id == patient_id, *_DUE, page.c.document.is_(None))
    found = conn.execute(row).one_or_none()
    if found is None:
        return False
    mine = update(page).where(page.c.patient_id == patient_id, page.c.fence == found.fence, page.c.document.is_(None))
    shown = conn.execute(_shown(patient_id)).one_or_none()
    if shown is None or shown.finding == Finding.INCOMPLETE:
        conn.execute(mine.values(written=found.wanted))
        return False
    document = document_of(case_of(conn, shown.pseudonym, shown.code))
    values = {"document": document, "document_wanted": found.wanted, "document_rev": shown.rev}
    return conn.execute(mine.values(values)).rowcount == 1


def claim(engine: Engine, patient_id: int, *, lease_s: float) -> PageClaim | None:
    """Take the right to write a report that was handed out; None: it is written, held, not due or given up.

    Raises UnavailableError.
    """
    taken = (
        update(page)
        .where(page.c.patient_id == patient_id, page.c.document.is_not(None), *_DUE)
        .values(
            fence=page.c.fence + 1, tries=page.c.tries + 1, error_code=None, next_at=func.now() + in_seconds(lease_s)
        )
        .returning(page)
    )
    row = transact(engine, lambda conn: conn.execute(taken).one_or_none(), patience_s=5)
    if row is None:
        return None
    return PageClaim(
        patient_id=patient_id,
        fence=row.fence,
        tries=row.tries,
        wanted=row.document_wanted,
        rev=row.document_rev,
        document=row.document,
    )


def written(engine: Engine, held: PageClaim, key: str, *, put: bool = True) -> bool:
    """Note that the report lies under the key; False: another writer came between, so that it is due once more.

    put: whether it was put there now; else what lay there was as it would be, and keeps its time.
    Raises UnavailableError.
    """
    at = func.now() if put else page.c.written_at
    done = {"key": key, "rev": held.rev, "written": held.wanted, "written_at": at, "tries": 0}
    again = {"wanted": page.c.wanted + 1, "rev": None}

    def work(conn: Connection) -> bool:
        mine = _mine(held).values(**done, **_NO_DOCUMENT, next_at=func.now(), error_code=None)
        if conn.execute(mine).rowcount:
            return True
        conn.execute(update(page).where(page.c.patient_id == held.patient_id).values(again))
        return False

    return transact(engine, work)


def failed(engine: Engine, held: PageClaim, code: str) -> None:
    """Give the right back after a failure; each further try, as long as any is left, comes later than the last.

    Raises UnavailableError.
    """
    later = _mine(held).values(error_code=code, next_at=func.now() + in_seconds(_delay_s(held.tries)), **_NO_DOCUMENT)
    transact(engine, lambda conn: conn.execute(later))


def refuse(conn: Connection, patient_id: int, code: str) -> None:
    """Note that the case could not be handed out, which counts as a try."""
    row = conn.execute(select(page.c.tries).where(page.c.patient_id == patient_id).with_for_update()).one()
    later = {"tries": row.tries + 1, "error_code": code, "next_at": func.now() + in_seconds(_delay_s(row.tries + 1))}
    conn.execute(update(page).where(page.c.patient_id == patient_id).values(later))


def release(engine: Engine, held: PageClaim) -> None:
    """Give the right back because the worker stops; no try is used up. Raises UnavailableError."""
    back = _mine(held).values(tries=func.greatest(page.c.tries - 1, 0), next_at=func.now())
    transact(engine, lambda conn: conn.execute(back))


def counts(conn: Connection) -> PageCounts:
    """Return how many reports there are to write, and how many were given up."""
    both = select(func.count().label("all"), func.count().filter(*GIVEN_UP).label("lost"))
    row = conn.execute(both.select_from(page).where(OPEN)).one()
    return PageCounts(due=row.all - row.lost, given_up=row.lost)


def put_within(conn: Connection, span: timedelta) -> int:
    """Return how many patients' reports were put into the bucket in the time before now: those that stayed are not."""
    lately = select(func.count()).select_from(page).where(page.c.written_at > func.now() - span)
    return conn.execute(lately).scalar_one()


def _at_rest(conn: Connection, wanted: Select[Any]) -> list[int]:
    """Lock and return those of the patients whose row nobody changes at this moment.

    Waiting for several could be a deadlock with whoever judges many patients; the next sweep finds the others.
    """
    return list(conn.execute(wanted.with_for_update(of=page, skip_locked=True)).scalars())


def _delay_s(tries: int) -> float:
    return min(_SOON_S * 2.0 ** (tries - 1), _LATEST_S)


def _mine(held: PageClaim) -> Update:
    return update(page).where(page.c.patient_id == held.patient_id, page.c.fence == held.fence)


def _shown(patient_id: int) -> Select[Any]:
    """Return the question after the verdict that reports show of the patient, and how the patient is called."""
    shown = patient.join(lab).join(verdict, SHOWN)
    return (
        select(verdict.c.rev, verdict.c.finding, lab.c.code, patient.c.pseudonym)
        .select_from(shown)
        .where(patient.c.id == patient_id)
    )
