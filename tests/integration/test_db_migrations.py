from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from db import corrections, migrate, schema_facts
from db.corrections import Said
from db.schema_facts import metadata
from db.session import make_engine, transaction
from tests.support.postgres import Server
from tests.support.rows import MODEL, add, add_slide, decide, read, stored, use_model

_COLUMNS = """
    SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default, is_identity
      FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
     WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version'
"""
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace AND conparentid = 0 AND coninhcount = 0 AND contype <> 't'
"""
BEFORE_WORDS = "0010-1"
"""The revision before the one that lets words on cells outlive them."""
_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"


@pytest.fixture
def engine(own_database_url: str) -> Iterator[Engine]:
    """A migrated database of the test's own: here schemas are damaged and taken down."""
    engine = make_engine(own_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def empty(postgres: Server) -> Iterator[Engine]:
    url = postgres.new_database()
    engine = make_engine(url)
    yield engine
    engine.dispose()
    postgres.drop_database(url)


def _facts(engine: Engine, statement: str) -> set[tuple[object, ...]]:
    with transaction(engine) as conn:
        rows = [tuple(row) for row in conn.exec_driver_sql(statement)]
    return {row for row in rows if not schema_facts.PARTITION.search(str(row[0])) and row[0] != "alembic_version"}


@pytest.mark.parametrize("statement", [_COLUMNS, _CONSTRAINTS, _INDEXES])
def test_migrations_build_exactly_what_the_models_say(postgres: Server, empty: Engine, statement: str) -> None:
    modelled = make_engine(postgres.new_database())
    with transaction(modelled) as conn:
        metadata.create_all(conn)
    migrate.upgrade(empty)
    assert _facts(empty, statement) == _facts(modelled, statement)
    modelled.dispose()
    postgres.drop_database(str(modelled.url))


def test_a_migrated_database_has_no_differences(engine: Engine) -> None:
    assert migrate.check(engine) == []


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("ALTER TABLE run ADD COLUMN spare int", "spare"),
        ("ALTER TABLE cell DROP CONSTRAINT ck_cell_probabilities", "ck_cell_probabilities"),
        ("ALTER TABLE run DISABLE TRIGGER run_step", "run_step"),
        ("DROP TABLE cell_p03 CASCADE", "15 partitions"),
        ("ALTER TABLE patient NO FORCE ROW LEVEL SECURITY", "row security of table patient"),
        ("DROP POLICY of_lab ON slide", "row security of table slide"),
        ("CREATE POLICY wide ON run USING (true)", "row security of table run"),
        ("DROP POLICY of_lab ON audit", "row security of table audit"),
        ("DROP TRIGGER of_patient ON audit", "of_patient"),
        ("DROP SCHEMA report CASCADE", "views"),
        ("UPDATE alembic_version SET version_num = 'other'", "revision other"),
    ],
)
def test_check_names_what_differs(engine: Engine, damage: str, named: str) -> None:
    with transaction(engine) as conn:
        conn.exec_driver_sql(damage)
    assert any(named in line for line in migrate.check(engine))


def test_upgrade_twice_keeps_every_row_and_view(lab: Engine) -> None:
    migrate.upgrade(lab)
    with transaction(lab) as conn:
        assert conn.exec_driver_sql("SELECT name FROM model_version").scalar_one() == MODEL.name
        assert conn.exec_driver_sql("SELECT count(*) FROM report.patients").scalar_one() == 0


def test_upgrade_mends_a_view_that_was_changed_by_hand(engine: Engine) -> None:
    with transaction(engine) as conn:
        conn.exec_driver_sql("COMMENT ON SCHEMA report IS 'older'; DROP VIEW report.cells")
    migrate.upgrade(engine)
    with transaction(engine) as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM report.cells").scalar_one() == 0


def test_two_upgrades_at_once_both_succeed(empty: Engine) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(migrate.upgrade, [empty, empty]))
    assert migrate.check(empty) == []


