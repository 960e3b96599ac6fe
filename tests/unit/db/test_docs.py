from __future__ import annotations

import re
from pathlib import Path

from db import migrate
from db.records import RunState

DOCS = Path(migrate.__file__).parents[1] / "docs"
GUIDE, CONTRACT = (DOCS / "database.md").read_text(), (DOCS / "sql.md").read_text()
DB = Path(migrate.__file__).parent


def test_the_contract_names_every_view() -> None:
    views = {f"report.{path.stem.split('_', 1)[1]}" for path in (DB / "views").glob("*.sql")}
    named = [row.split("|")[1] for row in CONTRACT.splitlines() if row.startswith("| `report.")]
    assert set(re.findall(r"`(report\.\w+)", " ".join(named))) == views


def test_the_guide_names_every_role() -> None:
    roles = set(re.findall(r"'(marrowline_\w+)'", (DB / "roles.sql").read_text()))
    assert set(re.findall(r"^\| `(marrowline_\w+)`", GUIDE, re.MULTILINE)) == roles


def test_the_guide_shows_every_state_of_a_run() -> None:
    steps = GUIDE.split("## Steps of a run")[1]
    assert all(state in steps for state in RunState)
