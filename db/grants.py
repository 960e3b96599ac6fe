"""What each role of the database may do, as the server itself says."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

_ROLES = text(
    """
    WITH held AS (
      SELECT grantee, table_schema, table_name, privilege_type FROM information_schema.role_table_grants
      UNION SELECT grantee, table_schema, table_name, privilege_type FROM information_schema.role_column_grants
    )
    SELECT wanted.name AS role, wanted.purpose, role.oid IS NOT NULL AS present,
           coalesce((SELECT array_agg(member.rolname ORDER BY member.rolname)
                       FROM pg_auth_members AS link JOIN pg_roles AS member ON member.oid = link.member
                      WHERE link.roleid = role.oid), '{}') AS members,
           (SELECT count(DISTINCT (held.table_schema, held.table_name))
              FROM held
             WHERE held.grantee = wanted.name AND held.privilege_type = 'SELECT') AS reads,
           (SELECT count(DISTINCT (held.table_schema, held.table_name))
              FROM held
             WHERE held.grantee = wanted.name AND held.privilege_type <> 'SELECT') AS writes
      FROM (VALUES (1, 'marrowline_scheduler', 'registers slides, moves runs, stores verdicts'),
                   (2, 'marrowline_worker', 'claims runs, writes cells and verdicts'),
                   (3, 'marrowline_report', 'reads the report views, nothing else'),
                   (4, 'marrowline_lab', 'reads the report views of its own labs'),
                   (5, 'marrowline_webhook', 'puts events into the inbox, nothing else'))
           AS wanted (place, name, purpose)
      LEFT JOIN pg_roles AS role ON role.rolname = wanted.name
     ORDER BY wanted.place
    """
)


@dataclass(frozen=True, kw_only=True)
class RoleReport:
    """A group role, who is in it, and how many tables and views it reads and writes."""

    role: str
    purpose: str
    present: bool
    members: list[str]
    reads: int
    writes: int


def roles(conn: Connection) -> list[RoleReport]:
    """Return the group roles; one that is not present was not made yet."""
    return [RoleReport(**row._mapping) for row in conn.execute(_ROLES)]
