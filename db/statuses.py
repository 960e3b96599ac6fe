"""What is to be told beside uploads: gathered from the triggers' notes, claimed, and marked once it is written.

A status is known by the key of its upload. Who writes one holds it for a while, as a worker holds a run: a later writer
has a higher fence, and who finds his own outdated has the status written once more.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, text, update
from sqlalchemy.dialects.postgresql import insert

from db.status_tables import upload_status
from db.steps import in_seconds

_GATHER = text(
    """
    WITH taken AS (
      DELETE FROM status_due WHERE id IN (SELECT id FROM status_due ORDER BY id LIMIT :limit)
      RETURNING slide_id, patient_id
    ), touched AS (
      SELECT slide.bucket, slide.key FROM taken JOIN slide ON slide.id = taken.slide_id
       UNION
      SELECT slide.bucket, slide.key FROM taken JOIN slide ON slide.patient_id = taken.patient_id
       WHERE slide.state <> 'superseded'
    ), noted AS (
      INSERT INTO upload_status (bucket, key) SELECT bucket, key FROM touched ORDER BY bucket, key
      ON CONFLICT (bucket, key) DO UPDATE SET wanted = upload_status.wanted + 1
    )
    SELECT count(*) FROM taken
    """
)
# Materialized, as a plan may run a subquery once per row: each time it would lock and claim other rows.
_CLAIM = text(
    """
    WITH due AS MATERIALIZED (
      SELECT bucket, key FROM upload_status
       WHERE bucket = :bucket AND starts_with(key, :prefix) AND written < wanted AND next_at <= now()
       ORDER BY next_at, key LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE upload_status AS status
       SET fence = status.fence + 1, tries = status.tries + 1, next_at = now() + make_interval(secs => :lease_s)
      FROM due
     WHERE status.bucket = due.bucket AND status.key = due.key
    RETURNING status.bucket, status.key, status.fence, status.wanted, status.tries, status.digest, status.refusal,
              now() AS at
    """
)
_STANDING = text(
    """
    SELECT DISTINCT ON (slide.key) slide.key, slide.id AS slide_id, slide.patient_id, slide.state AS object_state,
           shown.state, shown.error_code, shown.reason AS cause, shown.remedy, shown.cells,
           patients.finding, patients.reason, patients.rule, patients.model_version, page.key AS report
      FROM slide JOIN report.slides AS shown ON shown.slide_id = slide.id
      LEFT JOIN report.patients ON patients.lab = shown.lab AND patients.patient = shown.patient
      LEFT JOIN patient ON patient.id = slide.patient_id
      LEFT JOIN verdict ON verdict.patient_id = patient.id AND verdict.model_version_id = patient.shown_model_id
      LEFT JOIN report_page AS page ON page.patient_id = verdict.patient_id AND page.rev = verdict.rev
     WHERE slide.bucket = :bucket AND slide.key = ANY (:keys) AND slide.state <> 'superseded'
     ORDER BY slide.key, slide.state = 'current' DESC, slide.state = 'incomplete' DESC, slide.id DESC
    """
)


@dataclass(frozen=True, kw_only=True)
class StatusClaim:
    """The right to write one upload's status until the lease ends."""

    bucket: str
    key: str
    fence: int
    wanted: int  # which change it tells of
    tries: int  # since one succeeded, with this one
    digest: str | None  # of what was written last
    refusal: str | None  # why the object as it lies there now was not taken in
    at: datetime


@dataclass(frozen=True, kw_only=True)
class UploadStanding:
    """What the reports say of the slide under a key, and of its patient."""

    key: str
    slide_id: int
    patient_id: int
    object_state: str
    state: str
    error_code: str | None
    cause: str | None
    remedy: str | None
    cells: int | None
    finding: str | None
    reason: str | None
    rule: str | None
    model_version: str | None
    report: str | None = None  # key of the patient's report that shows this finding


def gather(conn: Connection, limit: int = 5000) -> int:
    """Make the statuses due that at most `limit` notes speak of; return how many notes there were."""
    return int(conn.execute(_GATHER, {"limit": limit}).scalar_one())


def claim(conn: Connection, bucket: str, prefix: str, *, limit: int, lease_s: float) -> list[StatusClaim]:
    """Take the right to write statuses that are due in this bucket, below the prefix."""
    parameters = {"bucket": bucket, "prefix": prefix, "limit": limit, "lease_s": lease_s}
    return [StatusClaim(**row._mapping) for row in conn.execute(_CLAIM, parameters)]


def standing(conn: Connection, bucket: str, keys: Collection[str]) -> dict[str, UploadStanding]:
    """Return how the slides under the keys stand; a key with none but superseded ones is left out."""
    rows = conn.execute(_STANDING, {"bucket": bucket, "keys": list(keys)})
    return {row.key: UploadStanding(**row._mapping) for row in rows}


def written(conn: Connection, held: StatusClaim, told: tuple[str, str] | None) -> bool:
    """Note that the status is written; False: another writer came between, so that it is due once more.

    told: state and digest of what is written there now; None: nothing had to be written.
    """
    same = (upload_status.c.bucket == held.bucket, upload_status.c.key == held.key)
    done = {"written": held.wanted, "tries": 0, "next_at": func.now()}
    if told:
        done |= {"state": told[0], "digest": told[1], "written_at": func.now()}
    mine = update(upload_status).where(*same, upload_status.c.fence == held.fence).values(done)
    if conn.execute(mine).rowcount:
        return True
    again = {"wanted": upload_status.c.wanted + 1, "digest": None}
    conn.execute(update(upload_status).where(*same).values(again))
    return False


def postpone(conn: Connection, held: StatusClaim, delay_s: float) -> None:
    """Give the right back after a failure; the next try is `delay_s` from now."""
    same = (upload_status.c.bucket == held.bucket, upload_status.c.key == held.key)
    later = {"next_at": func.now() + in_seconds(delay_s)}
    conn.execute(update(upload_status).where(*same, upload_status.c.fence == held.fence).values(later))


def refuse(conn: Connection, bucket: str, key: str, reason: str) -> None:
    """Have it told that the object was not taken in; nothing when that is told already."""
    new = insert(upload_status).values(bucket=bucket, key=key, refusal=reason)
    conn.execute(
        new.on_conflict_do_update(
            constraint="pk_upload_status",
            set_={"refusal": reason, "wanted": upload_status.c.wanted + 1},
            where=upload_status.c.refusal.is_distinct_from(reason),
        )
    )


def accept(conn: Connection, bucket: str, key: str) -> None:
    """Have it told that the object is refused no longer; nothing when it was not."""
    same = (upload_status.c.bucket == bucket, upload_status.c.key == key, upload_status.c.refusal.is_not(None))
    conn.execute(update(upload_status).where(*same).values(refusal=None, wanted=upload_status.c.wanted + 1))
