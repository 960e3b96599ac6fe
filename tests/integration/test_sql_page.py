"""The worked queries of docs/sql.md, run as the reporting role over two laboratories' results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db import reports, runs
from db.records import Area, Batch
from db.session import make_engine, transaction
from tests.support.postgres import TEMPLATE, Server
from tests.support.rows import MODEL, add, add_slide, cell, execute, plan, stored, taken, use_model
from worker.rules import DEFAULT_RULE
from worker.verdict import decide

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"### (\d+\. [^\n]+)\n.*?```sql\n(.*?)```", PAGE, re.DOTALL))
DRIFTED = "18. Slides whose stain has drifted"


@pytest.fixture(scope="module")
def filled(postgres: Server) -> Iterator[Engine]:
    """A patient with two read slides and a torn one, and another laboratory's."""
    url = postgres.new_database(template=TEMPLATE)
    engine = make_engine(url)
    use_model(engine)
    execute(engine, f"INSERT INTO lab (code, rule, default_specimen) VALUES ('central', '{DEFAULT_RULE}', 'marrow')")
    execute(engine, f"INSERT INTO lab (code, rule, default_specimen) VALUES ('north', '{DEFAULT_RULE}', 'marrow')")
    for day in (1, 20):
        with transaction(engine) as conn:
            taken_at = datetime(2026, 3, day, tzinfo=UTC)
            run_id = add(conn, stored(f"central/P-0001/{day}.svs"), lab="central", patient="P-0001", taken_at=taken_at)
        _read(engine, run_id)
    torn = taken(engine, add_slide(engine, "torn", lab="central", patient="P-0001"))
    runs.fail(engine, torn, code="out_of_focus", cause="blurred", remedy="scan again", decide=decide)
    _read(engine, add_slide(engine, lab="north", patient="P-0001"))
    yield engine
    engine.dispose()
    postgres.drop_database(url)


def _read(engine: Engine, run_id: int) -> None:
    claim = taken(engine, run_id)
    area = Area(kind="monolayer", x_l0=0, y_l0=0, width_l0=5000, height_l0=5000, mm2=1.5)
    runs.store_plan(engine, claim, replace(plan(), areas=(area,), stain_profile={"background_r": 230.0}))
    cells = [cell(no, MODEL.classes[no % 3], abstained=no % 20 == 0) for no in range(240)]
    placed = [replace(one, x_l0=10.0 * one.cell_no, y_l0=1200.0, features={"nc_ratio": 0.5}) for one in cells]
    runs.write_batch(engine, claim, Batch(no=0, cells=tuple(placed)))
    runs.finish(engine, claim, decide)


def test_there_are_twenty_queries_at_least() -> None:
    assert len(QUERIES) == PAGE.count("```sql") >= 20


@pytest.mark.parametrize("title", list(QUERIES))
def test_a_worked_query_answers(filled: Engine, title: str) -> None:
    if title == DRIFTED:
        execute(filled, "UPDATE stain_reading SET drift = 5.5 WHERE run_id = 1")
    columns, rows = reports.query(filled, QUERIES[title])
    assert columns
    assert rows, "a worked query that answers nothing shows nothing"
    empty = [name for at, name in enumerate(columns) if all(row[at] is None for row in rows)]
    assert set(empty) <= {"limits", "threshold", "p_above"}


def test_every_view_and_function_is_on_the_page(filled: Engine) -> None:
    views = "SELECT relname AS name FROM pg_class WHERE relnamespace = 'report'::regnamespace AND relkind = 'v'"
    functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'report'::regnamespace"
    pages = PAGE + (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
    with transaction(filled) as conn:
        names = set(conn.exec_driver_sql(f"{views} UNION ALL {functions}").scalars())
    assert len(names) > 15
    assert {name for name in names if f"`report.{name}" not in pages} == set()
