from __future__ import annotations

import re

import pytest
from sqlalchemy import CheckConstraint, DateTime, Table

from db import cell_tables, correction_tables
from db.records import CellClass, Finding, RunState, SlideState, Specimen
from db.run_tables import run
from db.schema_facts import metadata
from db.tables import slide
from db.verdict_tables import verdict

TABLES = list(metadata.tables.values())


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_constraint_and_index_has_a_name_that_tells_its_table(table: Table) -> None:
    names = [str(item.name) for item in table.constraints] + [str(item.name) for item in table.indexes]
    assert all(re.match(rf"(pk|fk|uq|ck|ix)_{table.name}", name) for name in names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_time_knows_its_zone(table: Table) -> None:
    assert all(column.type.timezone for column in table.columns if isinstance(column.type, DateTime))


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        (run, "state", RunState),
        (slide, "state", SlideState),
        (slide, "specimen", Specimen),
        (verdict, "finding", Finding),
        (cell_tables.cell, "cell_class", CellClass),
        (correction_tables.correction, "called", CellClass),
        (correction_tables.corrected_cell, "called", CellClass),
    ],
)
def test_the_words_of_the_records_are_those_of_the_table(table: Table, column: str, words: type[RunState]) -> None:
    (check,) = [
        str(item.sqltext)
        for item in table.constraints
        if isinstance(item, CheckConstraint) and item.name == f"ck_{table.name}_{column}"
    ]
    assert set(re.findall(r"'(\w+)'", check)) == set(words)


def test_cells_and_outlines_are_partitioned_by_run() -> None:
    partitioned = {
        table.name: table.dialect_options["postgresql"]["partition_by"]
        for table in TABLES
        if table.dialect_options["postgresql"].get("partition_by")
    }
    assert partitioned == dict.fromkeys(cell_tables.PARTITIONED, "HASH (run_id)")
