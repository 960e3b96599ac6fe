"""A laboratory's reader sees its own laboratory through every view, whatever it tries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg2.errors import Error
from sqlalchemy import Connection, Engine

from db import corrections, migrate, runs
from db.corrections import Said
from db.schema_facts import GUARDED
from db.session import make_engine, transaction
from tests.support.postgres import TEMPLATE, Server
from tests.support.rights import columns
from tests.support.rows import add_slide, decide, execute, read, taken, use_model

ALICE = "reader_of_a"
_READERS = """
    DO $$ BEGIN
      CREATE ROLE marrowline_lab_a NOLOGIN IN ROLE marrowline_lab;
      CREATE ROLE marrowline_lab_b NOLOGIN IN ROLE marrowline_lab;
      CREATE ROLE reader_of_a LOGIN IN ROLE marrowline_lab_a;
      CREATE ROLE reader_of_none LOGIN IN ROLE marrowline_lab;
      CREATE ROLE plain_owner LOGIN;
    EXCEPTION WHEN duplicate_object THEN NULL; END $$
"""
OF_NO_LAB = {"model_versions"}


@pytest.fixture(scope="module")
def filled(postgres: Server) -> Iterator[Engine]:
    """Two laboratories with a slide in quarantine and a finished one, on which there is all that views show."""
    url = postgres.new_database(template=TEMPLATE)
    engine = make_engine(url)
    use_model(engine)
    execute(engine, _READERS)
    for lab in "ab":
        read(engine, add_slide(engine, lab=lab, patient=f"{lab}1"))
        torn = taken(engine, add_slide(engine, "torn", lab=lab, patient=f"{lab}1"))
        runs.fail(engine, torn, code="bad", cause="torn", remedy="scan again", decide=decide)
    execute(engine, "INSERT INTO area SELECT id, 0, 'x', 0, 0, 1, 1, 1 FROM run WHERE state = 'done'")
    execute(
        engine,
        "INSERT INTO tile_defect (run_id, batch_no, tile_no, x_l0, y_l0, width_l0, height_l0, code, cause)"
        " SELECT id, 0, 0, 0, 0, 1, 1, 'code', 'cause' FROM run WHERE state = 'done'",
    )
    execute(engine, """UPDATE run SET area_shares = '{"countable": 1}', stain_profile = '{"background_r": 1}'""")
    for by, cell_class in (("ada", "plasma_cell"), ("ben", "lymphoblast")):
        words = [Said(where="", run_id=run, batch_no=0, cell_no=0, cell_class=cell_class) for run in (1, 3)]
        with transaction(engine) as conn:
            corrections.record(conn, words, by, decide)
    yield engine
    engine.dispose()
    postgres.drop_database(url)


@contextmanager
def asking(engine: Engine, role: str) -> Iterator[Connection]:
    with engine.connect() as conn:
        conn.exec_driver_sql(f"SET SESSION AUTHORIZATION {role}")
        yield conn
        conn.rollback()
        conn.exec_driver_sql("RESET SESSION AUTHORIZATION")


def labs(conn: Connection, view: str) -> set[str]:
    return set(conn.exec_driver_sql(f"SELECT DISTINCT lab FROM report.{view}").scalars())


def of_labs(conn: Connection) -> list[str]:
    return sorted(set(columns(conn, "report", "v")) - OF_NO_LAB)


def test_every_view_shows_a_reader_its_own_laboratory_only(filled: Engine) -> None:
    with transaction(filled) as conn:
        everything = {view: labs(conn, view) for view in of_labs(conn)}
    assert all(shown == {"a", "b"} for shown in everything.values()), "a view without rows proves nothing"
    with asking(filled, ALICE) as conn:
        assert [view for view in everything if labs(conn, view) != {"a"}] == []
    with asking(filled, "reader_of_none") as conn:
        assert [view for view in everything if labs(conn, view)] == []


def test_a_reader_counts_the_slides_of_its_own_laboratory(filled: Engine) -> None:
    with asking(filled, ALICE) as conn:
        read_by_model = conn.exec_driver_sql("SELECT slides_read, patients_shown FROM report.model_versions").one()
    assert tuple(read_by_model) == (1, 1)


def test_a_reader_finds_cells_of_a_place_on_its_own_laboratorys_slides_only(filled: Engine) -> None:
    every = "SELECT count(*) FROM report.slides CROSS JOIN LATERAL report.cells_within(run_id, 0, 0, 100, 100)"
    cells = "SELECT count(*) FROM generate_series(1, 4) AS n, LATERAL report.cells_within(n, 0, 0, 100, 100)"
    with transaction(filled) as conn:
        assert conn.exec_driver_sql(cells).scalar_one() == 2
    with asking(filled, ALICE) as conn:
        assert [conn.exec_driver_sql(sql).scalar_one() for sql in (every, cells)] == [1, 1]


@pytest.mark.parametrize(
    "attack",
    [
        "SET marrowline.lab = 'b'",
        "SET app.lab = 'b'",
        "SELECT set_config('role', 'reader_of_a', false)",
        "SET search_path = pg_temp, report; CREATE TEMP TABLE lab AS SELECT 1 AS id, 'b' AS code",
    ],
)
def test_nothing_that_a_reader_may_set_shows_it_more(filled: Engine, attack: str) -> None:
    with asking(filled, ALICE) as conn:
        conn.exec_driver_sql(attack)
        assert labs(conn, "patients") == {"a"}


@pytest.mark.parametrize(
    "attack",
    [
        "SET ROLE marrowline_lab_b",
        "SET row_security = off; SELECT * FROM report.patients",
        "SELECT * FROM public.cell",
        "SELECT * FROM public.cell_p00",
        "SELECT query_to_xml('SELECT * FROM public.cell', true, true, '')",
        "COPY public.patient TO STDOUT",
        "CREATE VIEW report.mine AS SELECT 1",
        "GRANT marrowline_lab_b TO reader_of_a",
    ],
)
def test_what_would_show_more_is_refused(filled: Engine, attack: str) -> None:
    with asking(filled, ALICE) as conn:
        raw = conn.connection.cursor()
        with pytest.raises(Error) as refused:
            raw.execute(attack)
    assert refused.value.pgcode == "42501"


@pytest.mark.parametrize(
    ("view", "column"),
    [("cells", "run_id"), ("patients", "lab"), ("slides", "slide_id"), ("runs", "run_id"), ("audit", "hash")],
)
def test_a_function_that_tells_what_it_is_given_is_given_no_row_of_another_laboratory(
    filled: Engine, view: str, column: str
) -> None:
    with filled.connect() as conn:
        ours = set(conn.exec_driver_sql(f"SELECT {column}::text FROM report.{view} WHERE lab = 'a'").scalars())
    with asking(filled, ALICE) as conn:
        conn.exec_driver_sql(
            "SET enable_nestloop = off; SET enable_mergejoin = off; SET enable_indexscan = off;"  # whole tables first
            "SET enable_bitmapscan = off; CREATE TEMP TABLE told (what text);"
            "CREATE FUNCTION pg_temp.tell(what text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS"
            " $$ BEGIN INSERT INTO told VALUES (what); RETURN true; END $$"
        )
        conn.exec_driver_sql(f"SELECT count(*) FROM report.{view} WHERE pg_temp.tell({column}::text)").all()
        assert set(conn.exec_driver_sql("SELECT what FROM told").scalars()) == ours


def test_a_view_that_runs_with_its_owners_rights_by_mistake_shows_a_reader_nothing(postgres: Server) -> None:
    url = postgres.new_database()
    admin = make_engine(url)
    execute(admin, _READERS)
    migrate.upgrade(admin)
    execute(admin, "INSERT INTO lab (code, rule, default_specimen) VALUES ('b', 'r', 'marrow')")
    for statement in (
        "GRANT CREATE, USAGE ON SCHEMA public, report TO plain_owner",
        "ALTER TABLE lab OWNER TO plain_owner",
        "SET LOCAL ROLE plain_owner; CREATE VIEW report.mistake AS SELECT code AS lab FROM public.lab",
        "GRANT SELECT ON report.mistake TO marrowline_lab",
    ):
        execute(admin, statement)
    with asking(admin, ALICE) as conn:
        assert labs(conn, "mistake") == set()
    with asking(admin, "plain_owner") as conn:
        assert labs(conn, "mistake") == {"b"}
    admin.dispose()
    postgres.drop_database(url)


def test_whatever_a_reader_may_read_below_the_views_is_guarded_by_row_or_says_nothing_of_a_slide(
    filled: Engine,
) -> None:
    held = "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = 'marrowline_lab'"
    with transaction(filled) as conn:
        tables = set(conn.exec_driver_sql(f"{held} AND table_schema = 'public'").scalars())
        guarded_views = "SELECT relname FROM pg_class WHERE 'security_invoker=true' = ANY (reloptions)"
        views = set(conn.exec_driver_sql(guarded_views).scalars())
    joined_to_a_run = {"cell", "outline"}
    assert tables - GUARDED - views - joined_to_a_run == {"model_version", "active_model"}
