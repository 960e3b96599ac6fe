"""Slides of several files in a real Postgres, by the roles that a deployment has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event

from db import runs
from db.errors import NotAllowedError
from db.records import SlideFacts, StoredObject
from db.session import make_engine, transaction
from db.slide_files import FoundSet, current_sets, register_set
from tests.support.rows import DEFAULTS, decide, execute, scalar, stored, taken

KEY = "lab/patient/x.mrxs"
FACTS = SlideFacts(lab="lab", patient="patient")


@pytest.fixture
def as_role(lab: Engine) -> Iterator[dict[str, Engine]]:
    """Engines of the scheduler's and the worker's role, on a database with an active model."""
    engines = {name: make_engine(lab.url.render_as_string(hide_password=False)) for name in ("scheduler", "worker")}
    for name, engine in engines.items():
        event.listen(engine, "begin", lambda conn, role=name: conn.exec_driver_sql(f"SET LOCAL ROLE marrowline_{role}"))
    yield engines
    for engine in engines.values():
        engine.dispose()


def _found(*names: str, complete: bool = False, day: int = 0, version: str = "") -> FoundSet:
    files = tuple(replace(stored(f"lab/patient/x/{name}"), version_id=version) for name in names)
    obj = replace(stored(KEY, day=day), size=sum(file.size for file in files))
    return FoundSet(obj=obj, files=files, manifest=" ".join(names), complete=complete)


def _register(engine: Engine, found: FoundSet) -> int | None:
    with transaction(engine) as conn:
        return register_set(conn, found, FACTS, DEFAULTS, decide)[1]


def test_each_role_can_do_its_part(as_role: dict[str, Engine]) -> None:
    scheduler = as_role["scheduler"]
    assert _register(scheduler, _found("a")) is None
    assert _register(scheduler, _found("a", "b")) is None
    run_id = _register(scheduler, _found("a", "b", complete=True, version="v1"))
    assert run_id is not None
    claim = taken(as_role["worker"], run_id)
    assert [(file.key, file.version_id, file.size) for file in claim.files] == [
        ("lab/patient/x/a", "v1", 10),
        ("lab/patient/x/b", "v1", 10),
    ]
    assert claim.obj.size == 20
    with transaction(scheduler) as conn:
        known = current_sets(conn, "bucket", [KEY, "other"])
    assert {key: (one.manifest, len(one.file_keys)) for key, one in known.items()} == {KEY: ("a b", 2)}


def test_an_incomplete_set_is_never_claimed_or_due(lab: Engine) -> None:
    _register(lab, _found("a"))
    assert scalar(lab, "SELECT count(*) FROM run") == 0
    assert scalar(lab, "SELECT count(*) FROM slide_file") == 0


def test_the_same_files_uploaded_again_have_new_versions_and_release_the_slide(lab: Engine) -> None:
    run_id = _register(lab, _found("a", complete=True, version="v1"))
    assert run_id is not None
    runs.fail(lab, taken(lab, run_id), code="damaged", cause="x", remedy="y", decide=decide)
    assert _register(lab, _found("a", complete=True, version="v1")) is None
    assert _register(lab, _found("a", complete=True, version="v2", day=1)) == run_id
    assert [file.version_id for file in taken(lab, run_id).files] == ["v2"]


def test_only_the_sets_own_key_is_touched(lab: Engine) -> None:
    with transaction(lab) as conn:
        others: list[StoredObject] = [stored("lab/patient/y.svs"), stored("lab/patient/x/a", bucket="other")]
        for other in others:
            runs.register(conn, other, FACTS, DEFAULTS, decide)
        runs.register(conn, stored("lab/patient/x/a"), FACTS, DEFAULTS, decide)
    _register(lab, _found("a", complete=True))
    assert scalar(lab, "SELECT string_agg(state, ' ' ORDER BY id) FROM slide") == "current current superseded current"


def test_without_an_active_model_a_complete_set_waits(lab: Engine) -> None:
    execute(lab, "DELETE FROM active_model")
    with pytest.raises(NotAllowedError):
        _register(lab, _found("a", complete=True))
    assert scalar(lab, "SELECT count(*) FROM slide") == 0
