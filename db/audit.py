"""Verify the audit: that no step, verdict or correction was changed, taken away or slipped in since it was sealed.

Only functions of Postgres itself are asked, as one of ours could have been changed too. Who may rewrite every table
can also write a new chain: a head that was noted elsewhere shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, text

from db.audit_tables import KINDS

_SETTINGS = text("SELECT set_config('TimeZone', 'UTC', true), set_config('statement_timeout', '15min', true)")
_ENTRIES = text(
    """
    WITH sealed AS (
      SELECT audit.*, lag(seq, 1, 0::bigint) OVER chain AS seq_before, lag(hash, 1, '') OVER chain AS hash_before
        FROM audit WINDOW chain AS (ORDER BY seq)
    ), stored AS (
      SELECT 'transition' AS kind, id::text AS subject, to_jsonb(one) AS whole FROM transition AS one
      UNION ALL
      SELECT 'verdict', concat_ws('/', patient_id, model_version_id, rev), to_jsonb(one) FROM verdict_history AS one
      UNION ALL
      SELECT 'correction', id::text, to_jsonb(one) FROM correction AS one
    ), judged AS (
      SELECT seq, seq_before, kind, subject, stored.whole IS NULL AS gone, seq IS NULL AS unsealed,
             row_sha256 <> (SELECT encode(sha256(convert_to(jsonb_object_agg(key, value)::text, 'UTF8')), 'hex')
                              FROM jsonb_each(stored.whole) WHERE value <> 'null') AS altered,
             seq <> seq_before + 1 AS jumps,
             hash <> encode(sha256(convert_to(concat_ws('|', hash_before, seq, kind, subject, row_sha256,
                                                        extract(epoch FROM sealed_at)), 'UTF8')), 'hex') AS broken
        FROM sealed FULL JOIN stored USING (kind, subject)
    )
    SELECT * FROM judged WHERE gone OR unsealed OR altered OR jumps OR broken ORDER BY seq, kind, subject LIMIT :most
    """
)
_RUNS = text(
    """
    SELECT run.id FROM run LEFT JOIN LATERAL (
             SELECT to_state, fence, attempt FROM transition WHERE run_id = run.id ORDER BY id DESC LIMIT 1
           ) AS last ON true
     WHERE (last.to_state, last.fence, last.attempt) IS DISTINCT FROM (run.state, run.fence, run.attempt)
     ORDER BY run.id LIMIT :most
    """
)
_VERDICTS = text(
    """
    SELECT patient_id, model_version_id FROM verdict LEFT JOIN LATERAL (
             SELECT to_jsonb(one) AS whole FROM verdict_history AS one
              WHERE (one.patient_id, one.model_version_id) = (verdict.patient_id, verdict.model_version_id)
              ORDER BY rev DESC LIMIT 1
           ) AS last ON true
     WHERE last.whole IS DISTINCT FROM to_jsonb(verdict) ORDER BY 1, 2 LIMIT :most
    """
)
_HEAD = text("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
_AT = text("SELECT hash FROM audit WHERE seq = :seq")


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last entry of a chain: whoever knows it can tell whether the chain still holds it."""

    seq: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What verifying found; at most so many faults as were asked for."""

    head: Head | None
    faults: list[str]


def verify(conn: Connection, *, noted: Head | None = None, most: int = 100) -> AuditReport:
    """Return every fault in words, and the chain's head; `noted`, an earlier head, must still stand in the chain."""
    conn.execute(_SETTINGS)
    faults = [fault for row in conn.execute(_ENTRIES, {"most": most}) for fault in _faults(row)]
    faults += [
        f"run {row.id} stands otherwise than its last logged step says" for row in conn.execute(_RUNS, {"most": most})
    ]
    faults += [
        f"the verdict of patient {row.patient_id} under model version {row.model_version_id} is not its history's last"
        for row in conn.execute(_VERDICTS, {"most": most})
    ]
    if noted is not None and conn.execute(_AT, {"seq": noted.seq}).scalar_one_or_none() != noted.hash:
        faults.append(f"entry {noted.seq} is not the one that was noted: the chain was written anew")
    last = conn.execute(_HEAD).one_or_none()
    head = None if last is None else Head(seq=last.seq, hash=last.hash)
    return AuditReport(head=head, faults=faults[:most])


def _faults(row: Row[tuple[object, ...]]) -> list[str]:
    named = f"{KINDS[row.kind]} {row.subject}"
    if row.unsealed:
        return [f"{named} was never sealed, or its entry is gone"]
    checks = (
        (row.gone, f"{named} is gone: entry {row.seq} sealed it"),
        (row.altered, f"{named} was changed since entry {row.seq} sealed it"),
        (row.jumps, f"entries {row.seq_before + 1} to {row.seq - 1} are gone"),
        (row.broken, f"entry {row.seq} ({named}) does not follow from the one before: it or that one was changed"),
    )
    return [fault for found, fault in checks if found]
