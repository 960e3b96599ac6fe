"""Every role against every table of the catalogue, by every statement, compared with one table to read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine

from tests.support.rights import ROLES, attempts, columns, may, of_table

# R read, I insert, U update, D delete, T truncate; small letters: only the columns named below.
EXPECTED = """
                    scheduler  worker  report  lab  webhook  stranger
    active_model    RIU        R       -       -    -        -
    alembic_version R          -       -       -    -        -
    area            R          RIUD    -       -    -        -
    audit           R          -       -       -    -        -
    batch           R          RIUD    -       -    -        -
    cell            R          RIUD    -       -    -        -
    cell_p*         R          -       -       -    -        -
    corrected_cell  RIU        RIU     -       -    -        -
    correction      RI         R       -       -    -        -
    event_inbox     RIUD       -       -       -    riu      -
    lab             RIU        R       -       -    -        -
    lab_day         R          -       -       -    -        -
    lab_day_time    R          -       -       -    -        -
    lab_finding     R          -       -       -    -        -
    model_version   RIU        R       -       -    -        -
    outline         R          RIUD    -       -    -        -
    outline_p*      R          -       -       -    -        -
    patient         RIU        ru      -       -    -        -
    report_page     RU         Ru      -       -    -        -
    run             RIU        Ru      -       -    -        -
    run_count       R          RIUD    -       -    -        -
    slide           RIU        Ru      -       -    -        -
    slide_file      RIU        R       -       -    -        -
    stain_reading   R          -       -       -    -        -
    status_due      RD         -       -       -    -        -
    tile_defect     R          RIUD    -       -    -        -
    transition      R          -       -       -    -        -
    upload_status   RIU        -       -       -    -        -
    verdict         RIU        RIU     -       -    -        -
    verdict_history RI         I       -       -    -        -
    worker          RD         RIU     -       -    -        -
"""
SOME = {
    ("worker", "patient", "r"): "id lab_id rev shown_model_id",
    ("worker", "patient", "u"): "rev shown_model_id",
    ("worker", "report_page", "u"): "wanted written fence tries next_at document document_wanted document_rev key rev"
    " written_at error_code",
    ("worker", "slide", "u"): "sha256",
    ("worker", "run", "u"): "state attempt releases fence lease_owner lease_until next_at progress_at plan plan_digest"
    " n_batches n_read stop mpp_um mpp_source mpp_error_um reader sandbox area_shares stain_profile feature_names"
    " n_cells error_code error_cause error_remedy changed_by change_reason finished_at",
    ("webhook", "event_inbox", "r"): "id source msg_id handled_at",
    ("webhook", "event_inbox", "i"): "source msg_id bucket key event version_id sequencer",
    ("webhook", "event_inbox", "u"): "received_at due_at handled_at outcome tries",
}
BELOW_THE_VIEWS = {
    "active_model", "area", "audit", "batch", "cell", "corrected_cell", "correction", "lab", "lab_day", "lab_day_time",
    "lab_finding", "model_version", "outline", "patient", "run", "run_count", "slide", "stain_reading", "tile_defect",
    "transition", "verdict", "verdict_history",
}  # fmt: skip
OF_NO_TABLE = [
    "CREATE TABLE public.mine (x int)",
    "CREATE TABLE report.mine (x int)",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "DROP TABLE public.event_inbox",
    "ALTER TABLE public.run DISABLE TRIGGER run_step",
    "ALTER TABLE public.patient DISABLE ROW LEVEL SECURITY",
    "DROP POLICY of_lab ON public.patient",
    "GRANT marrowline_scheduler TO marrowline_lab_tried",
    "SET session_replication_role = replica",
    "SET row_security = off; SELECT 1 FROM public.patient",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
]
MAY_READ_PATIENTS = {("scheduler", "SET row_security = off; SELECT 1 FROM public.patient")}
# With row_security off the server refuses a query that policies would shorten; theirs would not be.


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with attempts(engine) as conn:
        yield conn


def in_words(letters: dict[str, dict[str, str]]) -> dict[tuple[str, str], str]:
    return {(table, role): letters[table][role] for table in letters for role in ROLES}


def expected() -> dict[str, dict[str, str]]:
    head, *lines = EXPECTED.strip().splitlines()
    table = {}
    for line in lines:
        name, *letters = line.split()
        table[name] = {
            role: "".join(_spelt(role, name, letter) for letter in word)
            for role, word in zip(head.split(), letters, strict=True)
        }
    return table


def _spelt(role: str, table: str, letter: str) -> str:
    return f"{letter}({','.join(sorted(SOME[role, table, letter].split()))})" if letter.islower() else letter


def test_every_role_may_do_exactly_this_to_every_table(conn: Connection) -> None:
    tables = {name: sorted(names) for name, names in columns(conn, "public").items()}
    wanted = expected()
    merged = {name: f"{name[:-2]}*" if name[-2:].isdigit() else name for name in tables}
    assert set(merged.values()) == set(wanted), "a table that is new or gone belongs into EXPECTED"
    found = {name: {role: of_table(conn, role, name, names) for role in ROLES} for name, names in tables.items()}
    assert in_words(found) == in_words({name: wanted[merged[name]] for name in tables})


@pytest.mark.parametrize("role", ROLES)
def test_views_are_for_readers_and_the_scheduler(conn: Connection, role: str) -> None:
    views = columns(conn, "report", "v")
    read = {name for name in views if may(conn, role, f"SELECT * FROM report.{name} LIMIT 0")}
    assert read == (set() if role in ("worker", "webhook", "stranger") else set(views))
    held = "SELECT has_table_privilege(%s, %s, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
    for view in views:
        assert not conn.exec_driver_sql(held, (ROLES[role], f"report.{view}")).scalar_one(), view


@pytest.mark.parametrize("role", ["report", "lab"])
def test_readers_hold_select_on_what_is_below_the_views_and_nothing_else(conn: Connection, role: str) -> None:
    for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"):
        held = "SELECT has_table_privilege(%s, ('public.' || %s::text)::regclass, %s)"
        tables = {t for t in columns(conn, "public") if conn.exec_driver_sql(held, (ROLES[role], t, right)).scalar()}
        assert tables == (BELOW_THE_VIEWS if right == "SELECT" else set()), right


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_change_the_house(conn: Connection, role: str) -> None:
    allowed = {(role, statement) for statement in OF_NO_TABLE if may(conn, role, statement)}
    assert allowed <= MAY_READ_PATIENTS
