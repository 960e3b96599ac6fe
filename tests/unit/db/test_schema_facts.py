from __future__ import annotations

import pytest

from db.schema_facts import is_modelled


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("cell", "table", True),
        ("cell_p07", "table", False),
        ("outline_p15", "table", False),
        ("cell_print", "table", True),
        ("alembic_version", "table", False),
        ("fk_correction_cell", "foreign_key_constraint", True),
        ("fk_correction_cell_3", "foreign_key_constraint", False),
        ("ix_run_due", "index", True),
        (None, "schema", True),
    ],
)
def test_partitions_and_alembics_table_are_left_out_of_comparison(
    name: str | None, kind: str, *, expected: bool
) -> None:
    assert is_modelled(name, kind, {}) is expected
