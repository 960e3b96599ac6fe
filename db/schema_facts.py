"""What the models say of the schema that Alembic does not compare: checks, partitions, triggers."""

from __future__ import annotations

import re

from sqlalchemy import CheckConstraint, Connection, text

from db import (
    audit_tables,
    cell_tables,
    correction_tables,
    page_tables,
    rollup_tables,
    run_tables,
    status_tables,
    tables,
    verdict_tables,
)

MODULES = (
    tables,
    run_tables,
    cell_tables,
    correction_tables,
    verdict_tables,
    status_tables,
    page_tables,
    audit_tables,
    rollup_tables,
)
metadata = tables.lab.metadata
"""That of all tables: whoever takes it from here has every module of tables loaded."""
PARTITION = re.compile(rf"(?:{'|'.join(cell_tables.PARTITIONED)})_p\d\d")
_KEY_TO_PARTITION = re.compile(r"fk_\w+_\d+")
"""Postgres adds one per partition of the table that a foreign key names, numbered."""
TRIGGERS = frozenset(
    {
        ("slide", "slide_step"),
        ("run", "run_step"),
        ("run", "run_logged"),
        ("transition", "only_grows"),
        ("verdict_history", "only_grows"),
        ("correction", "only_grows"),
        ("audit", "only_grows"),
        ("audit", "of_patient"),
        ("transition", "audit_seal"),
        ("verdict_history", "audit_seal"),
        ("correction", "audit_seal"),
        ("slide", "slide_status_due"),
        ("run", "run_status_due"),
        ("verdict", "verdict_status_due"),
        ("patient", "patient_status_due"),
        ("verdict", "verdict_page_due"),
        ("report_page", "page_status_due"),
        ("transition", "lab_day_kept"),
        ("verdict", "lab_finding_noted"),
        ("verdict", "lab_finding_changed"),
        ("verdict", "lab_finding_kept"),
        ("run", "stain_kept"),
    }
)
GUARDED = frozenset(
    {
        *("lab", "patient", "slide", "slide_file", "run", "run_count", "batch", "area", "tile_defect"),
        *("verdict", "verdict_history", "correction", "corrected_cell", "transition", "audit"),
        *("lab_day", "lab_day_time", "lab_finding", "stain_reading"),
    }
)
"""Tables whose rows belong to labs, and so have the policies of `roles.sql`."""
_POLICIES = frozenset({"of_parts", "of_lab", "of_owner"})
_CHECKS = text(
    "SELECT conname FROM pg_constraint"
    " WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND coninhcount = 0"
)
_PARTITIONS = text("SELECT inhparent::regclass::text, count(*) FROM pg_inherits GROUP BY inhparent")
_GUARDS = text(
    "SELECT relname::text, array_agg(polname::text) FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid"
    " WHERE relrowsecurity AND relforcerowsecurity GROUP BY relname"
)
_TRIGGERS = text("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'")


def is_modelled(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out of comparison what the models do not hold: partitions, keys to them, and Alembic's own table."""
    if kind == "foreign_key_constraint":
        return not _KEY_TO_PARTITION.fullmatch(name or "")
    return kind != "table" or not (name == "alembic_version" or PARTITION.fullmatch(name or ""))


def missing(conn: Connection) -> list[str]:
    """Return in words which checks, partitions, triggers and policies the database lacks, or has beside the models."""
    wanted = {str(c.name) for t in metadata.tables.values() for c in t.constraints if isinstance(c, CheckConstraint)}
    checks = set(conn.execute(_CHECKS).scalars())
    found = [f"check constraint {name} is not in both models and database" for name in sorted(wanted ^ checks)]
    partitions = {row[0]: row[1] for row in conn.execute(_PARTITIONS)}
    found += [
        f"table {name} has {partitions.get(name, 0)} partitions, not {cell_tables.PARTITIONS}"
        for name in cell_tables.PARTITIONED
        if partitions.get(name) != cell_tables.PARTITIONS
    ]
    triggers = {(row[0], row[1]) for row in conn.execute(_TRIGGERS)}
    found += [f"trigger {name} on {table} is missing or off" for table, name in sorted(TRIGGERS - triggers)]
    guards = {row[0]: frozenset(row[1]) for row in conn.execute(_GUARDS)}
    open_ones = sorted(name for name in GUARDED if guards.get(name) != _POLICIES)
    return found + [f"row security of table {name} is off or not that of roles.sql" for name in open_ones]