def test_downgrade_of_an_empty_schema_leaves_nothing(engine: Engine) -> None:
    migrate.downgrade(engine)
    with transaction(engine) as conn:
        left = conn.execute(text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"))
        assert set(left.scalars()) == {"alembic_version", "alembic_version_pkc"}
        functions = text("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        assert conn.execute(functions).scalar_one() == 0


def test_downgrade_refuses_to_lose_a_row(engine: Engine) -> None:
    use_model(engine)
    with pytest.raises(RuntimeError, match="holds rows"):
        migrate.downgrade(engine)
    assert migrate.check(engine) == []


@pytest.mark.parametrize(
    "fact", ["preparation='smear'", "mpp_error_um=0.01", "sandbox='full'", "mpp_source='estimated'"]
)
def test_downgrade_refuses_to_lose_what_is_known_of_a_reading(lab: Engine, fact: str) -> None:
    add_slide(lab)
    with transaction(lab) as conn:
        conn.exec_driver_sql(f"UPDATE {'slide' if fact.startswith('preparation') else 'run'} SET {fact}")
    with pytest.raises(RuntimeError, match="holds values"):
        migrate.downgrade(lab, "0001")
    assert migrate.check(lab) == []


def test_downgrade_refuses_to_lose_that_a_slide_is_urgent(lab: Engine) -> None:
    with transaction(lab) as conn:
        add(conn, stored(), urgent=True)
    with pytest.raises(RuntimeError, match="holds values"):
        migrate.downgrade(lab, "0004")
    assert migrate.check(lab) == []


def test_downgrade_refuses_to_lose_that_a_run_stopped_early(lab: Engine) -> None:
    add_slide(lab)
    with transaction(lab) as conn:
        conn.exec_driver_sql("UPDATE run SET n_batches = 4, n_read = 2, stop = '{}'")
    with pytest.raises(RuntimeError, match="holds values"):
        migrate.downgrade(lab, "0006")
    assert migrate.check(lab) == []


def test_slides_of_an_older_database_are_kept_and_told_of(lab: Engine) -> None:
    add_slide(lab)
    migrate.downgrade(lab, "0003")
    migrate.upgrade(lab)
    assert migrate.check(lab) == []
    with transaction(lab) as conn:
        told = conn.exec_driver_sql("SELECT slide_id, urgent FROM status_due JOIN slide ON slide.id = slide_id").all()
    assert [tuple(row) for row in told] == [(1, False)]


def test_one_step_down_keeps_every_row(lab: Engine) -> None:
    add_slide(lab)
    migrate.downgrade(lab, "0001")
    migrate.upgrade(lab)
    assert migrate.check(lab) == []
    with transaction(lab) as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM run").scalar_one() == 1


def test_a_migrated_database_can_go_down_and_up_again(engine: Engine) -> None:
    migrate.downgrade(engine)
    migrate.upgrade(engine)
    assert migrate.check(engine) == []


def test_a_developer_can_ask_alembic_itself(database_url: str) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "alembic", "check"]
    env = os.environ | {"MARROWLINE_DATABASE_URL": database_url}
    asked = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (asked.returncode, asked.stdout) == (0, "No new upgrade operations detected.\n"), asked.stderr


def test_a_word_of_old_counts_after_the_upgrade_and_stays_with_a_downgrade(lab: Engine) -> None:
    read(lab, add_slide(lab), ["lymphocyte"] * 3)
    migrate.downgrade(lab, BEFORE_WORDS)
    said = "INSERT INTO correction (run_id, batch_no, cell_no, made_by, cell_class) VALUES (1, 0, 1, 'p', '{}')"
    with transaction(lab) as conn:
        conn.exec_driver_sql(f"{said.format('monocyte')}; {said.format('smudge')}")
    migrate.upgrade(lab)
    with transaction(lab) as conn:
        counts = conn.exec_driver_sql("SELECT cell_class, called FROM run_count_effective ORDER BY cell_class").all()
        words = conn.exec_driver_sql("SELECT count(*), count(*) FILTER (WHERE counts) FROM report.corrections").one()
    assert [tuple(row) for row in counts] == [("lymphocyte", 2), ("smudge", 1)]
    assert tuple(words) == (2, 1)
    migrate.downgrade(lab, BEFORE_WORDS)
    migrate.upgrade(lab)
    assert migrate.check(lab) == []


def test_downgrade_refuses_to_lose_where_a_corrected_cell_lay(lab: Engine) -> None:
    read(lab, add_slide(lab))
    with transaction(lab) as conn:
        word = Said(where="", run_id=1, batch_no=0, cell_no=0, cell_class="smudge")
        corrections.record(conn, [word], "p", decide)
    with pytest.raises(RuntimeError, match="holds values"):
        migrate.downgrade(lab, BEFORE_WORDS)
    assert migrate.check(lab) == []
