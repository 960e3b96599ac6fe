"""A real Postgres for the session, and a migrated, empty database for every test that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.session import make_engine
from tests.support.commands import Command, whole_command
from tests.support.postgres import TEMPLATE, Server, make_template, running_server, wipe
from tests.support.rows import execute, use_model
from worker.rules import DEFAULT_RULE


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with running_server() as server:
        make_template(server)
        yield server


@pytest.fixture(scope="session")
def shared_database(postgres: Server) -> str:
    """The address of the database that tests use one after the other."""
    return postgres.new_database(template=TEMPLATE)


@pytest.fixture
def database_url(shared_database: str) -> str:
    """The address of a migrated, empty database; the test leaves its schema as it is."""
    engine = make_engine(shared_database)
    wipe(engine)
    engine.dispose()
    return shared_database


@pytest.fixture
def own_database_url(postgres: Server) -> Iterator[str]:
    """The address of a migrated, empty database that goes away with the test."""
    url = postgres.new_database(template=TEMPLATE)
    yield url
    postgres.drop_database(url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, pool_size=8)
    yield engine
    engine.dispose()


@pytest.fixture
def lab(engine: Engine) -> Engine:
    """The database with an active model version: slides may come."""
    use_model(engine)
    return engine


@pytest.fixture
def marrowline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, with the settings that a test makes."""
    return whole_command(monkeypatch, capsys)


@pytest.fixture
def on_database(lab: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marrowline: Command) -> Command:
    """The command, on the database with an active model version."""
    monkeypatch.setenv("MARROWLINE_DATABASE_URL", lab.url.render_as_string(hide_password=False))
    monkeypatch.setenv("MARROWLINE_HOME", str(tmp_path / "home"))
    return marrowline


@pytest.fixture
def command(lab: Engine, on_database: Command) -> Command:
    """The same where every slide that came before is judged by the real rules."""

    def run(*arguments: object) -> tuple[int, str, str]:
        execute(lab, f"UPDATE lab SET rule = '{DEFAULT_RULE}'")
        return on_database(*arguments)

    return run
