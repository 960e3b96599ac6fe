from __future__ import annotations

import re
from pathlib import Path

import pytest

from db import migrate

DB = Path(migrate.__file__).parent
VIEWS = sorted((DB / "views").glob("*.sql"))


def test_the_newest_revision_is_that_of_the_last_migration() -> None:
    numbers = sorted(path.stem[:4] for path in (DB / "migrations" / "versions").glob("*.py"))
    assert migrate.head_revision() == numbers[-1]


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.name)
def test_a_view_file_makes_the_one_view_or_function_that_it_is_named_for(path: Path) -> None:
    number, name = path.stem.split("_", 1)
    assert number.isdigit()
    assert re.findall(r"CREATE (?:VIEW|FUNCTION) (report\.\w+)", path.read_text()) == [f"report.{name}"]


def test_counts_views_and_roles_are_run_in_the_order_of_their_numbers() -> None:
    assert migrate._scripts() == [DB / "counting.sql", *VIEWS, DB / "roles.sql"]
